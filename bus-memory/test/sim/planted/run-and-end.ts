import { getActiveResourcesInfo } from "node:process";
import { ALL_FAULTS, simulate, type SimulateOptions } from "../../../src/index.ts";
import { SMALL, workload } from "../checkers/workload.ts";

// Run by node itself: runs that pass, and runs that fail while much is under way.

for (let seed = 1; seed <= 3; seed += 1) {
  const options: SimulateOptions = { seed, faults: ALL_FAULTS };
  await simulate(options, (world) => workload(world, SMALL));
  const failing = simulate(options, async (world) => {
    const short = workload(world, SMALL);
    await world.sleep(10_000);
    await Promise.race([short, Promise.reject(new Error("on purpose"))]);
  });
  await failing.catch(() => undefined);
}
// What writes to the outside is not ours.
const left = getActiveResourcesInfo().filter(
  (name) => !/^(PipeWrap|TTYWrap|Immediate)$/.test(name),
);
process.stdout.write(`left: ${JSON.stringify(left)}\n`);
