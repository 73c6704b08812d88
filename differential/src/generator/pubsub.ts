import type { Expected, Settle } from "../script.ts";
import type { Draft } from "./draft.ts";
import { span } from "./draft.ts";

/** One step of publishing, reading or settling. */
export function pubsubStep(draft: Draft): void {
  draft.dice.weighted<(draft: Draft) => void>([
    [8, publish],
    [7, poll],
    [7, settle],
    [2, subscribe],
    [3, take],
    [1, unsubscribe],
    [1.2, notify],
    [1, listen],
    [1.5, hear],
    [0.4, unlisten],
    [0.5, deleteDurable],
    [2, dead],
  ])(draft);
}

function publish(draft: Draft): void {
  const { dice } = draft;
  const messageId = dice.maybe(0.2, () => `id${dice.int(0, 2)}`);
  const expect = dice.maybe(0.2, () =>
    dice.pick<Expected>(["current", "current", "stale", "future", "none"]),
  );
  const headers = dice.maybe(0.15, () => ({ Kind: "message", "x-Odd_1": ["a", "ü"] }));
  const size = dice.weighted<"large" | "over" | undefined>([
    [60, undefined],
    [2, "large"],
    [0.5, "over"],
  ]);
  draft.add({
    op: "publish",
    bus: draft.bus(),
    subject: dice.pick(draft.subjects),
    ...(headers && { headers }),
    ...(messageId !== undefined && { messageId }),
    ...(expect && { expect }),
    ...(size && { size }),
  });
}

function poll(draft: Draft): void {
  const { dice } = draft;
  const plan = dice.pick(draft.durables);
  const max = draft.isBeforeRestart ? undefined : dice.maybe(0.35, () => dice.int(1, 3));
  // Now and then with other options than it was made with.
  const options = dice.chance(0.06) ? draft.readerOptions(true) : plan.options;
  const subject = dice.chance(0.03) ? draft.pattern() : plan.subject;
  draft.add({
    op: "poll",
    bus: draft.bus(),
    durable: plan.durable,
    subject,
    options,
    ...(max !== undefined && { max }),
  });
}

function subscribe(draft: Draft): void {
  const { dice } = draft;
  if (draft.subscriptions.length >= 3) return take(draft);
  const name = draft.name("sub");
  const durable = dice.chance(0.5) ? name : undefined;
  const members = durable === undefined ? undefined : dice.maybe(0.4, () => dice.int(2, 3));
  const { maxInFlight, maxDeliveries, ...options } = draft.readerOptions(false);
  draft.subscriptions.push(name);
  draft.add({
    op: "subscribe",
    bus: draft.bus(),
    name,
    subject: draft.pattern(),
    ...(durable !== undefined && { durable }),
    options: {
      ...options,
      ...(durable !== undefined && maxDeliveries !== undefined && { maxDeliveries }),
      // How several share what is left of their room is not promised, nor whether a place that comes
      // free when a wait is over is for what comes again or for what is new.
      ...(members === undefined &&
        !options.backoff &&
        maxInFlight !== undefined && { maxInFlight }),
    },
    ...(members !== undefined && { members }),
  });
}

function take(draft: Draft): void {
  const { subscriptions, dice } = draft;
  if (subscriptions.length === 0) return poll(draft);
  draft.add({ op: "take", name: dice.pick(subscriptions) });
}

function unsubscribe(draft: Draft): void {
  const { subscriptions, dice } = draft;
  if (subscriptions.length === 0) return;
  draft.add({ op: "unsubscribe", name: dice.pick(subscriptions) });
}

function settle(draft: Draft): void {
  const { dice, subscriptions, durables } = draft;
  const owners = [...durables.map(({ durable }) => durable), ...subscriptions];
  const owner = dice.pick(owners);
  for (let left = dice.int(1, 3); left > 0; left--) {
    const how = dice.weighted<Settle>([
      [3, "ack"],
      [2, "confirm"],
      [draft.isBeforeRestart ? 0 : 3, "nak"],
      [1, "term"],
      [1, "extend"],
    ]);
    const delay = how === "nak" ? draft.mayEnd(0.4, () => span(dice.int(0, 2))) : undefined;
    const reason = how === "term" ? dice.maybe(0.5, () => "no use") : undefined;
    draft.add({
      op: "settle",
      owner,
      pick: dice.int(0, 4),
      how,
      ...(delay !== undefined && { delay }),
      ...(reason !== undefined && { reason }),
    });
  }
}

function notify(draft: Draft): void {
  draft.add({ op: "notify", bus: draft.bus(), subject: draft.dice.pick(draft.subjects) });
}

function listen(draft: Draft): void {
  const { dice, listeners } = draft;
  if (listeners.length >= 3) return hear(draft);
  const name = draft.name("ear");
  const subject = draft.pattern();
  listeners.push(name);
  const maxBuffered = dice.maybe(0.25, () => dice.int(1, 3));
  if (maxBuffered !== undefined) {
    draft.add({ op: "listen", bus: draft.bus(), name, subject, maxBuffered });
    return;
  }
  const members = dice.chance(0.3) ? 2 : 1;
  for (let member = 0; member < members; member++) {
    draft.add({
      op: "listen",
      bus: draft.bus(),
      name: members === 1 ? name : `${name}#${member}`,
      subject,
      ...(members > 1 && { group: name }),
    });
  }
}

function hear(draft: Draft): void {
  if (draft.listeners.length === 0) return notify(draft);
  draft.add({ op: "hear", name: draft.dice.pick(draft.listeners) });
}

function unlisten(draft: Draft): void {
  if (draft.listeners.length === 0) return;
  draft.add({ op: "unlisten", name: draft.dice.pick(draft.listeners) });
}

function deleteDurable(draft: Draft): void {
  const { dice, durables, subscriptions } = draft;
  const names = [...durables.map(({ durable }) => durable), ...subscriptions, "nobody"];
  draft.add({ op: "deleteDurable", bus: draft.bus(), durable: dice.pick(names) });
}

function dead(draft: Draft): void {
  const { dice, durables, subscriptions } = draft;
  const owner = dice.pick([...durables.map(({ durable }) => durable), ...subscriptions]);
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
    kind: "durable",
    owner,
    verb,
    ...(pick !== undefined && { pick }),
    ...(limit !== undefined && { limit }),
  });
}
