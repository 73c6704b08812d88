import { systemClock } from "@busbar/core";

/**
 * For so long, in milliseconds, a further signal is the same one: a terminal sends it to all processes
 * of a command, and npm passes it on to its child once more.
 */
const SAME_SIGNAL_MS = 500;

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** Tells when the process is asked to end. */
export interface Interruption {
  /** Aborts with the first SIGINT or SIGTERM. A second one ends the process at once. */
  readonly signal: AbortSignal;
  /** What shells expect of a process that a signal ended; undefined if none has come. */
  exitCode(): number | undefined;
  /** Stops listening. */
  dispose(): void;
}

/** Listens to the signals by which a terminal or a CI system ends a process. */
export function watchInterruption(): Interruption {
  const controller = new AbortController();
  let exitCode: number | undefined;
  let firstAt = 0;
  const onSignal = (name: NodeJS.Signals): void => {
    const code = EXIT_CODES[name as keyof typeof EXIT_CODES];
    if (exitCode !== undefined) {
      if (systemClock.monotonic() - firstAt > SAME_SIGNAL_MS) process.exit(code);
      return;
    }
    exitCode = code;
    firstAt = systemClock.monotonic();
    controller.abort(new Error(`interrupted by ${name}`));
  };
  const names = Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[];
  for (const name of names) process.on(name, onSignal);
  return {
    signal: controller.signal,
    exitCode: () => exitCode,
    dispose: () => {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
