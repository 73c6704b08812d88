import { AsyncLocalStorage } from "node:async_hooks";

/** Told about a promise that was rejected while nobody listened. */
export type RejectionListener = (reason: unknown) => void;

const owner = new AsyncLocalStorage<RejectionListener>();
const running = new Set<RejectionListener>();
let watchers = 0;

function onRejection(reason: unknown): void {
  const listener = owner.getStore();
  if (listener) listener(reason);
  // It began outside of every case, in a shared connection for one: all that run are suspects.
  else for (const each of running) each(reason);
}

/** Watches for unhandled rejections until the result is called. */
export function watchRejections(): () => void {
  if (watchers++ === 0) process.on("unhandledRejection", onRejection);
  let watching = true;
  return () => {
    if (!watching) return;
    watching = false;
    if (--watchers === 0) process.off("unhandledRejection", onRejection);
  };
}

/** Runs `work`; rejections of what it sets in motion go to `listener`, also after its end. */
export async function withRejections<T>(
  listener: RejectionListener,
  work: () => Promise<T>,
): Promise<T> {
  running.add(listener);
  try {
    return await owner.run(listener, work);
  } finally {
    running.delete(listener);
  }
}
