import { describe, expect, it } from "vitest";
import { simulate } from "../../src/index.ts";

describe("a scenario that goes round in circles", () => {
  it("fails with who does what, although no time passes", async () => {
    const endless = simulate({ seed: 1, maxEventsAtOnce: 1_000 }, async (world) => {
      world.process("eager", async ({ bus }) => {
        // Whoever gives back and takes again at once keeps time from passing.
        for (;;) {
          const [job] = await bus.jobs.claim("q", { workerId: "w" });
          await job?.nak();
        }
      });
      await world.bus.jobs.enqueue("q", { payload: "p" });
      await world.sleep(1_000);
    });
    await expect(endless).rejects.toMatchObject({
      by: "circles",
      message: expect.stringMatching(/1000 events without any time passing; .* eager: job/),
    });
  });

  it("is none while time passes", async () => {
    const { calls } = await simulate({ seed: 1, maxEventsAtOnce: 1_000 }, async (world) => {
      const { bus } = world.process("patient");
      for (let round = 0; round < 3_000; round++) {
        await bus.pubsub.publish("s", "p");
        if (round % 400 === 0) await world.sleep(1);
      }
    });
    expect(calls).toBe(3_000);
  });
});
