import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Heap } from "../src/heap.ts";

describe("Heap", () => {
  it("gives what was put in, in order, whatever comes between", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.nat(50), fc.constant("pop"), fc.constant("odd"))),
        (steps) => {
          const heap = new Heap<number>((a, b) => a < b);
          let model: number[] = [];
          for (const step of steps) {
            if (step === "pop") {
              expect(heap.pop()).toBe(model.shift());
            } else if (step === "odd") {
              heap.retain((item) => item % 2 === 1);
              model = model.filter((item) => item % 2 === 1);
            } else {
              heap.push(step as number);
              model = [...model, step as number].toSorted((a, b) => a - b);
            }
            expect([heap.size, heap.first]).toEqual([model.length, model[0]]);
            expect(heap.items.toSorted((a, b) => a - b)).toEqual(model);
          }
        },
      ),
    );
  });
});
