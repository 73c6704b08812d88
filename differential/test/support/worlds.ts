import type { Bus } from "@busbar/core";
import type { Mutant } from "../../../conformance-tests/test/mutants/mutant.ts";
import { type Comparison, compare, type Judge } from "../../src/execute.ts";
import type { NewStep } from "../../src/generator/draft.ts";
import { generate, scriptSeed } from "../../src/generator/generate.ts";
import { MemoryWorld } from "../../src/memory-world.ts";
import { type Reference, referenceOf } from "../../src/reference.ts";
import type { Script, Step } from "../../src/script.ts";
import type { Traits, World } from "../../src/world.ts";

/** The length of a tick, as on a server. */
export const UNIT_MS = 400;
/** A server that can do everything. */
export const TRAITS: Traits = { version: "2.15.1", keyTtl: true, maxPayloadBytes: 1_048_576 };
/** The seed of the scripts that planted mistakes are looked for with. */
export const SEED = 7;

/** A script, and what the simulator makes of it. */
export interface Told {
  readonly script: Script;
  readonly reference: Reference;
}

/** A script of these steps. */
export function scriptOf(...steps: readonly NewStep[]): Script {
  return { seed: 0, steps: steps.map((step, id) => ({ ...step, id }) as Step) };
}

/** What the simulator makes of a script. */
export function tell(script: Script): Promise<Reference> {
  return referenceOf(script, { unitMs: UNIT_MS, traits: TRAITS });
}

/** The first `count` scripts of {@link SEED} that leave nothing to luck. */
export async function* clearScripts(count: number): AsyncGenerator<Told> {
  for (let index = 0; index < count; index++) {
    const script = generate(scriptSeed(SEED, index));
    const reference = await tell(script);
    if (reference.isClear) yield { script, reference };
  }
}

/** Runs a script on a simulator with this mistake, beside what the good one told. */
export async function compareBroken(
  mutant: Pick<Mutant, "wrap">,
  { script, reference }: Told,
  judge: Judge = () => undefined,
): Promise<Comparison> {
  const options = { script, unitMs: UNIT_MS, traits: TRAITS };
  const good = new MemoryWorld(options);
  const { clock } = good;
  const open = mutant.wrap({ clock, open: () => good.openBus() });
  const world: World = {
    clock,
    openBus: (): Promise<Bus> => open({ namespace: "app" }),
    restartServer: () => good.restartServer(),
    close: () => good.close(),
  };
  try {
    return await clock.autoAdvance(compare({ ...options, world }, reference.entries, judge));
  } finally {
    await clock.autoAdvance(world.close());
  }
}
