import fc from "fast-check";
import { it } from "vitest";
import { CrashRun } from "./crash-run.ts";
import { step } from "./crash-steps.ts";

it("a server that crashed is as one that never did what was lost, and can be drained", async () => {
  const property = fc.asyncProperty(
    fc.array(step, { maxLength: 80, size: "max" }),
    async (steps) => {
      const run = await CrashRun.start();
      for (const one of steps) {
        await run.apply(one);
        await run.check();
      }
      await run.drain();
    },
  );
  // A failure prints its seed and its path.
  await fc.assert(property, { numRuns: 100 });
});
