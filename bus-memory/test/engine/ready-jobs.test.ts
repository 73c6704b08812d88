import fc from "fast-check";
import { expect, it } from "vitest";
import { ReadyJobs } from "../../src/engine/ready-jobs.ts";
import { StoredJob } from "../../src/engine/stored-job.ts";

const BYTES = { slab: new Uint8Array(0), at: 0, length: 0 };

function job(number: number, priority: number): StoredJob {
  const content = { headers: {}, dedupKey: undefined, priority, maxAttempts: 5, enqueuedAtMs: 0 };
  return new StoredJob(number, content, BYTES);
}

it("ReadyJobs gives the highest priority first, then what came back, then by rank", () => {
  const step = fc.oneof(
    fc.record({ add: fc.nat(9), late: fc.nat(3) }),
    fc.record({ take: fc.nat(9) }),
    fc.record({ remove: fc.nat(40) }),
    fc.record({ back: fc.nat(), left: fc.boolean() }),
    fc.record({ dropLast: fc.nat(12) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const ready = new ReadyJobs();
      let model: StoredJob[] = [];
      let out: StoredJob[] = [];
      let number = 0;
      for (const one of steps) {
        if ("add" in one) {
          // Delays let jobs arrive out of the order of their numbers.
          number += 4;
          const added = job(number - one.late * 5, one.add);
          if (one.late > 0) ready.add(added);
          else ready.push(number, added, BYTES);
          model.push(added);
        } else if ("take" in one) {
          const [wanted] = model
            .filter(({ priority }) => priority <= one.take)
            .toSorted((a, b) => {
              const back = Number(b.wasClaimed) - Number(a.wasClaimed);
              return b.priority - a.priority || back || a.rank - b.rank;
            });
          const taken = ready.take(one.take);
          expect(taken).toEqual(wanted);
          model = model.filter((other) => other !== wanted);
          if (taken) {
            taken.wasClaimed = true;
            taken.wasLeft = false;
            out.push(taken);
          }
        } else if ("remove" in one) {
          const wanted = model.find((other) => other.number === number - one.remove);
          const found = ready.find(number - one.remove);
          expect(found).toEqual(wanted);
          if (found) ready.remove(found);
          model = model.filter((other) => other !== wanted);
        } else if ("dropLast" in one) {
          const from = number - one.dropLast;
          const dropped = model.filter((other) => other.number >= from);
          const left = dropped.filter((other) => other.wasLeft);
          expect(ready.dropFrom(from)).toBe(left.length);
          model = model.filter((other) => other.number < from);
          out = out.filter((other) => other.number < from);
        } else if (out.length > 0) {
          const [back] = out.splice(one.back % out.length, 1) as [StoredJob];
          back.wasLeft = one.left;
          ready.add(back);
          model.push(back);
        }
        expect(ready.size).toBe(model.length);
      }
    }),
  );
});
