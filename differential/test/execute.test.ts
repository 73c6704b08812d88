import type { Bus, Clock, KvStore } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { allMutants } from "../../conformance-tests/test/mutants/index.ts";
import type { Mutant } from "../../conformance-tests/test/mutants/mutant.ts";
import { unbroken } from "../../conformance-tests/test/mutants/unbroken.ts";
import type { Difference, Judge } from "../src/execute.ts";
import { override } from "../src/memory-world.ts";
import { explain } from "../src/rules.ts";
import { TooLate } from "../src/run.ts";
import type { Script } from "../src/script.ts";
import { shrink, withPauses } from "../src/shrink.ts";
import { slowSimulator } from "./support/slow.ts";
import {
  clearScripts,
  compareBroken,
  scriptOf,
  tell,
  type Told,
  TRAITS,
  UNIT_MS,
} from "./support/worlds.ts";

/** Mistakes that scripts must find; the conformance suite has them all. */
const PLANTED = [
  "headers-lost",
  "message-id-ignored",
  "ack-lost",
  "stale-ack-accepted",
  "nak-delay-ignored",
  "no-redelivery",
  "delivery-count-from-zero",
  "no-responders-after-timeout",
  "cas-not-atomic",
  "create-after-delete-refused",
  "marker-missing",
  "deletes-not-watched",
  "bucket-ttl-ignored",
  "lease-granted-twice",
  "fence-repeated-after-delete",
  "dedup-forgotten",
  "priority-inverted",
  "claimed-while-leased",
  "job-nak-delay-ignored",
  "attempts-not-counted",
  "dead-job-lost",
  "pause-of-the-bus",
];
/** Within how many scripts. */
const SCRIPTS = 1_000;
const MAX_STEPS = 10;

const scripts = clearScripts(SCRIPTS);
const known: Told[] = [];

/** A script of {@link clearScripts}, which is made once for all mistakes. */
async function toldAt(index: number): Promise<Told | undefined> {
  if (known[index] === undefined) {
    const { value } = await scripts.next();
    if (value) known.push(value);
  }
  return known[index];
}

const byRules: Judge = (step, expected, actual) =>
  explain(TRAITS.version, step, { expected, actual });

/** The difference that no rule explains, if there is one and it is found in time. */
async function unexplained(mutant: Mutant, one: Told): Promise<Difference | undefined> {
  try {
    const { differences } = await compareBroken(mutant, one, byRules);
    return differences.find(({ rule }) => rule === undefined);
  } catch (error) {
    if (error instanceof TooLate) return undefined;
    throw error;
  }
}

async function findDifference(
  mutant: Mutant,
): Promise<{ readonly found: Told; readonly difference: Difference } | undefined> {
  for (let index = 0; ; index++) {
    const found = await toldAt(index);
    if (found === undefined) return undefined;
    const difference = await unexplained(mutant, found);
    if (difference) return { found, difference };
  }
}

describe("compare", () => {
  it("finds no difference between the simulator and itself", async () => {
    for await (const one of clearScripts(200)) {
      const { differences, steps } = await compareBroken(unbroken, one);
      expect(differences, `script ${one.script.seed}`).toEqual([]);
      expect(steps).toBe(one.script.steps.length);
    }
  });

  it("finds no difference between the simulator and one to which calls take a while", async () => {
    for await (const one of clearScripts(300)) {
      const { differences } = await compareBroken(slowSimulator(one.script.seed), one, byRules);
      const unknown = differences.filter(({ rule }) => rule === undefined);
      expect(unknown, `script ${one.script.seed}`).toEqual([]);
    }
  });

  it.each(PLANTED)("finds %s, in a script that shrinks to a few steps", async (id) => {
    const mutant = allMutants.find((one) => one.id === id) as Mutant;
    const { found, difference } = (await findDifference(mutant)) ?? {};
    expect(found, `${id} in ${SCRIPTS} scripts`).toBeDefined();
    if (found === undefined) return;
    const { script, reference } = found;
    const op = script.steps[difference?.step ?? 0]?.op;
    const small = await shrink(withPauses(script, reference.entries), {
      fails: async (candidate) => {
        const one = await told(candidate);
        if (!one.reference.isClear) return false;
        const again = await unexplained(mutant, one);
        return again !== undefined && candidate.steps[again.step]?.op === op;
      },
    });
    expect(small.steps.length, JSON.stringify(small.steps, undefined, 1)).toBeLessThanOrEqual(
      MAX_STEPS,
    );
  });

  // A poll of what came before waits for a moment after it has waited for the expected: both together
  // are longer than the window, so a difference there is always too late to be told.
  it("is in time to tell of a difference, at whatever step it is", async () => {
    for await (const { script, reference } of clearScripts(20)) {
      for (const [step, { tick }] of reference.entries.entries()) {
        const entries = reference.entries.with(step, { tick, outcome: "something else" });
        const altered = { script, reference: { ...reference, entries } };
        const [difference] = (await compareBroken(unbroken, altered)).differences;
        expect(difference?.step, JSON.stringify({ script: script.seed, step })).toBe(step);
      }
    }
  });

  it("stops at a difference that no rule explains", async () => {
    const { differences, steps } = await compareBroken(getsNothing, await told(reads));
    expect(steps).toBe(2);
    expect(differences).toEqual([{ step: 1, expected: value("s0@0"), actual: null }]);
  });

  it("goes on after a difference that a rule explains, and names the rule", async () => {
    const asked: unknown[] = [];
    const judge = (...difference: unknown[]): string => {
      asked.push(difference);
      return "known";
    };
    const { differences, steps } = await compareBroken(getsNothing, await told(reads), judge);
    expect(steps).toBe(4);
    expect(differences).toEqual([
      { step: 1, rule: "known", expected: value("s0@0"), actual: null },
      { step: 3, rule: "known", expected: value("s2@1"), actual: null },
    ]);
    expect(asked).toEqual([
      [reads.steps[1], value("s0@0"), null],
      [reads.steps[3], value("s2@1"), null],
    ]);
  });

  it("says nothing of a world that is too slow", async () => {
    const slow = changing(({ kv }, clock) => ({
      get: async (bucket, key) => {
        await clock.sleep(UNIT_MS / 2);
        return kv.get(bucket, key);
      },
    }));
    await expect(compareBroken(slow, await told(reads))).rejects.toThrow(TooLate);
  });

  it("waits for no step for ever", async () => {
    const hanging = changing(() => ({ get: () => new Promise(() => undefined) }));
    await expect(compareBroken(hanging, await told(reads))).rejects.toThrow(/did not end within/);
  });
});

const reads = scriptOf(
  { op: "put", bus: 0, bucket: "b", key: "k" },
  { op: "get", bus: 0, bucket: "b", key: "k" },
  { op: "put", bus: 1, bucket: "b", key: "k" },
  { op: "get", bus: 0, bucket: "b", key: "k" },
);

function value(body: string): object {
  return { key: "k", body, revision: body, at: 0 };
}

async function told(script: Script): Promise<Told> {
  return { script, reference: await tell(script) };
}

/** A simulator whose values are read in another way. */
function changing(change: (bus: Bus, clock: Clock) => Partial<KvStore>): Pick<Mutant, "wrap"> {
  return {
    wrap:
      ({ clock, open }) =>
      async (...options) => {
        const bus = await open(...options);
        return override(bus, { kv: override(bus.kv, change(bus, clock)) });
      },
  };
}

const getsNothing = changing(() => ({ get: () => Promise.resolve(undefined) }));
