import { defineScenario } from "../../../src/index.ts";

/** Fails with some seeds, and reaches something with others. */
export const scenario = defineScenario({
  name: "threaded",
  reaches: ["high"],
  script: (random) => [Math.floor(random.next() * 10)],
  setUp: () => ({ last: 0 }),
  step: async (world, step, state) => {
    state.last = step;
    if (step === 8) world.note("reached: high");
    await world.sleep(step * 1_000);
  },
  check: (_world, { last }) => (last === 9 ? ["nine"] : []),
});
