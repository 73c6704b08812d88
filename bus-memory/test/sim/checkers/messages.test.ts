import { describe, expect, it } from "vitest";
import { noLostMessages } from "../../../src/index.ts";
import { delivered, published, settled, subscribed } from "./stories.ts";
import { finalVerdict, type Story, verdict } from "./story.ts";

const missed = async (story: Story) => (await finalVerdict(noLostMessages(), story)).length;

/** A publish that was answered. */
function publish(story: Story, payload: string, got: object, asked: object = {}): Story {
  return story.did("p", "pubsub.publish", "s", {
    asked: { payload, ...asked },
    got: { sequence: 1, duplicate: false, ...got },
  });
}

describe("noLostMessages, what it knows of", () => {
  it("a message that came before its answer: its id is told by the duplicates", () => {
    const story = subscribed("all");
    const asked = { payload: "x", messageId: "m" };
    story.error(story.call("p", "pubsub.publish", "s", asked), "TIMEOUT");
    delivered(story);
    for (let count = 0; count < 2; count += 1) publish(story, "x", { duplicate: true }, asked);
    expect(verdict(noLostMessages(), story)).toBeUndefined();
    publish(story, "x", { duplicate: true }, { messageId: "n" });
    expect(verdict(noLostMessages(), story)).toMatch(/n .* the sequence of another message: 1/);
  });

  it("a message that has the sequence of a lost one: what became of that is not its own", async () => {
    const lost = () =>
      settled(delivered(published()), "message.ack")
        .at(50)
        .fault("server", "serverCrash", { lostWritesMs: 100 })
        .at(200);
    expect(await missed(lost())).toBe(0);
    expect(await missed(publish(lost(), "y", {}))).toBe(1);
    // It comes before the answer to its publish.
    const early = lost();
    const call = early.call("p", "pubsub.publish", "s", { payload: "y" });
    delivered(early, { payload: "y" }).result(call, { sequence: 1, duplicate: false });
    expect(await missed(early)).toBe(1);
    expect(await missed(settled(early, "message.ack"))).toBe(0);
  });

  it("a dead letter that was discarded, or purged: it is not missed", async () => {
    expect(await missed(delivered(published()))).toBe(1);
    const discarded = delivered(published());
    expect(
      await missed(discarded.did("p", "deadLetters.discard", "d", { asked: { id: "1" } })),
    ).toBe(0);
    expect(await missed(delivered(published()).did("p", "deadLetters.purge", "d"))).toBe(0);
    const others = delivered(published()).did("p", "deadLetters.purge", "other");
    expect(await missed(others)).toBe(1);
  });
});

describe("noLostMessages, what it knows of a durable", () => {
  it("that nobody could delete: it is held to what it was to have", async () => {
    const refused = published();
    refused.error(refused.call("p", "pubsub.deleteDurable", "d"), "INVALID_ARGUMENT");
    expect(await missed(refused)).toBe(1);
  });

  it("that was made anew: what is still under way is of the old one", () => {
    const anew = delivered(published()).did("p", "pubsub.deleteDurable", "d");
    const asked = { consumer: "d", member: "q/1", durable: true, from: "all" };
    anew.did("q", "pubsub.subscribe", "s", { asked });
    // Late, to the subscription that has ended.
    delivered(anew, { deliveryCount: 2 });
    const mine = (story: Story) =>
      story.deliver("q", "message", "s", { ...MESSAGE, member: "q/1", deliveryCount: 2 });
    expect(verdict(noLostMessages(), mine(anew))).toBeUndefined();
    expect(verdict(noLostMessages(), mine(anew))).toMatch(/this count came before/);
  });

  it("that says nothing of maxDeliveries: it is five, and without a durable there is none", () => {
    const sixth = delivered(published(), { deliveryCount: 6 });
    expect(verdict(noLostMessages(), sixth)).toMatch(/delivery 6 of message 1 .*: at most 5/);
    const asked = { consumer: "r/2", member: "r/2", durable: false, from: "all" };
    const ephemeral = published().did("r", "pubsub.subscribe", "s", { asked });
    delivered(ephemeral, { consumer: "r/2", member: "r/2", deliveryCount: 60 });
    expect(verdict(noLostMessages(), ephemeral)).toBeUndefined();
  });
});

const MESSAGE = { consumer: "d", sequence: 1, payload: "x" };
