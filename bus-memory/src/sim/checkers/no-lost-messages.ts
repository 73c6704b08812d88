import type { Bus } from "@busbar/core";
import type { CountingChecker, FinalState } from "../checker.ts";
import type { TraceEvent } from "../trace.ts";
import { Consumers, type ConsumerView, type Passage } from "./consumers.ts";
import { few, isRefused, type MessageFacts, type MessageSettleFacts } from "./facts.ts";
import { Losses } from "./losses.ts";
import { type MessageRecord, Messages } from "./messages.ts";

/**
 * Every message whose publish resolved reaches every durable that was to have it; none comes from
 * nowhere; none comes again when it is done.
 *
 * *Proves*
 * - After a liveness phase, at each durable that still has a subscription: each message on its
 *   subjects is settled (an ack or term was sent and not refused) or in its dead letters. A durable
 *   from `"all"` was to have all of them, one from `"new"` those whose publish began when its first
 *   subscription stood, one from a sequence those from there on.
 * - What is delivered has the subject, the payload and the headers of a publish, and is of the
 *   consumer's subjects. A publish that was refused stored nothing, one of unknown outcome at most
 *   one message. `duplicate: true` names no other message's sequence.
 * - Each delivery of a message to a consumer has a count of its own, up to `maxDeliveries`, anew after
 *   each replay.
 * - After a confirmed ack or term no higher count arrives.
 *
 * *Assumes* that all messages are published by processes (what `world.bus` does is not in the trace),
 * and that the stream has no limits. What `discard`, `purge` and `deleteDurable` may have removed is
 * not missed, nor what a crash of the server may have lost, as its fault event says: that is counted.
 *
 * *Cannot see* whether a message that was not yet delivered is still there, as long as there was no
 * liveness phase or nobody subscribes any more. Durables from a time are not held to anything that is
 * missing, ephemeral subscriptions neither. Whether an unconfirmed ack has arrived is not seen.
 */
export function noLostMessages(): CountingChecker {
  return new NoLostMessages();
}

interface OpenSettle {
  readonly passage: Passage;
  readonly facts: MessageSettleFacts;
  readonly atMs: number;
}

const SETTLES: ReadonlySet<string> = new Set(["message.ack", "message.term"]);

class NoLostMessages implements CountingChecker {
  readonly name = "no lost messages";
  readonly #losses = new Losses();
  readonly #messages = new Messages(this.#losses);
  readonly #consumers = new Consumers();
  readonly #settles = new Map<number, OpenSettle>();
  readonly #counts = {
    /** Deliveries of messages. */
    deliveries: 0,
    /** Those of them after the first at their consumer. */
    redeliveries: 0,
  };

  get counts(): Readonly<Record<string, number>> {
    return { ...this.#counts, ...this.#messages.counts };
  }

  event(event: TraceEvent): string | undefined {
    const { type, op } = event;
    if (this.#losses.event(event)) this.#messages.crashed();
    this.#consumers.event(event);
    switch (type) {
      case "deliver":
        return op === "message" ? this.#delivered(event) : undefined;
      case "call":
        if (op === "pubsub.publish") this.#messages.called(event);
        else if (SETTLES.has(op)) this.#settling(event);
        else if (op.startsWith("deadLetters.")) this.#letter(event);
        return undefined;
      case "result":
      case "error":
        if (op === "pubsub.publish") return this.#published(event);
        if (SETTLES.has(op)) this.#settled(event);
        return undefined;
      case "fault":
      case "note":
        return undefined;
    }
  }

  async finish({ bus, drained }: FinalState): Promise<readonly string[]> {
    if (!drained) return [];
    const wrong: string[] = [];
    for (const consumer of this.#consumers.all) {
      const { name, isDurable, members } = consumer;
      if (!isDurable || members.size === 0 || this.#consumers.isUnsure(name)) continue;
      const missing = this.#missing(consumer, await letterIds(bus, name));
      if (missing.length === 0) continue;
      const names = few(missing.map(({ sequence, subject }) => `${sequence} on ${subject}`));
      const never = missing.filter(({ sequence }) => !consumer.passages.get(sequence)?.counts.size);
      wrong.push(
        `durable ${name}: ${missing.length} messages were neither settled nor are they dead letters, ${never.length} of them never delivered: ${names}`,
      );
    }
    return wrong;
  }

  #delivered({ process, about: subject, atMs, data }: TraceEvent): string | undefined {
    const facts = data as unknown as MessageFacts;
    const { sequence, deliveryCount: count } = facts;
    const before = this.#messages.get(sequence);
    const record = this.#messages.delivered(subject, facts, atMs);
    if (typeof record !== "object") return record;
    // The server lost the message that had this sequence.
    if (before !== undefined && before !== record) this.#forget(sequence);
    const consumer = this.#consumers.ofDelivery(facts, process);
    if (consumer === undefined) return undefined;
    const where = `delivery ${count} of message ${sequence} on ${subject} to ${consumer.name} at ${process}`;
    if (!consumer.matches(subject)) return `${where}: not a subject of this consumer`;
    const passage = this.#consumers.passage(consumer, sequence);
    this.#counts.deliveries += 1;
    if (passage.counts.size > 0) this.#counts.redeliveries += 1;
    if (count > consumer.maxDeliveries) return `${where}: at most ${consumer.maxDeliveries}`;
    const { done, replays } = passage;
    // One that was lost and published again may have its sequence and its content.
    const isAnew = replays > 0 || record.mayBeTwo || this.#messages.mayBeLost(record);
    if (!isAnew && passage.counts.has(count)) return `${where}: this count came before`;
    passage.counts.add(count);
    const isForgotten = done === undefined || this.#losses.settle(done.fromMs, done.toMs);
    if (!isForgotten && !isAnew && count > done.count) {
      return `${where}: it was settled for good with delivery ${done.count}`;
    }
    return undefined;
  }

  #published(event: TraceEvent): string | undefined {
    const sequence = event.data["sequence"] as number | undefined;
    const before = sequence === undefined ? undefined : this.#messages.get(sequence)?.content;
    const wrong = this.#messages.ended(event);
    if (sequence === undefined || before === undefined) return wrong;
    // The server lost the message that had this sequence.
    if (this.#messages.get(sequence)?.content !== before) this.#forget(sequence);
    return wrong;
  }

  #settling({ call, atMs, data }: TraceEvent): void {
    const facts = data as unknown as MessageSettleFacts;
    const passage = this.#consumers.get(facts.consumer)?.passages.get(facts.sequence);
    if (passage === undefined) return;
    passage.settles += 1;
    this.#settles.set(call, { passage, facts, atMs });
  }

  #settled(event: TraceEvent): void {
    const open = this.#settles.get(event.call);
    if (open === undefined) return;
    this.#settles.delete(event.call);
    const { passage, facts, atMs } = open;
    if (event.type === "error") {
      if (isRefused(event)) passage.settles -= 1;
    } else if (facts.confirm) {
      passage.done = { count: facts.deliveryCount, fromMs: atMs, toMs: event.atMs };
    }
  }

  #letter({ op, about, data }: TraceEvent): void {
    const consumer = this.#consumers.get(about);
    if (consumer === undefined) return;
    if (op === "deadLetters.purge") {
      for (const passage of consumer.passages.values()) passage.isExcused = true;
    } else if (op === "deadLetters.replay" || op === "deadLetters.discard") {
      const passage = this.#consumers.passage(consumer, Number(data["id"]));
      passage.replays += 1;
      passage.done = undefined;
      if (op === "deadLetters.discard") passage.isExcused = true;
    }
  }

  #missing(consumer: ConsumerView, letters: ReadonlySet<string>): MessageRecord[] {
    const missing: MessageRecord[] = [];
    for (const record of this.#messages.all) {
      if (!record.isTold || !isOwed(consumer, record)) continue;
      const passage = consumer.passages.get(record.sequence);
      if (passage && (passage.settles > 0 || passage.isExcused)) continue;
      if (letters.has(String(record.sequence))) continue;
      if (this.#messages.mayBeLost(record)) this.#messages.missing();
      else missing.push(record);
    }
    return missing;
  }

  #forget(sequence: number): void {
    for (const { passages } of this.#consumers.all) passages.delete(sequence);
  }
}

/** Whether a durable was to have a message. */
function isOwed(consumer: ConsumerView, { subject, sequence, fromMs }: MessageRecord): boolean {
  const { from, matches, sinceMs } = consumer;
  if (!matches(subject)) return false;
  if (from === "all") return true;
  if (from === "new") return fromMs >= sinceMs;
  return typeof from === "object" && from.sequence !== undefined && sequence >= from.sequence;
}

async function letterIds(bus: Bus, owner: string): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  let after: string | undefined;
  do {
    const options = after === undefined ? { limit: 1_000 } : { after, limit: 1_000 };
    const page = await bus.pubsub.deadLetters.list(owner, options);
    for (const { id } of page.entries) ids.add(id);
    after = page.next;
  } while (after !== undefined);
  return ids;
}
