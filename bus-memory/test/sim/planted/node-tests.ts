import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate } from "../../../src/index.ts";

// Run by node itself. The second one fails on purpose.

await test("an hour passes", async () => {
  const { virtualMs } = await simulate({ seed: 5 }, (world) => world.sleep(3_600_000));
  assert.equal(virtualMs, 3_600_000);
});

await test("a deadlock fails", async () => {
  await simulate({ seed: 5, graceMs: 10 }, async (world) => {
    const { bus } = world.process("p");
    const subscription = await bus.pubsub.subscribe("s", { durable: "d" });
    await subscription[Symbol.asyncIterator]().next();
  });
});
