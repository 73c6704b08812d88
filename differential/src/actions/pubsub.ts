import type { Listener, LiveMessage, Message, SubscribeOptions, Subscription } from "@busbar/core";
import { type Outcome, outcomeOf } from "../outcome.ts";
import type { Run } from "../run.ts";
import type { ReaderOptions, StepOf } from "../script.ts";
import { bodyFrom, payloadOf } from "./payload.ts";
import { Reader } from "./reader.ts";
import { bodyOf, byBody, headersView, inStatedOrder, messageView } from "./views.ts";

/** How many revisions or sequences `future` is ahead. */
const FAR = 1_000;

export function publish(run: Run, step: StepOf<"publish">): Promise<Outcome> {
  const { subject, headers, messageId, expect } = step;
  const known = run.facts.bySubject.get(subject) ?? [];
  const last = known.at(-1) ?? 0;
  const expected = { current: last, stale: known.at(-2) ?? 0, future: last + FAR, none: 0 };
  const body = bodyFrom(step);
  const payload = payloadOf(run, body, step.size);
  return outcomeOf(
    () =>
      run.bus(step.bus).pubsub.publish(subject, payload, {
        ...(headers && { headers }),
        ...(messageId !== undefined && { messageId }),
        ...(expect && { expectedLastSequence: expected[expect] }),
      }),
    ({ sequence, duplicate }) => {
      if (duplicate) return { duplicateOf: run.facts.sequenceName(sequence) };
      const grows = sequence > (run.facts.published.at(-1) ?? 0);
      run.facts.addSequence(subject, bodyOf(payload), sequence);
      return { grows };
    },
    (sequence) => run.facts.sequenceName(sequence),
  );
}

export function notify(run: Run, step: StepOf<"notify">): Promise<Outcome> {
  const { subject, headers } = step;
  return outcomeOf(() =>
    run.bus(step.bus).pubsub.notify(subject, bodyFrom(step), { ...(headers && { headers }) }),
  );
}

export function listen(run: Run, step: StepOf<"listen">): Promise<Outcome> {
  const { name, subject, group, maxBuffered } = step;
  return outcomeOf(
    () =>
      run.bus(step.bus).pubsub.listen(subject, {
        ...(group !== undefined && { group }),
        ...(maxBuffered !== undefined && { maxBuffered }),
      }),
    (listener) => {
      // A small buffer is there to overflow: nobody reads from it before `hear`.
      if (maxBuffered === undefined) run.readers.set(name, new Reader<LiveMessage>(listener));
      else run.slowListeners.set(name, listener);
      return "ok";
    },
  );
}

export async function hear(run: Run, step: StepOf<"hear">): Promise<Outcome> {
  const slow = run.slowListeners.get(step.name);
  if (slow) return hearSlowly(run, step.name, slow);
  const members = [...run.readers]
    .filter(([name]) => name === step.name || name.startsWith(`${step.name}#`))
    .map(([, reader]) => reader as Reader<LiveMessage>);
  if (members.length === 0) return "absent";
  const look = (): Outcome => ({
    // What one bus sent comes in its order; of several buses, or to several of a group, nothing is
    // promised.
    ...bySender(
      members.flatMap(({ items }) => items),
      members.length > 1,
    ),
    ended: members.map(({ ended }) => ended ?? null),
  });
  await run.eventually(look);
  const told = look();
  for (const member of members) member.drain();
  return told;
}

/** Closes it: what it had kept is read until its end. */
async function hearSlowly(run: Run, name: string, listener: Listener): Promise<Outcome> {
  const dropped = await run.eventually(() => listener.dropped, "dropped");
  run.slowListeners.delete(name);
  run.readers.set(name, new Reader<LiveMessage>(listener));
  return { dropped };
}

export function unlisten(run: Run, step: StepOf<"unlisten">): Promise<Outcome> {
  const listener = run.slowListeners.get(step.name) ?? run.readers.get(step.name);
  if (listener === undefined) return Promise.resolve("absent");
  run.slowListeners.delete(step.name);
  run.readers.delete(step.name);
  return outcomeOf(() => listener.close());
}

export async function poll(run: Run, step: StepOf<"poll">): Promise<Outcome> {
  const { durable, subject, max } = step;
  // Which of several come first is not promised once some were delivered before.
  const isOpen = run.openMessages(durable).size > 0;
  let subscription: Subscription | undefined;
  const opened = await outcomeOf(
    async () => {
      const { maxInFlight: _, ...unlimited } = step.options;
      const options = subscribeOptions(run, isOpen ? unlimited : step.options, durable);
      subscription = await run.bus(step.bus).pubsub.subscribe(subject, options);
    },
    undefined,
    (sequence) => run.facts.sequenceName(sequence),
  );
  if (subscription === undefined) return opened;
  const limit = isOpen ? undefined : max;
  const reader = new Reader<Message>(subscription, limit);
  const met = await run.eventually(() => messagesView(run, reader.items, false), "messages");
  // What did not come as expected was waited for until the end of the window.
  const isMet = run.isExpected(met, "messages");
  if (isMet && run.openMessages(durable).size > 0) await run.moment();
  const closed = await outcomeOf(
    () => reader.close(),
    () => reader.ended ?? null,
  );
  const messages = inStatedOrder(run, reader.drain(), false);
  run.hold(durable, messages);
  return { messages: messages.map((message) => messageView(run, message)), closed };
}

export async function subscribe(run: Run, step: StepOf<"subscribe">): Promise<Outcome> {
  const { name, durable, subject, members = 1 } = step;
  const opened: Outcome[] = [];
  for (let member = 0; member < members; member++) {
    const bus = run.bus((step.bus + member) % 2);
    opened.push(
      await outcomeOf(
        () => bus.pubsub.subscribe(subject, subscribeOptions(run, step.options, durable)),
        (subscription) => {
          run.readers.set(`${name}#${member}`, new Reader<Message>(subscription));
          return "ok";
        },
        (sequence) => run.facts.sequenceName(sequence),
      ),
    );
  }
  return opened;
}

export async function take(run: Run, step: StepOf<"take">): Promise<Outcome> {
  const members = membersOf(run, step.name);
  if (members.length === 0) return "absent";
  const all = (): Message[] => members.flatMap(({ items }) => items);
  const look = (): Outcome => ({
    messages: messagesView(run, all(), members.length > 1),
    ended: members.map(({ ended }) => ended ?? null),
  });
  await run.eventually(look);
  const told = look();
  run.hold(step.name, inStatedOrder(run, all(), members.length > 1));
  for (const member of members) member.drain();
  return told;
}

export async function unsubscribe(run: Run, step: StepOf<"unsubscribe">): Promise<Outcome> {
  const members = membersOf(run, step.name);
  if (members.length === 0) return "absent";
  for (const name of run.readers.keys()) {
    if (name.startsWith(`${step.name}#`)) run.readers.delete(name);
  }
  // Who of several holds what is not promised; all of them together is.
  let abandoned = 0;
  return outcomeOf(
    async () => {
      for (const member of members) {
        abandoned += ((await member.close()) as { abandoned: number }).abandoned;
      }
      const messages = inStatedOrder(
        run,
        members.flatMap((member) => member.drain()),
        true,
      );
      run.hold(step.name, messages);
      return messages;
    },
    (messages) => ({
      // Whether what nobody can settle any more is abandoned is not promised.
      abandoned: run.deletedDurables.has(step.name) ? "any" : abandoned,
      messages: messages.map((one) => messageView(run, one)),
    }),
  );
}

export function settle(run: Run, step: StepOf<"settle">): Promise<Outcome> {
  const { how, delay, reason } = step;
  const message = run.pickMessage(step.owner, step.pick);
  if (message === undefined) return Promise.resolve("absent");
  const settled = (): Promise<void> => {
    if (how === "ack" || how === "confirm") return message.ack({ confirm: how === "confirm" });
    if (how === "term") return message.term({ ...(reason !== undefined && { reason }) });
    if (how === "extend") return message.extend();
    return message.nak({ ...(delay !== undefined && { delayMs: run.ms(delay) }) });
  };
  const which = `${bodyOf(message.payload)}#${message.deliveryCount}`;
  return outcomeOf(settled, () => {
    if (how !== "nak" && how !== "extend") run.finish(message);
    return { ok: which };
  });
}

export function deleteDurable(run: Run, step: StepOf<"deleteDurable">): Promise<Outcome> {
  return outcomeOf(
    () => run.bus(step.bus).pubsub.deleteDurable(step.durable),
    (existed) => {
      run.messages.delete(step.durable);
      if (existed) run.deletedDurables.add(step.durable);
      return existed;
    },
  );
}

function subscribeOptions(
  run: Run,
  options: ReaderOptions,
  durable: string | undefined,
): SubscribeOptions {
  const { from, ackWait, backoff, maxDeliveries, maxInFlight } = options;
  const start =
    typeof from !== "object"
      ? from
      : "publish" in from
        ? { sequence: run.facts.published[from.publish] ?? 1 }
        : { timeMs: run.startAtMs };
  return {
    ...(durable !== undefined && { durable }),
    ...(start !== undefined && { from: start }),
    ...(ackWait !== undefined && { ackWaitMs: run.ms(ackWait) }),
    ...(backoff && { backoffMs: backoff.map((wait) => run.ms(wait)) }),
    ...(maxDeliveries !== undefined && {
      maxDeliveries: maxDeliveries === 0 ? Number.POSITIVE_INFINITY : maxDeliveries,
    }),
    ...(maxInFlight !== undefined && { maxInFlight }),
  };
}

function membersOf(run: Run, name: string): Reader<Message>[] {
  return [...run.readers]
    .filter(([member]) => member.startsWith(`${name}#`))
    .map(([, reader]) => reader as Reader<Message>);
}

function messagesView(run: Run, messages: readonly Message[], bySequence: boolean): Outcome {
  return inStatedOrder(run, messages, bySequence).map((message) => messageView(run, message));
}

function bySender(messages: readonly LiveMessage[], byBodies: boolean): Record<string, Outcome> {
  const lanes: Record<string, Outcome[]> = {};
  const ordered = byBodies
    ? messages.toSorted((a, b) => byBody(bodyOf(a.payload), bodyOf(b.payload)))
    : messages;
  for (const { subject, payload, headers } of ordered) {
    const body = bodyOf(payload);
    const lane = (lanes[`bus${/@(\d)/.exec(body)?.[1] ?? "?"}`] ??= []);
    lane.push({ body, subject, headers: headersView(headers) });
  }
  return Object.fromEntries(Object.entries(lanes).sort(([a], [b]) => a.localeCompare(b)));
}
