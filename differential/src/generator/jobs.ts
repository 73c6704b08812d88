import type { JobSettle } from "../script.ts";
import { type Draft, patience, span } from "./draft.ts";

/** One step with a queue. */
export function jobStep(draft: Draft): void {
  draft.dice.weighted<(draft: Draft) => void>([
    [7, enqueue],
    [1.5, enqueueMany],
    [7, claim],
    [draft.isCalm ? 0 : 1, waitingClaim],
    [8, settle],
    [4, stats],
    [1, pause],
    [0.4, purge],
    [2, dead],
  ])(draft);
}

function enqueue(draft: Draft): void {
  const { dice } = draft;
  const over = dice.chance(0.01);
  draft.add({
    op: "enqueue",
    bus: draft.bus(),
    queue: dice.pick(draft.queues),
    job: draft.job(),
    ...(over && { size: "over" }),
  });
}

function enqueueMany(draft: Draft): void {
  const { dice } = draft;
  const jobs = Array.from({ length: dice.int(0, 4) }, () => draft.job());
  draft.add({ op: "enqueueMany", bus: draft.bus(), queue: dice.pick(draft.queues), jobs });
}

function claim(draft: Draft): void {
  const { dice } = draft;
  const max = dice.maybe(0.6, () => dice.int(1, 5));
  const lease = draft.mayEnd(0.6, () => span(dice.int(0, 2)));
  draft.add({
    op: "claim",
    bus: draft.bus(),
    queue: dice.pick(draft.queues),
    ...(max !== undefined && { max }),
    ...(lease !== undefined && { lease }),
  });
}

function waitingClaim(draft: Draft): void {
  const { dice } = draft;
  const name = draft.name("claim");
  draft.begun.push(name);
  const queue = dice.pick(draft.queues);
  draft.add({ op: "claim", bus: draft.bus(), queue, wait: patience(dice.int(0, 2)), name });
}

function settle(draft: Draft): void {
  const { dice } = draft;
  const queue = dice.pick(draft.queues);
  for (let left = dice.int(1, 3); left > 0; left--) {
    const how = dice.weighted<JobSettle>([
      [3, "ack"],
      [1, "confirm"],
      [draft.isBeforeRestart ? 0 : 4, "nak"],
      [1, "deadLetter"],
      [2, "heartbeat"],
    ]);
    const delay = how === "nak" ? draft.mayEnd(0.4, () => span(dice.int(0, 2))) : undefined;
    const lease = how === "heartbeat" ? draft.mayEnd(0.5, () => span(dice.int(0, 2))) : undefined;
    const reason = how === "nak" ? dice.maybe(0.3, () => "not today") : undefined;
    draft.add({
      op: "job",
      queue,
      pick: dice.int(0, 4),
      how,
      ...(delay !== undefined && { delay }),
      ...(lease !== undefined && { lease }),
      ...(reason !== undefined && { reason }),
    });
  }
}

function stats(draft: Draft): void {
  draft.add({ op: "stats", bus: draft.bus(), queue: draft.dice.pick(draft.queues) });
}

function pause(draft: Draft): void {
  const { dice } = draft;
  const op = dice.chance(0.4) ? "pause" : "resume";
  draft.add({ op, bus: draft.bus(), queue: dice.pick(draft.queues) });
}

function purge(draft: Draft): void {
  const { dice } = draft;
  const op = dice.chance(0.6) ? "purge" : "deleteQueue";
  draft.add({ op, bus: draft.bus(), queue: dice.pick(draft.queues) });
}

function dead(draft: Draft): void {
  const { dice } = draft;
  const verb = dice.weighted<"list" | "count" | "get" | "replay" | "discard" | "purge">([
    [3, "list"],
    [1, "count"],
    [1, "get"],
    [3, "replay"],
    [1, "discard"],
    [0.5, "purge"],
  ]);
  const limit = verb === "list" ? dice.maybe(0.3, () => dice.int(1, 2)) : undefined;
  const pick = dice.maybe(0.9, () => dice.int(0, 3));
  draft.add({
    op: "dead",
    bus: draft.bus(),
    kind: "queue",
    owner: dice.pick(draft.queues),
    verb,
    ...(pick !== undefined && { pick }),
    ...(limit !== undefined && { limit }),
  });
}
