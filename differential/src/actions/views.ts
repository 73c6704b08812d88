import { type ClaimedJob, type DeadLetter, type Headers, type Message, toText } from "@busbar/core";
import type { Outcome } from "../outcome.ts";
import type { Run } from "../run.ts";

/** Bodies larger than this are shown by their length. */
const MAX_SHOWN = 64;

/** A payload as text. */
export function bodyOf(payload: Uint8Array): string {
  if (payload.length <= MAX_SHOWN) return toText(payload);
  return `${toText(payload.subarray(0, 16))} and ${payload.length - 16} more`;
}

/** Headers in the order of their names; absent if there are none. */
export function headersView(headers: Headers): Outcome | undefined {
  const names = Object.keys(headers).sort();
  if (names.length === 0) return undefined;
  return Object.fromEntries(names.map((name) => [name, headers[name] as string]));
}

/** Bodies in the order of the steps that made them. */
export function byBody(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}

/** First deliveries in their order, the others in that of their bodies: it is not promised. */
export function inStatedOrder(
  run: Run,
  messages: readonly Message[],
  bySequence: boolean,
): Message[] {
  const isFirst = (message: Message): boolean =>
    message.deliveryCount === 1 && !run.facts.replayed.has(bodyOf(message.payload));
  const first = messages.filter(isFirst);
  if (bySequence) first.sort((a, b) => a.sequence - b.sequence);
  const others = messages
    .filter((message) => !isFirst(message))
    .sort(
      (a, b) => byBody(bodyOf(a.payload), bodyOf(b.payload)) || a.deliveryCount - b.deliveryCount,
    );
  return [...first, ...others];
}

/** A delivery. */
export function messageView(run: Run, message: Message): Outcome {
  const body = bodyOf(message.payload);
  const isCopy = run.facts.replayed.has(body);
  const known = run.facts.sequences.get(body);
  return {
    body,
    subject: message.subject,
    count: message.deliveryCount,
    headers: headersView(message.headers),
    sequence: isCopy ? "copy" : known === message.sequence ? "own" : "other",
    at: isCopy ? "copy" : run.atTick(message.publishedAtMs),
  };
}

/** A claimed job. */
export function jobView(run: Run, job: ClaimedJob): Outcome {
  const body = bodyOf(job.payload);
  return {
    body,
    attempt: job.attempt,
    of: job.maxAttempts,
    priority: job.priority,
    dedupKey: job.dedupKey,
    headers: headersView(job.headers),
    at: run.facts.replayed.has(body) ? "copy" : run.atTick(job.enqueuedAtMs),
  };
}

/** A dead letter. */
export function letterView(run: Run, letter: DeadLetter): Outcome {
  const body = bodyOf(letter.payload);
  return {
    body,
    subject: letter.subject,
    reason: letter.reason,
    attempts: letter.attempts,
    headers: headersView(letter.headers),
    published: run.facts.replayed.has(body) ? "copy" : run.atTick(letter.publishedAtMs),
    dead: run.atTick(letter.deadAtMs),
  };
}
