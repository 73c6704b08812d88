import { describe, expect, it } from "vitest";
import { StatusHub } from "../src/adapter.ts";
import type { BusStatus } from "../src/index.ts";

const up: BusStatus = { type: "connected", server: "s" };
const down: BusStatus = { type: "disconnected", reason: "r" };
const closed: BusStatus = { type: "closed", reason: "r" };
const slow = (dropped: number): BusStatus => ({ type: "slow", what: "w", dropped });

async function all(statuses: AsyncIterable<BusStatus>): Promise<BusStatus[]> {
  const seen: BusStatus[] = [];
  for await (const status of statuses) seen.push(status);
  return seen;
}

describe("StatusHub", () => {
  it("starts with the current connection state and ends when the bus is closed", async () => {
    const hub = new StatusHub();
    hub.emit(down);
    hub.emit(up);
    hub.emit(slow(1));
    const reading = all(hub.subscribe());
    hub.emit(slow(2));
    hub.emit(down);
    hub.emit(closed);
    hub.emit(up);
    expect(await reading).toEqual([up, slow(2), down, closed]);
  });

  it("keeps the newest warnings that nobody heard for the first reader", async () => {
    const hub = new StatusHub();
    const warning = (code: string): BusStatus => ({ type: "warning", code, message: "m" });
    for (let count = 0; count < 20; count++) hub.emit(warning(`${count}`));
    hub.emit(up);
    const first = all(hub.subscribe());
    hub.emit(warning("heard"));
    const second = all(hub.subscribe());
    hub.emit(closed);
    const kept = Array.from({ length: 16 }, (_, index) => warning(`${index + 4}`));
    expect(await first).toEqual([up, ...kept, warning("heard"), closed]);
    expect(await second).toEqual([up, closed]);
  });

  it("tells every reader everything", async () => {
    const hub = new StatusHub();
    const readings = [all(hub.subscribe()), all(hub.subscribe())];
    hub.emit(up);
    hub.emit(closed);
    expect(await Promise.all(readings)).toEqual([
      [up, closed],
      [up, closed],
    ]);
  });

  it("tells who comes late that it is closed", async () => {
    const hub = new StatusHub();
    hub.emit(up);
    hub.emit(closed);
    expect(await all(hub.subscribe())).toEqual([closed]);
  });

  it("keeps 256 for a reader that is too slow: it misses the oldest", async () => {
    const hub = new StatusHub();
    const iterator = hub.subscribe()[Symbol.asyncIterator]();
    for (let count = 0; count < 1_000; count++) hub.emit(slow(count));
    expect((await iterator.next()).value).toEqual(slow(744));
  });

  it("forgets a reader that left, also one that waits", async () => {
    const hub = new StatusHub();
    hub.emit(up);
    for await (const status of hub.subscribe()) {
      expect(status).toEqual(up);
      break;
    }
    const iterator = hub.subscribe()[Symbol.asyncIterator]();
    await iterator.next();
    const waiting = iterator.next();
    await iterator.return?.();
    hub.emit(down);
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });
});
