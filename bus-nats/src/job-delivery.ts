import { DEFAULT_MAX_ATTEMPTS } from "@busbar/core/adapter";
import type { Msg, MsgHdrs } from "@nats-io/transport-node";
import { confirmedSettle } from "./confirmed-settle.ts";
import { type NatsDeadLetters, REPLAY_ID } from "./dead-letters.ts";
import type { HeldJobs } from "./held-jobs.ts";
import type { Ledger, StoredLedgerEntry } from "./ledger.ts";
import type { Link } from "./link.ts";
import { priorityOfSubject } from "./queue-state.ts";
import { ACK, type DeliveryInfo, nakAfter, parseAckSubject } from "./wire/ack-subject.ts";
import { type Fields, field, H, numberField, userHeaders } from "./wire/headers.ts";

/** What claimed jobs share. */
export interface JobTools {
  readonly link: Link;
  readonly ledger: Ledger;
  readonly deadLetters: NatsDeadLetters;
  /** How often the server was started, as far as the namespace's buses have seen. */
  epoch(): number;
  /** Whether a job is still in its queue. */
  exists(queue: string, sequence: number): Promise<boolean>;
  /** Whether the queue was deleted since a job was stored, as far as this bus has heard. */
  isRemoved(queue: string, storedAtMs: number): boolean;
  /** Every claim that is not settled. */
  readonly held: HeldJobs;
}

/** A delivery of a job, as it came. */
export interface JobDelivery {
  readonly queue: string;
  readonly raw: Msg;
  readonly info: DeliveryInfo;
  readonly entry: StoredLedgerEntry | undefined;
}

/** What a delivery says about its attempts. */
export function attemptsOf(delivery: JobDelivery): { attempt: number; maxAttempts: number } {
  return {
    attempt: delivery.info.deliveries - (delivery.entry?.uncounted ?? 0),
    maxAttempts: maxAttemptsOf(delivery.raw.headers),
  };
}

/** Puts a job into the dead letters and takes it from its queue. */
export async function buryJob(
  tools: JobTools,
  delivery: JobDelivery,
  reason: string,
  attempts: number,
): Promise<void> {
  const { queue, raw, info } = delivery;
  // Taken out meanwhile: then there is nothing left to be dead.
  if (!(await tools.exists(queue, info.streamSequence))) return;
  await tools.deadLetters.bury({
    owner: queue,
    sequence: info.streamSequence,
    subject: queue,
    reason,
    attempts,
    publishedAtMs: info.storedAtMs,
    payload: raw.data,
    headers: userHeaders(raw.headers),
    fields: originFields(raw),
  });
  await settleJob(tools.link, delivery, ACK);
  if (delivery.entry) void tools.ledger.remove(delivery.entry);
}

/** What a dead letter keeps so that it can be enqueued again. */
function originFields(raw: Msg): Fields {
  const fields: [string, string | number][] = [[H.priority, priorityOfSubject(raw.subject)]];
  const maxAttempts = field(raw.headers, H.maxAttempts);
  if (maxAttempts !== undefined) fields.push([H.maxAttempts, maxAttempts]);
  const dedupKey = dedupKeyOf(raw.headers);
  if (dedupKey !== undefined) fields.push([H.dedupKey, dedupKey]);
  return fields;
}

/** The dedup key in the headers of a job. */
export function dedupKeyOf(headers: MsgHdrs | undefined): string | undefined {
  const id = field(headers, H.dedupKey) ?? field(headers, H.msgId);
  return id?.startsWith(REPLAY_ID) ? undefined : id;
}

/** How many attempts a job may have, by its headers. */
export function maxAttemptsOf(headers: MsgHdrs | undefined): number {
  return numberField(headers, H.maxAttempts) ?? DEFAULT_MAX_ATTEMPTS;
}

/**
 * Drops an entry if its job was taken out of the queue. Whoever writes the entry of a job that goes
 * back calls this after it; whoever takes a job out looks for its entry after that: one of them sees it.
 */
export async function dropIfGone(
  tools: JobTools,
  queue: string,
  entry: StoredLedgerEntry,
): Promise<void> {
  // An entry too many does no harm but to statistics: no reason to fail.
  const isThere = await tools.exists(queue, entry.sequence).catch(() => true);
  if (!isThere) await tools.ledger.remove(entry);
}

/** Gives deliveries back at once, without using up an attempt: they come again in this order. */
export async function giveBack(
  tools: JobTools,
  queue: string,
  ...deliveries: readonly Msg[]
): Promise<void> {
  const { link, ledger } = tools;
  const noted = await Promise.allSettled(
    deliveries.map((raw) => {
      const info = parseAckSubject(raw.reply as string);
      const priority = priorityOfSubject(raw.subject);
      return ledger.uncount("job", queue, info, { freeAtMs: 0, priority });
    }),
  );
  // Only now: what is noted of one may take longer than of the next one.
  for (const { reply } of deliveries) {
    if (link.connected) link.outbox.publish(reply as string, nakAfter(0));
  }
  for (const note of noted) {
    if (note.status === "rejected") throw note.reason;
    await dropIfGone(tools, queue, note.value);
  }
}

/** Sends a verb for a delivery and waits until the server has taken it. */
export function settleJob(link: Link, delivery: JobDelivery, verb: string): Promise<void> {
  const what = `settle job ${delivery.info.streamSequence} of queue ${delivery.queue}`;
  return confirmedSettle(link, delivery.raw, verb, { what, gone: `${what}: the queue is gone` });
}
