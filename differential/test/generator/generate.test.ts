import { describe, expect, it } from "vitest";
import { generate, scriptSeed } from "../../src/generator/generate.ts";
import type { Op, Script } from "../../src/script.ts";

/** Every operation there is: the compiler asks for one that is missing. */
const OPS: Readonly<Record<Op, true>> = {
  wait: true,
  openBus: true,
  closeBus: true,
  restartServer: true,
  join: true,
  bad: true,
  publish: true,
  notify: true,
  listen: true,
  hear: true,
  unlisten: true,
  poll: true,
  subscribe: true,
  take: true,
  unsubscribe: true,
  settle: true,
  deleteDurable: true,
  dead: true,
  ensureBucket: true,
  deleteBucket: true,
  put: true,
  create: true,
  cas: true,
  delete: true,
  get: true,
  history: true,
  keys: true,
  watch: true,
  watched: true,
  unwatch: true,
  race: true,
  lease: true,
  leaseCall: true,
  enqueue: true,
  enqueueMany: true,
  claim: true,
  job: true,
  stats: true,
  pause: true,
  resume: true,
  purge: true,
  deleteQueue: true,
  serve: true,
  unserve: true,
  request: true,
  requestMany: true,
};

const SCRIPTS = 600;
const RUN_SEED = 1;

function scripts(): Script[] {
  return Array.from({ length: SCRIPTS }, (_, index) => generate(scriptSeed(RUN_SEED, index)));
}

describe("generate", () => {
  it("makes the same script of the same seed", () => {
    for (let index = 0; index < 50; index++) {
      const seed = scriptSeed(RUN_SEED, index);
      expect(generate(seed)).toEqual(generate(seed));
    }
  });

  it("makes other scripts of other seeds", () => {
    const texts = scripts().map(({ steps }) => JSON.stringify(steps));
    expect(new Set(texts).size).toBe(SCRIPTS);
  });

  it("makes no script of fewer than 20 steps", () => {
    expect(Math.min(...scripts().map(({ steps }) => steps.length))).toBeGreaterThanOrEqual(20);
  });

  it("numbers the steps, so that each payload says where it comes from", () => {
    for (const { steps } of scripts()) {
      expect(steps.map(({ id }) => id)).toEqual(steps.map((_, index) => index));
    }
  });

  it("makes scripts of plain data", () => {
    for (const script of scripts()) {
      expect(JSON.parse(JSON.stringify(script))).toEqual(script);
    }
  });

  it("uses every operation", () => {
    const used = new Set<Op>(scripts().flatMap(({ steps }) => steps.map(({ op }) => op)));
    expect(Object.keys(OPS).filter((op) => !used.has(op as Op))).toEqual([]);
  });

  it("says which scripts restart their server", () => {
    for (const { steps, restarts } of scripts()) {
      expect(steps.filter(({ op }) => op === "restartServer")).toHaveLength(restarts ? 1 : 0);
    }
  });

  it("makes as many steps as it is asked for, and looks at everything after them", () => {
    const { steps } = generate(RUN_SEED, { steps: 100 });
    expect(steps.length).toBeGreaterThanOrEqual(100);
    expect(steps.length).toBeLessThan(150);
  });
});

describe("scriptSeed", () => {
  it("gives each script of a run a seed of its own", () => {
    const seeds = Array.from({ length: 10_000 }, (_, index) => scriptSeed(RUN_SEED, index));
    expect(new Set(seeds).size).toBe(seeds.length);
    expect(seeds.every((seed) => Number.isInteger(seed) && seed >= 0)).toBe(true);
  });

  it("gives runs with neighbouring seeds other scripts", () => {
    const first = Array.from({ length: 1_000 }, (_, index) => scriptSeed(1, index));
    const second = Array.from({ length: 1_000 }, (_, index) => scriptSeed(2, index));
    expect(new Set([...first, ...second]).size).toBe(2_000);
  });
});
