import { systemClock } from "@busbar/core";
import type { Output } from "./progress.ts";

const GRACE_MS = 5_000;

/**
 * Lets the process end with this exit code. All buses and servers are closed by now: if something
 * still keeps the process alive, that is a leak, which is told and fails the run. After an interrupted
 * run (a code above 128) it ends at once: what was given up may hold anything.
 */
export function endProcess(exitCode: number, errors: Output = process.stderr): void {
  if (exitCode > 128) process.exit(exitCode);
  process.exitCode = exitCode;
  const onLeak = (): void => {
    const held = process.getActiveResourcesInfo().join(", ");
    errors.write(`error: after all is closed the process is kept alive by: ${held}\n`);
    process.exit(1);
  };
  systemClock.setTimer(onLeak, GRACE_MS, { keepAlive: false });
}
