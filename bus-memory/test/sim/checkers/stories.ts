import { Story } from "./story.ts";

type Facts = Readonly<Record<string, unknown>>;

/** A durable of one reader that stands, and a message. */
export function published(from: unknown = "all"): Story {
  return subscribed(from).did("p", "pubsub.publish", "s", {
    asked: { payload: "x" },
    got: { sequence: 1, duplicate: false },
  });
}

export function subscribed(from: unknown): Story {
  const asked = { consumer: "d", member: "r/1", durable: true, from };
  return new Story().did("r", "pubsub.subscribe", "s", { asked });
}

export function delivered(story: Story, facts: Facts = {}): Story {
  const usual = { consumer: "d", member: "r/1", sequence: 1, deliveryCount: 1, payload: "x" };
  return story.deliver("r", "message", "s", { ...usual, ...facts });
}

export function settled(story: Story, op: string, facts: Facts = {}): Story {
  return story.did("r", op, "s", {
    asked: { consumer: "d", sequence: 1, deliveryCount: 1, ...facts },
  });
}

/** What a worker is told of a job. */
export const JOB = { id: "1", attempt: 1, fence: 1, leaseMs: 1_000, leftMs: 1_000, payload: "x" };

export function enqueued(): Story {
  return new Story().did("p", "jobs.enqueue", "q", {
    asked: { payload: "x" },
    got: { id: "1", duplicate: false },
  });
}

export function given(story: Story, facts: Readonly<Record<string, unknown>> = {}): Story {
  return story.deliver("w", "job", "q", { ...JOB, ...facts });
}
