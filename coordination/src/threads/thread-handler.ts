/// <reference lib="esnext.disposable" preserve="true" />
import { availableParallelism } from "node:os";
import { extname } from "node:path";
import { checkInteger, closedError } from "@busbar/core/adapter";
import { Piscina } from "piscina";
import type { TaskHandler } from "../tasks/running-task.ts";
import { DiscardTask, RetryTask } from "../tasks/task-errors.ts";
import type { ThreadAnswer, ThreadCall, ThreadFailure } from "./thread-entry.ts";

/** How a {@link ThreadHandler} is made. */
export interface ThreadHandlerOptions {
  /** A module that threads load. */
  readonly file: URL;
  /** Which of its exports is called, with the task. @defaultValue "handle" */
  readonly name?: string | undefined;
  /**
   * Most threads, 1 to 256. A task that finds none free waits for one, while its timeout runs: as many as
   * tasks of this type run at once are enough. @defaultValue the number of processors
   */
  readonly threads?: number | undefined;
  /** Most memory of one thread's heap in MiB, 16 to 65_536. Default: that of the process. */
  readonly memoryMb?: number | undefined;
}

/** A handler whose work is done in threads. Whoever makes it closes it, after the worker pool. */
export interface ThreadHandler extends AsyncDisposable {
  (...args: Parameters<TaskHandler>): Promise<unknown>;
  /** Ends the threads, also those that work: their attempts fail. Idempotent. */
  close(): Promise<void>;
}

/** How long a thread that has nothing to do is kept. */
const IDLE_MS = 30_000;

/**
 * Handles tasks in worker threads: for work that would block the event loop, or that may crash. However long
 * a thread blocks, the heartbeats of its task go on.
 *
 * The thread is given a copy of the task, and what it returns or throws comes back as a copy: `RetryTask` and
 * `DiscardTask` (by their names) mean the same as elsewhere. There is no `TaskContext`: when its signal aborts,
 * the thread is ended, whatever it does, and the next task starts a new one. A thread that ends by itself
 * (`process.exit`, an uncaught error, out of memory) is a failed attempt.
 *
 * The threads are those of `piscina`: it has no dependencies that are needed, ends a thread when a signal
 * aborts, and tells what a thread died of. `tinypool` never answers when a thread exits, and `workerpool` knows
 * no signals.
 * @throws TypeError or RangeError for wrong options
 */
export function threadHandler(options: ThreadHandlerOptions): ThreadHandler {
  const { file, name = "handle", threads = availableParallelism(), memoryMb } = options;
  const pool = new Piscina({
    filename: new URL(`./thread-entry${extname(import.meta.url)}`, import.meta.url).href,
    name: "run",
    // With none it would start no new one for those that wait when the last one dies.
    minThreads: 1,
    maxThreads: checkInteger("threads", threads, 1, 256),
    idleTimeout: IDLE_MS,
    // Else a thread stands still between two tasks, and what one has left undone hits the next.
    atomics: "disabled",
    ...(memoryMb !== undefined && {
      resourceLimits: { maxOldGenerationSizeMb: checkInteger("memoryMb", memoryMb, 16, 65_536) },
    }),
  });
  // A thread that dies between two tasks has nobody to tell.
  pool.on("error", () => undefined);
  let closing: Promise<void> | undefined;

  const handle: TaskHandler = async (task, { signal }) => {
    if (closing) throw closedError("the thread handler");
    // The bytes may be a part of something larger, which is not copied nor given away.
    const payload = task.payload.slice();
    const call: ThreadCall = { file: file.href, name, task: { ...task, payload } };
    const answer = (await pool
      .run(call, { signal, transferList: [payload.buffer] })
      .catch((error: unknown) => {
        throw signal.aborted ? signal.reason : error;
      })) as ThreadAnswer;
    if (answer.ok) return answer.value;
    throw toError(answer.error);
  };
  const close = (): Promise<void> => (closing ??= pool.destroy());
  return Object.assign(handle, { close, [Symbol.asyncDispose]: close }) as ThreadHandler;
}

function toError({ name, message, code, delayMs }: ThreadFailure): Error {
  if (name === "DiscardTask") return new DiscardTask(message);
  if (name === "RetryTask" && delayMs !== undefined) return new RetryTask(delayMs, message);
  return Object.assign(new Error(message), { name }, code !== undefined && { code });
}
