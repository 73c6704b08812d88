import { describe, expect, it } from "vitest";
import { Cursor } from "../../../src/engine/cursor.ts";
import { orderPerSubject, type World } from "../../../src/index.ts";
import { finding, plant } from "./planted.ts";
import { Story, verdict } from "./story.ts";

describe("orderPerSubject finds in the engine", () => {
  it("a stream that is read out of its order", async () => {
    plant(Cursor.prototype, "next", (right) => {
      return function jumping(this: Cursor) {
        const message = right.call(this);
        // The second comes before the first.
        return message?.sequence === 1 ? (right.call(this) ?? message) : message;
      };
    });
    plant(Cursor.prototype, "rewind", () => () => undefined);
    const scenario = async (world: World): Promise<void> => {
      const { bus } = world.process("p");
      for (const payload of ["1", "2", "3"]) await bus.pubsub.publish("s", payload);
      const subscription = await bus.pubsub.subscribe("s", { from: "all" });
      const iterator = subscription[Symbol.asyncIterator]();
      for (let count = 0; count < 2; count += 1) {
        const { value } = await iterator.next();
        await value?.ack();
      }
      await bus.pubsub.publish("s", "4");
      await subscription.close();
    };
    const found = finding(() => [backwards(orderPerSubject())], scenario, false);
    expect(await found).toMatch(/the first delivery of message 2 on s came after that of 3/);
  });
});

/** The engine has no place at which two messages could change places: the second is shown first. */
function backwards(checker: ReturnType<typeof orderPerSubject>): typeof checker {
  let held: Parameters<typeof checker.event>[0] | undefined;
  return {
    name: checker.name,
    counts: checker.counts,
    event(event) {
      if (event.op !== "message") return checker.event(event);
      if (held === undefined) {
        held = event;
        return undefined;
      }
      return checker.event(event) ?? checker.event(held);
    },
  };
}

type Facts = Readonly<Record<string, unknown>>;

function subscribed(story: Story, process: string, facts: Facts = {}): Story {
  const member = `${process}/1`;
  const asked = { consumer: "d", member, durable: true, from: "all", ackWaitMs: 1_000, ...facts };
  return story.did(process, "pubsub.subscribe", ">", { asked });
}

function publish(story: Story, sequence: number): Story {
  const got = { sequence, duplicate: false };
  return story.did("p", "pubsub.publish", "s", { asked: { payload: "x" }, got });
}

function deliver(story: Story, process: string, sequence: number, facts: Facts = {}): Story {
  const usual = { consumer: "d", member: `${process}/1`, sequence, deliveryCount: 1 };
  return story.deliver(process, "message", "s", { ...usual, ...facts });
}

/** Two messages, published at 0, which `r` gets in the wrong order at `atMs`. */
function reversed(story: Story, atMs = 10): Story {
  return deliver(deliver(story.at(atMs), "r", 2), "r", 1);
}

const WRONG = /the first delivery of message 1 on s came after that of 2/;

describe("orderPerSubject, what it says of", () => {
  it("two messages of one subject in the wrong order", () => {
    expect(verdict(orderPerSubject(), reversed(subscribed(new Story(), "r")))).toMatch(WRONG);
  });

  it("two messages of two subjects: nothing", () => {
    const story = deliver(subscribed(new Story(), "r"), "r", 2);
    story.deliver("r", "message", "t", {
      consumer: "d",
      member: "r/1",
      sequence: 1,
      deliveryCount: 1,
    });
    expect(verdict(orderPerSubject(), story)).toBeUndefined();
  });

  it("a redelivery, and a replay: nothing", () => {
    const again = deliver(deliver(subscribed(new Story(), "r"), "r", 2), "r", 1, {
      deliveryCount: 2,
    });
    expect(verdict(orderPerSubject(), again)).toBeUndefined();
    const replayed = subscribed(new Story(), "r");
    deliver(replayed, "r", 2).did("p", "deadLetters.replay", "d", { asked: { id: "1" } });
    expect(verdict(orderPerSubject(), deliver(replayed, "r", 1))).toBeUndefined();
  });

  it("two members of a durable: each by itself", () => {
    const shared = () => subscribed(subscribed(new Story(), "r"), "q");
    const apart = deliver(deliver(shared(), "r", 2), "q", 1);
    expect(verdict(orderPerSubject(), apart)).toBeUndefined();
    expect(verdict(orderPerSubject(), reversed(publish(publish(shared(), 1), 2)))).toMatch(WRONG);
  });

  it("what another member had in its buffer and gave back: it is counted", () => {
    const shared = () => publish(publish(subscribed(subscribed(new Story(), "r"), "q"), 1), 2);
    const ends: ((story: Story) => Story)[] = [
      (story) => story.note("q", "killed"),
      (story) => story.note("q", "subscription.close", { consumer: "d", member: "q/1" }),
      (story) => story.fault("q", "partition"),
      (story) => story.fault("server", "serverCrash"),
    ];
    for (const end of ends) {
      const checker = orderPerSubject();
      expect(verdict(checker, reversed(end(shared().at(5))))).toBeUndefined();
      expect(checker.counts).toEqual({ inOrder: 1, givenBack: 1, afterLoss: 0 });
    }
    // What was published after it was given back was not in that buffer.
    const later = publish(publish(subscribed(subscribed(new Story(), "r"), "q"), 3), 4);
    later.note("q", "killed").at(6);
    expect(verdict(orderPerSubject(), reversed(publish(publish(later, 1), 2)))).toMatch(WRONG);
    // Its ack wait is over: the server has taken it back.
    expect(verdict(orderPerSubject(), reversed(shared(), 999))).toMatch(WRONG);
    expect(verdict(orderPerSubject(), reversed(shared(), 1_000))).toBeUndefined();
  });

  it("a consumer with one subscription: no crash is an excuse", () => {
    const story = publish(publish(subscribed(new Story(), "r"), 1), 2);
    expect(verdict(orderPerSubject(), reversed(story.fault("server", "serverCrash")))).toMatch(
      WRONG,
    );
  });

  it("a crash that lost writes: their sequences may be given again", () => {
    const story = (crashAtMs: number, lostWritesMs: number) => {
      const one = publish(publish(subscribed(new Story(), "r"), 1).at(50), 2);
      deliver(one, "r", 2).at(crashAtMs).fault("server", "serverCrash", { lostWritesMs });
      return deliver(publish(one.at(1_000), 1), "r", 1);
    };
    const checker = orderPerSubject();
    expect(verdict(checker, story(100, 60))).toBeUndefined();
    expect(checker.counts).toMatchObject({ inOrder: 1, afterLoss: 1 });
    expect(verdict(orderPerSubject(), story(100, 0))).toMatch(WRONG);
    // The message that came last was safe by then.
    expect(verdict(orderPerSubject(), story(200, 60))).toMatch(WRONG);
    // The lost one arrives late, when its sequence was given again.
    const late = publish(publish(subscribed(new Story(), "r"), 1), 2).at(10);
    publish(publish(late.fault("server", "serverCrash", { lostWritesMs: 50 }).at(20), 1), 2);
    expect(verdict(orderPerSubject(), reversed(late, 30))).toBeUndefined();
    const after = publish(publish(late, 3), 4).at(40);
    expect(verdict(orderPerSubject(), deliver(deliver(after, "r", 4), "r", 3))).toMatch(/4/);
  });

  it("a subscription whose answer was lost: the server may have filled its buffer", () => {
    const story = new Story();
    const asked = { consumer: "d", member: "r/0", durable: true, from: "all" };
    const lost = story.call("r", "pubsub.subscribe", ">", asked);
    publish(publish(story, 1), 2).at(5_000).error(lost, "TIMEOUT");
    expect(verdict(orderPerSubject(), reversed(subscribed(story, "r"), 5_001))).toBeUndefined();
  });
});
