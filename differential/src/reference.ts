import { trace } from "./execute.ts";
import { MemoryWorld } from "./memory-world.ts";
import type { TraceEntry } from "./outcome.ts";
import { WINDOW } from "./run.ts";
import type { Script } from "./script.ts";
import type { Traits } from "./world.ts";

/** Up to which part of a tick something may run out: a server that is late has the rest. */
const LAST = 0.62;

/** What the simulator makes of a script. */
export interface Reference {
  readonly entries: readonly TraceEntry[];
  /** Whether nothing ran out while steps were run: else order is a matter of luck on a server. */
  readonly isClear: boolean;
}

/** How the simulator is run. */
export interface ReferenceOptions {
  readonly unitMs: number;
  readonly traits: Traits;
}

/** Runs a script on the simulator. */
export async function referenceOf(script: Script, options: ReferenceOptions): Promise<Reference> {
  const world = new MemoryWorld({ script, ...options });
  const { unitMs, traits } = options;
  const { clock } = world;
  const entries = await clock.autoAdvance(trace({ world, script, unitMs, traits }));
  await clock.autoAdvance(world.close());
  // What runs out after the last steps is seen by nobody.
  const lastMs = ((entries.at(-1)?.tick ?? 0) + WINDOW) * unitMs;
  const isClear = world.firedAtMs
    .filter((atMs) => atMs <= lastMs)
    .every((atMs) => {
      const part = (atMs % unitMs) / unitMs;
      return part >= WINDOW && part <= LAST;
    });
  return { entries, isClear };
}
