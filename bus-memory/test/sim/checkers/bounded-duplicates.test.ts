import { describe, expect, it } from "vitest";
import { Consumer } from "../../../src/engine/consumer.ts";
import { Queue } from "../../../src/engine/queue.ts";
import {
  boundedDuplicates,
  type ProcessContext,
  simulate,
  type World,
} from "../../../src/index.ts";
import { every, finding, plant } from "./planted.ts";
import { Story, verdict } from "./story.ts";

async function work({ bus, signal }: ProcessContext): Promise<void> {
  while (!signal.aborted) {
    for (const job of await bus.jobs.claim("q", { workerId: "w", waitMs: 1_000 })) {
      if (job.attempt === 1) await job.nak();
      else await job.ack();
    }
  }
}

async function read({ bus }: ProcessContext): Promise<void> {
  for await (const message of await bus.pubsub.subscribe("s", { durable: "d" })) {
    if (message.deliveryCount === 1) await message.nak();
    else await message.ack();
  }
}

async function both(world: World): Promise<void> {
  world.process("worker", work);
  world.process("reader", read);
  const { bus } = world.process("producer");
  for (let count = 0; count < 10; count += 1) {
    await bus.jobs.enqueue("q", { payload: "x" });
    await bus.pubsub.publish("s", "x");
    await world.sleep(100);
  }
  await world.sleep(5_000);
}

describe("boundedDuplicates finds in the engine", () => {
  it("a job that comes again though it is done", async () => {
    const now = every(4);
    plant(Queue.prototype, "finish", (right) => {
      return function forgetful(this: Queue, lease) {
        if (now()) this.retry(lease, 0, undefined);
        else right.call(this, lease);
      };
    });
    expect(await finding(() => [boundedDuplicates({ perJob: 0 })], both)).toMatch(
      /job \d+ of queue q: 1 duplicates, allowed are 0/,
    );
  });

  it("a message that comes again though it is done", async () => {
    const now = every(4);
    plant(Consumer.prototype, "finish", (right) => {
      return function forgetful(this: Consumer, delivery) {
        if (now()) this.retry(delivery, 0);
        else right.call(this, delivery);
      };
    });
    expect(await finding(() => [boundedDuplicates({ perMessage: 0 })], both)).toMatch(
      /message \d+ at d: 1 duplicates, allowed are 0/,
    );
    expect(await finding(() => [boundedDuplicates({ total: 1 })], both)).toMatch(
      /message \d+ at d is duplicate 2 of the run, allowed are 1/,
    );
  });

  it("nothing where only naks bring things back", async () => {
    const checker = boundedDuplicates({ total: 0 });
    await simulate({ seed: 7, checkers: () => [checker] }, both);
    expect(checker.counts).toEqual({
      jobs: 10,
      messages: 10,
      duplicateJobs: 0,
      duplicateMessages: 0,
    });
  });
});

function job(story: Story, id = "1", queue = "q"): Story {
  return story.deliver("w", "job", queue, { id, attempt: 1, fence: 1, payload: "x" });
}

function message(story: Story, sequence = 1, consumer = "d"): Story {
  return story.deliver("r", "message", "s", { consumer, sequence, deliveryCount: 1 });
}

describe("boundedDuplicates, what it says of", () => {
  it("a job that comes twice: each job by itself, each queue by itself", () => {
    const limits = { perJob: 1 };
    const twice = () => job(job(job(job(new Story()), "2"), "1", "other"));
    expect(verdict(boundedDuplicates(limits), twice())).toBeUndefined();
    expect(verdict(boundedDuplicates(limits), job(job(twice()), "2"))).toMatch(
      /job 1 of queue q: 2 duplicates, allowed are 1/,
    );
    expect(verdict(boundedDuplicates(limits), message(message(message(twice()))))).toBe(undefined);
  });

  it("a message that comes twice: each consumer by itself", () => {
    const limits = { perMessage: 0 };
    const once = () => message(message(message(new Story()), 2), 1, "other");
    expect(verdict(boundedDuplicates(limits), once())).toBeUndefined();
    expect(verdict(boundedDuplicates(limits), message(once(), 1, "other"))).toMatch(
      /message 1 at other: 1 duplicates, allowed are 0/,
    );
  });

  it("all of the run together", () => {
    const story = message(message(job(job(new Story()))));
    expect(verdict(boundedDuplicates({ total: 2 }), story)).toBeUndefined();
    expect(verdict(boundedDuplicates({ total: 1 }), story)).toMatch(
      /message 1 at d is duplicate 2 of the run, allowed are 1/,
    );
  });

  it("a job that is given back: it asks for one delivery more", () => {
    const again = job(job(new Story()).did("w", "job.giveBack", "q", { asked: { id: "1" } }));
    expect(verdict(boundedDuplicates({ total: 0 }), again)).toBeUndefined();
    expect(verdict(boundedDuplicates({ total: 0 }), job(again))).toMatch(/duplicate 1/);
  });

  it("a nak: it asks for one delivery more", () => {
    const limits = { total: 0 };
    const jobs = job(new Story()).call("w", "job.nak", "q", { id: "1" });
    expect(jobs).toBe(1);
    const again = job(job(new Story()).did("w", "job.nak", "q", { asked: { id: "1" } }));
    expect(verdict(boundedDuplicates(limits), again)).toBeUndefined();
    expect(verdict(boundedDuplicates(limits), job(again))).toMatch(/duplicate 1 of the run/);
    const other = job(job(new Story()).did("w", "job.nak", "q", { asked: { id: "2" } }));
    expect(verdict(boundedDuplicates(limits), other)).toMatch(/duplicate 1 of the run/);
    const nak = { asked: { consumer: "d", sequence: 1 } };
    const naked = message(message(new Story()).did("r", "message.nak", "s", nak));
    expect(verdict(boundedDuplicates(limits), naked)).toBeUndefined();
    expect(verdict(boundedDuplicates(limits), message(naked))).toMatch(/duplicate 1 of the run/);
  });

  it("no limits: it only counts", () => {
    const checker = boundedDuplicates();
    expect(verdict(checker, message(message(job(job(job(new Story()))))))).toBeUndefined();
    expect(checker.counts).toEqual({
      jobs: 1,
      messages: 1,
      duplicateJobs: 2,
      duplicateMessages: 1,
    });
  });

  it("a limit that is none", () => {
    for (const field of ["perJob", "perMessage", "total"]) {
      for (const limit of [-1, 0.5, Number.NaN]) {
        expect(() => boundedDuplicates({ [field]: limit })).toThrow(field);
      }
    }
  });
});
