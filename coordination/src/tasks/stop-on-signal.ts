import type { WorkerPool } from "./worker-pool.ts";
import type { StopOptions, StopReport } from "./worker-pool-options.ts";

/** How {@link stopOnSignal} stops. */
export interface StopOnSignalOptions extends StopOptions {
  /** @defaultValue ["SIGTERM", "SIGINT"] */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
}

/**
 * Stops a pool when the process is told to end, once; a second signal ends the process as it would
 * without this. Resolves with the report, so that the program can close what is left and end:
 *
 *     await stopOnSignal(pool, { deadlineMs: 20_000 });
 *     await bus.close();
 */
export async function stopOnSignal(
  pool: WorkerPool,
  options: StopOnSignalOptions = {},
): Promise<StopReport> {
  const { signals = ["SIGTERM", "SIGINT"], ...stop } = options;
  await new Promise<void>((resolve) => {
    const onSignal = (): void => {
      for (const signal of signals) process.off(signal, onSignal);
      resolve();
    };
    for (const signal of signals) process.on(signal, onSignal);
  });
  return pool.stop(stop);
}
