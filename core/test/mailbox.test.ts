import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { Mailbox } from "../src/adapter.ts";

const value = <T>(item: T) => ({ done: false, value: item });
const END = { done: true, value: undefined };

describe("Mailbox", () => {
  it("gives what waits, in order", async () => {
    const box = new Mailbox<number>();
    expect([box.push(1), box.push(2), box.size]).toEqual([true, true, 2]);
    expect(await box.next()).toEqual(value(1));
    expect(await box.next()).toEqual(value(2));
    expect(box.size).toBe(0);
  });

  it("hands over to readers that wait, in order", async () => {
    const box = new Mailbox<number>();
    const readers = [box.next(), box.next(), box.next()];
    box.push(1);
    box.push(2);
    box.end();
    expect(await Promise.all(readers)).toEqual([value(1), value(2), END]);
  });

  it("gives what waits after its end, then ends", async () => {
    const box = new Mailbox<number>();
    box.push(1);
    box.end();
    box.end();
    expect([box.push(2), box.ended]).toEqual([false, true]);
    expect(await box.next()).toEqual(value(1));
    expect(await box.next()).toEqual(END);
    expect(await box.next()).toEqual(END);
  });

  it("gives what waits after it failed, then the error once", async () => {
    const box = new Mailbox<number>();
    box.push(1);
    box.fail(new Error("broken"));
    box.fail(new Error("too late"));
    expect(box.push(2)).toBe(false);
    expect(await box.next()).toEqual(value(1));
    await expect(box.next()).rejects.toThrow("broken");
    expect(await box.next()).toEqual(END);
  });

  it("fails the reader that waits, and ends the others", async () => {
    const box = new Mailbox<number>();
    const readers = [box.next(), box.next()];
    box.fail(undefined);
    await expect(readers[0]).rejects.toBeUndefined();
    expect(await readers[1]).toEqual(END);
    expect(await box.next()).toEqual(END);
  });

  it("drops the oldest beyond its bound and tells of it", async () => {
    const onDrop = vi.fn();
    const box = new Mailbox<number>({ maxItems: 2, onDrop });
    for (const item of [1, 2, 3, 4]) expect(box.push(item)).toBe(true);
    expect(onDrop).toHaveBeenCalledTimes(2);
    expect(box.drain()).toEqual([3, 4]);
  });

  it("can be drained", async () => {
    const box = new Mailbox<number>();
    for (const item of [1, 2, 3]) box.push(item);
    await box.next();
    expect(box.drain()).toEqual([2, 3]);
    expect([box.size, box.drain()]).toEqual([0, []]);
    box.push(4);
    expect(await box.next()).toEqual(value(4));
  });

  it("carries undefined as an item", async () => {
    const box = new Mailbox<undefined>();
    box.push(undefined);
    expect(await box.next()).toEqual(value(undefined));
  });

  it("behaves like a plain queue", async () => {
    const command = fc.oneof(
      { weight: 5, arbitrary: fc.constant("push" as const) },
      { weight: 4, arbitrary: fc.constant("next" as const) },
      { weight: 1, arbitrary: fc.constant("drain" as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 200 }), async (commands) => {
        const box = new Mailbox<number>();
        const model: number[] = [];
        let count = 0;
        for (const what of commands) {
          if (what === "push") {
            box.push(count);
            model.push(count++);
          } else if (what === "drain") {
            expect(box.drain()).toEqual(model.splice(0));
          } else if (model.length > 0) {
            expect(await box.next()).toEqual(value(model.shift()));
          }
          expect(box.size).toBe(model.length);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("costs the same with a long queue", async () => {
    const box = new Mailbox<number>();
    for (let item = 0; item < 200_000; item++) box.push(item);
    for (let item = 0; item < 200_000; item++) {
      if ((await box.next()).value !== item) throw new Error(`not ${item}`);
    }
    expect(box.size).toBe(0);
  });
});
