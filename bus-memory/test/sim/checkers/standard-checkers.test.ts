import { expect, it } from "vitest";
import { LeaseBook } from "../../../src/engine/lease-book.ts";
import { Queue } from "../../../src/engine/queue.ts";
import { simulate, standardCheckers } from "../../../src/index.ts";
import { finding, plant } from "./planted.ts";
import { SMALL, workload } from "./workload.ts";

it("standardCheckers gives new ones of every checker without options", () => {
  const [one, other] = [standardCheckers(), standardCheckers()];
  expect(one.map(({ name }) => name)).toEqual([
    "no lost jobs",
    "no lost messages",
    "order per subject",
    "one holder per fence",
    "linearizable kv",
  ]);
  for (const [index, checker] of one.entries()) expect(checker).not.toBe(other[index]);
});

it("standardCheckers name the one that found something", async () => {
  const run = () => finding(standardCheckers, (world) => workload(world, SMALL), false);
  plant(Queue.prototype, "finish", () => {
    return function forgetful(this: Queue, lease) {
      this.retry(lease, 0, undefined);
    };
  });
  expect(await run()).toMatch(/^seed 7: no lost jobs: /);
});

it("standardCheckers name the checker of leases for a lease", async () => {
  plant(LeaseBook.prototype, "write", (right) => {
    return function blind(this: LeaseBook, key, value) {
      return right.call(this, key, value, this.read(key)?.revision ?? 0);
    };
  });
  const run = finding(standardCheckers, (world) => workload(world, SMALL), false);
  expect(await run).toMatch(/^seed 7: one holder per fence: /);
});

it("standardCheckers have seen all that a run had", async () => {
  const checkers = standardCheckers();
  const report = await simulate({ seed: 1, checkers: () => checkers }, (world) =>
    workload(world, SMALL),
  );
  const counts = Object.fromEntries(checkers.map((one) => [one.name, one.counts]));
  expect(counts["no lost jobs"]).toMatchObject({ jobs: SMALL.jobs });
  expect(counts["no lost messages"]).toMatchObject({ messages: SMALL.messages });
  expect(counts["linearizable kv"]).toMatchObject({ keys: 3 });
  expect(report.faults).toEqual({});
});
