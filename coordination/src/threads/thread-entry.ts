import type { Task } from "../tasks/task.ts";

// Runs in a thread. It imports nothing when it runs, so that a thread starts fast.

/** What a thread is asked to do. */
export interface ThreadCall {
  readonly file: string;
  readonly name: string;
  readonly task: Task;
}

/** What came of it. Of an error only this goes over to the other thread. */
export type ThreadAnswer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: ThreadFailure };

/** An error as data. */
export interface ThreadFailure {
  readonly name: string;
  readonly message: string;
  readonly code?: string | undefined;
  /** Of a `RetryTask`. */
  readonly delayMs?: number | undefined;
}

/** Calls the handler. */
export async function run({ file, name, task }: ThreadCall): Promise<ThreadAnswer> {
  try {
    const module = (await import(file)) as Readonly<Record<string, unknown>>;
    const handler = module[name];
    if (typeof handler !== "function") throw new TypeError(`${file} exports no function ${name}`);
    const value = await (handler as (task: Task) => unknown)(task);
    // What cannot go over fails here, where there is a message.
    return { ok: true, value: structuredClone(value) };
  } catch (error) {
    return { ok: false, error: toFailure(error) };
  }
}

function toFailure(thrown: unknown): ThreadFailure {
  if (!(thrown instanceof Error)) return { name: "Error", message: String(thrown) };
  const { name, message, code, delayMs } = thrown as Error & Partial<ThreadFailure>;
  return {
    name,
    message,
    ...(typeof code === "string" && { code }),
    ...(typeof delayMs === "number" && { delayMs }),
  };
}
