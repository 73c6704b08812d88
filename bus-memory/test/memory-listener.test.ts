import { toText } from "@busbar/core";
import { expect, it } from "vitest";
import { next, take, world } from "./support.ts";

it("MemoryListener drops the oldest, counts them, and says so ever more rarely", async () => {
  const { open } = world();
  await using bus = await open();
  const status = bus.status()[Symbol.asyncIterator]();
  expect((await status.next()).value).toMatchObject({ type: "connected" });
  const listener = await bus.pubsub.listen("s", { maxBuffered: 4 });
  for (let index = 0; index < 104; index++) await bus.pubsub.notify("s", String(index));
  expect(listener.dropped).toBe(100);
  const kept = (await take(listener, 4)).map(({ payload }) => toText(payload));
  expect(kept).toEqual(["100", "101", "102", "103"]);
  const told: unknown[] = [];
  for (let count = 0; count < 7; count++) told.push((await status.next()).value);
  expect(told.map((one) => Reflect.get(one as object, "dropped"))).toEqual([
    1, 2, 4, 8, 16, 32, 64,
  ]);
  const waiting = next(listener);
  await listener.close();
  await expect(waiting).rejects.toThrow("ended");
});
