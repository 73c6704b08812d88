import type { Bus, Clock, KvStore } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { allMutants } from "../../conformance-tests/test/mutants/index.ts";
import type { Mutant } from "../../conformance-tests/test/mutants/mutant.ts";
import { unbroken } from "../../conformance-tests/test/mutants/unbroken.ts";
import type { Difference } from "../src/execute.ts";
import { override } from "../src/memory-world.ts";
import { TooLate } from "../src/run.ts";
import type { Script } from "../src/script.ts";
import { shrink } from "../src/shrink.ts";
import {
  clearScripts,
  compareBroken,
  scriptOf,
  tell,
  type Told,
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

async function findDifference(
  mutant: Mutant,
): Promise<{ readonly told: Told; readonly difference: Difference } | undefined> {
  for (let index = 0; ; index++) {
    const told = await toldAt(index);
    if (told === undefined) return undefined;
    const [difference] = (await compareBroken(mutant, told)).differences;
    if (difference) return { told, difference };
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

  it.each(PLANTED)("finds %s, in a script that shrinks to a few steps", async (id) => {
    const mutant = allMutants.find((one) => one.id === id) as Mutant;
    const found = await findDifference(mutant);
    expect(found, `${id} in ${SCRIPTS} scripts`).toBeDefined();
    if (found === undefined) return;
    const { script } = found.told;
    const op = script.steps[found.difference.step]?.op;
    const small = await shrink(script, {
      fails: async (candidate) => {
        const reference = await tell(candidate);
        if (!reference.isClear) return false;
        const [difference] = (await compareBroken(mutant, { script: candidate, reference }))
          .differences;
        return difference !== undefined && candidate.steps[difference.step]?.op === op;
      },
    });
    expect(small.steps.length, JSON.stringify(small.steps, undefined, 1)).toBeLessThanOrEqual(
      MAX_STEPS,
    );
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
