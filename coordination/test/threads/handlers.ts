import { isMainThread } from "node:worker_threads";

// What the threads of the tests do. The payload says how long, or how it ends.

interface Given {
  readonly payload: Uint8Array;
  readonly attempt: number;
}

const textOf = ({ payload }: Given): string => new TextDecoder().decode(payload);

/** Blocks its thread for as many milliseconds as the payload says. */
export function block(task: Given): string {
  const endMs = performance.now() + Number(textOf(task));
  while (performance.now() < endMs);
  return isMainThread ? "in the main thread" : "in a thread";
}

/** Echoes. */
export function handle(task: Given): unknown {
  return { text: textOf(task), attempt: task.attempt };
}

/** Ends as the payload says. */
export function end(task: Given): unknown {
  switch (textOf(task)) {
    case "exit":
      return process.exit(3);
    case "memory": {
      const kept: unknown[] = [];
      for (;;) kept.push(Array.from({ length: 100_000 }, () => Math.random()));
    }
    case "throw":
      throw Object.assign(new TypeError("no luck"), { code: "MINE" });
    case "discard":
      throw Object.assign(new Error("not wanted"), { name: "DiscardTask" });
    case "retry":
      throw Object.assign(new Error("later"), { name: "RetryTask", delayMs: 12 });
    case "function":
      return () => undefined;
    case "later":
      setTimeout(() => {
        throw new Error("uncaught");
      }, 5);
      return "returned";
    default:
      return new Promise(() => undefined);
  }
}
