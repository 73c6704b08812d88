import { describe, expect, it } from "vitest";
import { Consumer } from "../../../src/engine/consumer.ts";
import { DeadLetterStore } from "../../../src/engine/dead-letter-store.ts";
import { MessageHub } from "../../../src/engine/message-hub.ts";
import { Stream } from "../../../src/engine/stream.ts";
import { SubjectTree } from "../../../src/engine/subject-tree.ts";
import { noLostMessages, type ProcessContext, type World } from "../../../src/index.ts";
import { every, finding, plant } from "./planted.ts";
import { delivered, published, settled, subscribed } from "./stories.ts";
import { finalVerdict, Story, verdict } from "./story.ts";

async function read({ bus }: ProcessContext): Promise<void> {
  const options = { durable: "d", ackWaitMs: 1_000, maxDeliveries: 3 };
  for await (const message of await bus.pubsub.subscribe("s.>", options)) {
    if (message.sequence % 4 === 0 && message.deliveryCount === 1) await message.nak();
    else if (message.sequence % 4 === 1) await message.nak();
    else await message.ack({ confirm: true });
  }
}

async function readers(world: World): Promise<void> {
  world.process("r1", read);
  world.process("r2", read);
  const { bus } = world.process("producer");
  for (let count = 1; count <= 12; count += 1) {
    await bus.pubsub.publish(`s.${count % 2}`, `p${count}`, { messageId: `${count >> 1}` });
    await world.sleep(100);
  }
  await world.sleep(10_000);
}

const checkers = () => [noLostMessages()];

describe("noLostMessages finds in the engine", () => {
  it("a publish that stores nothing", async () => {
    const now = every(5);
    let sequence = 1_000;
    plant(MessageHub.prototype, "publish", (right) => {
      return function lossy(this: MessageHub, publication) {
        if (!now()) return right.call(this, publication);
        sequence += 1;
        return { sequence, duplicate: false };
      };
    });
    expect(await finding(checkers, readers)).toMatch(
      /durable d: 2 messages were neither settled .* 2 of them never delivered: 1001 on s/,
    );
  });

  it("a message that a durable never gets", async () => {
    plant(Consumer.prototype, "offer", (right) => {
      return function skipping(this: Consumer, sequence) {
        // The consumer takes the message after it for it.
        if (sequence !== 3) right.call(this, sequence);
      };
    });
    expect(await finding(checkers, readers)).toMatch(/1 of them never delivered: 3 on/);
  });

  it("a dead letter that is not kept", async () => {
    plant(DeadLetterStore.prototype, "add", () => () => undefined);
    expect(await finding(checkers, readers, () => true)).toMatch(
      /neither settled nor are they dead/,
    );
  });

  it("a message that is stored twice", async () => {
    plant(MessageHub.prototype, "publish", (right) => {
      return function doubling(this: MessageHub, publication) {
        right.call(this, { ...publication, messageId: undefined });
        return right.call(this, publication);
      };
    });
    expect(await finding(checkers, readers)).toMatch(/no process published it|more messages/);
  });

  it("another payload", async () => {
    plant(Stream.prototype, "append", (right) => {
      return function garbling(this: Stream, subject, payload, headers) {
        return right.call(this, subject, payload.slice(1), headers);
      };
    });
    expect(await finding(checkers, readers)).toMatch(
      /another subject, payload|no process published/,
    );
  });

  it("a message for others", async () => {
    plant(SubjectTree.prototype, "match", () => {
      return function all(this: SubjectTree<object>) {
        return [...this.values()];
      };
    });
    const scenario = async (world: World): Promise<void> => {
      world.process("r", read);
      const { bus } = world.process("p");
      await world.sleep(100);
      await bus.pubsub.publish("t", "x");
      await world.sleep(1_000);
    };
    expect(await finding(checkers, scenario)).toMatch(/on t to d at r: not a subject of this/);
  });

  it("a message that comes again after a confirmed ack", async () => {
    plant(Consumer.prototype, "finish", () => {
      return function forgetful(this: Consumer, delivery) {
        this.retry(delivery, 0);
      };
    });
    expect(await finding(checkers, readers)).toMatch(/it was settled for good with delivery \d/);
  });

  it("a delivery that does not count", async () => {
    plant(Consumer.prototype, "retry", (right) => {
      return function uncounted(this: Consumer, delivery, delayMs) {
        delivery.count -= 1;
        right.call(this, delivery, delayMs);
      };
    });
    expect(await finding(checkers, readers)).toMatch(/this count came before/);
  });

  it("more deliveries than allowed", async () => {
    plant(Consumer.prototype, "retry", (right) => {
      return function endless(this: Consumer, delivery, delayMs) {
        const { maxDeliveries } = this.options;
        Object.assign(this.options, { maxDeliveries: 10 });
        right.call(this, delivery, delayMs);
        Object.assign(this.options, { maxDeliveries });
      };
    });
    expect(await finding(checkers, readers)).toMatch(/delivery 4 of message \d+ .*: at most 3/);
  });

  it("a duplicate that names another message", async () => {
    plant(MessageHub.prototype, "publish", (right) => {
      return function confused(this: MessageHub, publication) {
        const { sequence, duplicate } = right.call(this, publication);
        return { sequence: duplicate ? sequence - 1 : sequence, duplicate };
      };
    });
    expect(await finding(checkers, readers)).toMatch(
      /answered with the sequence of another message/,
    );
  });
});

describe("noLostMessages, what it says of", () => {
  it("a message that was not settled: it is missed after a liveness phase only", async () => {
    for (const story of [published(), delivered(published())]) {
      expect(await finalVerdict(noLostMessages(), story)).toMatchObject([
        /1 messages were neither/,
      ]);
      expect(await finalVerdict(noLostMessages(), story, { drained: false })).toEqual([]);
    }
    const nak = settled(delivered(published()), "message.nak");
    expect(await finalVerdict(noLostMessages(), nak)).toHaveLength(1);
    for (const op of ["message.ack", "message.term"]) {
      const story = settled(delivered(published()), op);
      expect(await finalVerdict(noLostMessages(), story)).toEqual([]);
    }
  });

  it("a durable that nobody reads any more: nothing is missed", async () => {
    const killed = published().note("r", "killed");
    expect(await finalVerdict(noLostMessages(), killed)).toEqual([]);
    const closed = published().note("r", "subscription.close", { consumer: "d", member: "r/1" });
    expect(await finalVerdict(noLostMessages(), closed)).toEqual([]);
    const back = killed.did("r", "pubsub.subscribe", "s", {
      asked: { consumer: "d", member: "r/1", durable: true, from: "all" },
    });
    expect(await finalVerdict(noLostMessages(), back)).toHaveLength(1);
  });

  it("where a durable begins", async () => {
    const early = new Story().did("p", "pubsub.publish", "s", {
      asked: { payload: "x" },
      got: { sequence: 1, duplicate: false },
    });
    const then = (from: unknown): Story => {
      const story = new Story().at(10);
      story.events.push(...early.events);
      return story.did("r", "pubsub.subscribe", "s", {
        asked: { consumer: "d", member: "r/1", durable: true, from },
      });
    };
    const missed = async (story: Story) => (await finalVerdict(noLostMessages(), story)).length;
    expect(await missed(then("all"))).toBe(1);
    expect(await missed(then("new"))).toBe(0);
    expect(await missed(published("new"))).toBe(1);
    expect(await missed(then({ sequence: 1 }))).toBe(1);
    expect(await missed(then({ sequence: 2 }))).toBe(0);
    expect(await missed(then({ timeMs: 0 }))).toBe(0);
  });

  it("a durable that was deleted, or may have been: nothing is missed", async () => {
    const gone = published().did("p", "pubsub.deleteDurable", "d", { got: {} });
    expect(await finalVerdict(noLostMessages(), gone)).toEqual([]);
    const unsure = published();
    unsure.error(unsure.call("p", "pubsub.deleteDurable", "d"), "TIMEOUT");
    expect(await finalVerdict(noLostMessages(), unsure)).toEqual([]);
  });

  it("a publish of unknown outcome: one message may come of it, and not two", () => {
    const story = subscribed("all");
    story.error(story.call("p", "pubsub.publish", "s", { payload: "x" }), "TIMEOUT");
    expect(verdict(noLostMessages(), delivered(story.at(90_000)))).toBeUndefined();
    expect(verdict(noLostMessages(), delivered(story, { sequence: 2 }))).toMatch(/no process/);
  });

  it("a publish that was refused: nothing may come of it", () => {
    const story = subscribed("all");
    story.error(story.call("p", "pubsub.publish", "s", { payload: "x" }), "CONFLICT");
    expect(verdict(noLostMessages(), delivered(story))).toMatch(/no process published it/);
  });

  it("a sequence for two messages", () => {
    const story = published().did("p", "pubsub.publish", "s", {
      asked: { payload: "y" },
      got: { sequence: 1, duplicate: false },
    });
    expect(verdict(noLostMessages(), story)).toMatch(/two publishes were answered with .* 1/);
  });

  it("an ack that was refused: it is none", async () => {
    const story = delivered(published());
    const facts = { consumer: "d", sequence: 1, deliveryCount: 1 };
    story.error(story.call("r", "message.ack", "s", facts), "LEASE_LOST");
    expect(await finalVerdict(noLostMessages(), story)).toHaveLength(1);
  });

  it("an old delivery that was under way for long: it may arrive after the ack of a later one", () => {
    const story = settled(delivered(published(), { deliveryCount: 2 }), "message.ack", {
      deliveryCount: 2,
      confirm: true,
    });
    expect(verdict(noLostMessages(), delivered(story))).toBeUndefined();
    expect(verdict(noLostMessages(), delivered(story, { deliveryCount: 3 }))).toMatch(/for good/);
  });

  it("a settle that a crash has lost: the message may come again", () => {
    const story = (lostSettlesMs: number) => {
      const acked = settled(delivered(published()).at(100), "message.ack", { confirm: true });
      const crashed = acked.at(250).fault("server", "serverCrash", { lostSettlesMs });
      return delivered(crashed, { deliveryCount: 2 });
    };
    expect(verdict(noLostMessages(), story(200))).toBeUndefined();
    expect(verdict(noLostMessages(), story(100))).toMatch(/for good/);
  });

  it("a message that a crash has lost: it is counted, its sequence may be given again", async () => {
    const crashed = (atMs: number) =>
      published().at(atMs).fault("server", "serverCrash", { lostWritesMs: 100 });
    const checker = noLostMessages();
    expect(await finalVerdict(checker, crashed(50))).toEqual([]);
    expect(checker.counts).toMatchObject({ lostWrites: 1 });
    expect(await finalVerdict(noLostMessages(), crashed(150))).toHaveLength(1);
    const again = (atMs: number) =>
      crashed(atMs).did("p", "pubsub.publish", "s", {
        asked: { payload: "y" },
        got: { sequence: 1, duplicate: false },
      });
    expect(verdict(noLostMessages(), delivered(again(50), { payload: "y" }))).toBeUndefined();
    // The lost one may still have been under way.
    expect(verdict(noLostMessages(), delivered(again(50)))).toBeUndefined();
    expect(verdict(noLostMessages(), again(150))).toMatch(/two publishes/);
  });

  it("a message like one that a crash has lost: it may be delivered and settled again", async () => {
    const twice = (lostWritesMs: number): Story => {
      const story = subscribed("all");
      story.error(story.call("p", "pubsub.publish", "s", { payload: "x" }), "TIMEOUT");
      settled(delivered(story).at(10), "message.ack", { confirm: true });
      story.at(20).fault("server", "serverCrash", { lostWritesMs });
      story.at(100).did("p", "pubsub.publish", "s", {
        asked: { payload: "x" },
        got: { sequence: 1, duplicate: false },
      });
      return settled(delivered(story), "message.ack", { confirm: true });
    };
    expect(verdict(noLostMessages(), twice(50))).toBeUndefined();
    expect(verdict(noLostMessages(), twice(0))).toMatch(/came before/);
    // What a crash loses later may be the one that is there.
    const later = twice(50).at(110).fault("server", "serverCrash", { lostWritesMs: 50 });
    expect(await finalVerdict(noLostMessages(), delivered(later, { deliveryCount: 2 }))).toEqual(
      [],
    );
  });

  it("a publish that is sent again after a crash has lost it: it may arrive twice", () => {
    const story = (lostWritesMs: number): Story => {
      const begun = subscribed("all");
      begun.call("p", "pubsub.publish", "s", { payload: "x", messageId: "m" });
      delivered(begun, { sequence: 2 }).at(10).fault("server", "serverCrash", { lostWritesMs });
      return delivered(begun.at(20));
    };
    expect(verdict(noLostMessages(), story(50))).toBeUndefined();
    expect(verdict(noLostMessages(), story(0))).toMatch(/no process published it/);
    expect(verdict(noLostMessages(), delivered(story(50), { sequence: 3 }))).toMatch(/no process/);
  });

  it("a dead letter that was replayed: its deliveries begin anew", () => {
    const replayed = (story: Story) =>
      delivered(story.did("p", "deadLetters.replay", "d", { asked: { id: "1" } }));
    expect(verdict(noLostMessages(), delivered(delivered(published())))).toMatch(/came before/);
    expect(verdict(noLostMessages(), replayed(delivered(published())))).toBeUndefined();
  });

  it("an ephemeral subscription of a process that was started again: it is another one", () => {
    const asked = { consumer: "r/1", member: "r/1", durable: false, from: "all" };
    const mine = (story: Story) =>
      delivered(story.did("r", "pubsub.subscribe", "s", { asked }), { consumer: "r/1" });
    const story = mine(published()).note("r", "killed").note("r", "started 2", { rate: 1 });
    expect(verdict(noLostMessages(), mine(story))).toBeUndefined();
  });
});
