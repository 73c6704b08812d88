import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { openBus } from "@busbar/core";
import { runWorker, type WorkerEvent } from "./worker.ts";

/** What every worker is told at its start. */
export interface WorkerConfig {
  readonly url: string;
  readonly root: string;
  readonly name: string;
}

/** What a worker process is told. */
export type WorkerCommand = { readonly type: "hang" } | { readonly type: "stop" };

/** A worker as the run sees it, wherever it runs. */
export interface Worker {
  readonly name: string;
  /** "in this process" or "process 4711". */
  readonly place: string;
  /** Lets it hang in the middle of its work. */
  hang(): void;
  /** Ends it without a word to the bus. */
  kill(): Promise<string>;
  /** Ends it in good order. */
  stop(): Promise<void>;
}

type OnEvent = (worker: Worker, event: WorkerEvent) => void;

/** A worker in this process, with a bus of its own. */
export async function startLocalWorker(config: WorkerConfig, onEvent: OnEvent): Promise<Worker> {
  const bus = await openBus(config.url);
  const stop = new AbortController();
  const hang = new AbortController();
  let dead = false;
  const worker: Worker = {
    name: config.name,
    place: "in this process",
    hang: () => hang.abort(),
    kill() {
      dead = true;
      return Promise.resolve("stopped for good");
    },
    async stop() {
      stop.abort();
      // Who is dead never comes back; the bus reports what it held as abandoned.
      if (!dead) await running;
      await bus.close({ drainMs: 0 });
    },
  };
  const running = runWorker(bus, {
    ...config,
    signal: stop.signal,
    hang: hang.signal,
    onEvent: (event) => onEvent(worker, event),
  });
  return worker;
}

/** A worker in a process of its own: it can be killed with `kill -9`. */
export async function startWorkerProcess(config: WorkerConfig, onEvent: OnEvent): Promise<Worker> {
  const script = fileURLToPath(new URL("worker-process.ts", import.meta.url));
  // It runs with the options of this process, so that it reads the same sources.
  const child = fork(script, [JSON.stringify(config)], { execArgv: process.execArgv });
  const ended = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const send = (command: WorkerCommand): void => void child.send(command);
  const worker: Worker = {
    name: config.name,
    place: `process ${child.pid}`,
    hang: () => send({ type: "hang" }),
    async kill() {
      child.kill("SIGKILL");
      return `killed with ${await ended}`;
    },
    async stop() {
      if (child.connected) send({ type: "stop" });
      await ended;
    },
  };
  const ready = new Promise<void>((resolve) => {
    child.on("message", (message: WorkerEvent | { readonly type: "ready" }) => {
      if (message.type === "ready") resolve();
      else onEvent(worker, message);
    });
  });
  const failed = ended.then((end) => {
    throw new Error(`${config.name} ended before it was ready: ${end}`);
  });
  await Promise.race([ready, failed]);
  failed.catch(() => undefined);
  return worker;
}
