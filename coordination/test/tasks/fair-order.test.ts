import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FairOrder } from "../../src/tasks/fair-order.ts";

/** Turns by lane. */
function count<Id>(order: FairOrder<Id>, turns: number): Map<Id, number> {
  const counts = new Map<Id, number>();
  for (let turn = 0; turn < turns; turn++) {
    const id = order.next() as Id;
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

function lanes(weights: Readonly<Record<string, number>>): FairOrder<string> {
  const order = new FairOrder<string>();
  for (const [id, weight] of Object.entries(weights)) {
    order.set(id, weight);
    order.want(id);
  }
  return order;
}

describe("FairOrder", () => {
  it("gives each lane its share by weight", () => {
    const counts = count(lanes({ a: 1, b: 2, c: 4 }), 7_000);
    expect([counts.get("a"), counts.get("b"), counts.get("c")]).toEqual([1_000, 2_000, 4_000]);
  });

  it("keeps any two lanes within one turn of each other, by weight", () => {
    const weights = fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(weights, fc.nat(3_000), (all, turns) => {
        const order = new FairOrder<number>();
        for (const [id, weight] of all.entries()) {
          order.set(id, weight);
          order.want(id);
        }
        const counts = count(order, turns);
        const had = all.map((weight, id) => (counts.get(id) ?? 0) / weight);
        for (const [one, a] of all.entries()) {
          for (const [other, b] of all.entries()) {
            const apart = Math.abs((had[one] as number) - (had[other] as number));
            expect(apart).toBeLessThanOrEqual(1 / a + 1 / b + 1e-9);
          }
        }
      }),
    );
  });

  it("gives everything to a lane that is alone", () => {
    const order = lanes({ a: 1, b: 4 });
    count(order, 10);
    order.rest("b");
    expect(count(order, 100)).toEqual(new Map([["a", 100]]));
    expect(order.ready).toBe(1);
    order.rest("a");
    expect(order.next()).toBeUndefined();
  });

  it("gives no credit to who wanted nothing for long, nor lets it wait for that", () => {
    const order = lanes({ noisy: 1, quiet: 1 });
    order.rest("quiet");
    count(order, 10_000);
    order.want("quiet");
    const counts = count(order, 10);
    expect(Math.abs((counts.get("quiet") ?? 0) - 5)).toBeLessThanOrEqual(1);
    // A lane that is new is next, or the one after.
    order.set("new", 1);
    order.want("new");
    expect(count(order, 3).get("new")).toBeGreaterThanOrEqual(1);
  });

  it("keeps who rests and wants again at once from getting more than its share", () => {
    const order = lanes({ greedy: 1, calm: 1 });
    const counts = new Map<string, number>();
    for (let turn = 0; turn < 1_000; turn++) {
      const id = order.next() as string;
      counts.set(id, (counts.get(id) ?? 0) + 1);
      order.rest("greedy");
      order.want("greedy");
    }
    expect(counts.get("greedy")).toBe(500);
  });

  it("counts what a lane takes more than its turn", () => {
    const order = lanes({ a: 1, b: 1 });
    expect(order.next()).toBe("a");
    order.take("a", 3);
    expect(count(order, 4)).toEqual(new Map([["b", 4]]));
    expect(count(order, 10)).toEqual(
      new Map([
        ["a", 5],
        ["b", 5],
      ]),
    );
  });

  it("gives back the turns that a lane could not use", () => {
    const order = lanes({ a: 1, b: 1 });
    count(order, 6);
    order.giveBack("b", 2);
    expect(count(order, 2)).toEqual(new Map([["b", 2]]));
    // At rest too: what was claimed for is known later.
    order.rest("b");
    order.giveBack("b", 1);
    count(order, 3);
    order.want("b");
    expect(count(order, 2).get("b")).toBe(1);
  });

  it("keeps the turns of a lane that cannot take them at the moment", () => {
    const order = lanes({ a: 1, b: 1 });
    order.hold("a");
    expect(count(order, 10)).toEqual(new Map([["b", 10]]));
    expect(order.ready).toBe(1);
    order.want("a");
    expect(count(order, 10)).toEqual(new Map([["a", 10]]));
    // Who rests meanwhile gives them up.
    order.hold("a");
    count(order, 10);
    order.rest("a");
    order.want("a");
    expect(Math.abs((count(order, 10).get("a") ?? 0) - 5)).toBeLessThanOrEqual(1);
  });

  it("takes a new weight from the next turn on", () => {
    const order = lanes({ a: 1, b: 1 });
    count(order, 100);
    order.set("b", 3);
    expect(count(order, 400).get("b")).toBeGreaterThanOrEqual(298);
  });

  it("forgets lanes that are removed, and refuses what it does not know", () => {
    const order = lanes({ a: 1, b: 1 });
    order.delete("a");
    order.delete("a");
    expect(count(order, 5)).toEqual(new Map([["b", 5]]));
    expect(() => order.want("a")).toThrow(RangeError);
    expect(() => order.set("c", 0)).toThrow(RangeError);
    expect(() => order.set("c", 1.5)).toThrow(RangeError);
    order.rest("nobody");
    order.giveBack("nobody", 1);
  });

  it("does not grow, however often lanes come and go", () => {
    const order = new FairOrder<number>();
    for (let round = 0; round < 10_000; round++) {
      order.set(round % 50, 1);
      order.want(round % 50);
      if (round % 3 === 0) order.next();
      order.rest((round + 25) % 50);
    }
    for (let id = 0; id < 50; id++) order.delete(id);
    expect([order.ready, order.next()]).toEqual([0, undefined]);
  });
});
