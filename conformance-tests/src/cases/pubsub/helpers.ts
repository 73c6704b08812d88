import {
  type Bus,
  type Clock,
  type Headers,
  type Message,
  type PublishOptions,
  type Subscription,
  toText,
} from "@busbar/core";
import { check, checkEqual, ConformanceFailure, iteratorOf, take } from "../../assert.ts";
import type { CaseContext } from "../../case.ts";

/** How much earlier a wait may seem to end: two clocks, each rounded. In milliseconds. */
const EARLY_MS = 5;

/** `m0`, `m1`, and so on. */
export function numbered(count: number, prefix = "m"): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

/** The payloads as text. */
export function textsOf(items: readonly { readonly payload: Uint8Array }[]): string[] {
  return items.map((item) => toText(item.payload));
}

/** Publishes the texts one after the other; gives their sequences. */
export async function publishAll(
  bus: Bus,
  subject: string,
  texts: readonly string[],
  options?: PublishOptions,
): Promise<number[]> {
  const sequences: number[] = [];
  for (const text of texts) {
    sequences.push((await bus.pubsub.publish(subject, text, options)).sequence);
  }
  return sequences;
}

/** Runs `work` for every item, `width` at a time, and gives the results in the items' order. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}

/** Takes one message. */
export async function takeOne(subscription: Subscription): Promise<Message> {
  const [message] = await take(subscription, 1);
  return message as Message;
}

/** Takes one message and checks its text. */
export async function takeText(
  subscription: Subscription,
  text: string,
  what: string,
): Promise<Message> {
  const message = await takeOne(subscription);
  checkEqual(toText(message.payload), text, what);
  return message;
}

/** Takes messages and acks each before it takes the next. */
export async function takeAndAck(subscription: Subscription, count: number): Promise<Message[]> {
  const messages: Message[] = [];
  while (messages.length < count) {
    const message = await takeOne(subscription);
    await message.ack();
    messages.push(message);
  }
  return messages;
}

/** Takes the next `count` items of any stream. */
export async function takeFrom<T>(stream: AsyncIterable<T>, count: number): Promise<T[]> {
  const iterator = iteratorOf(stream);
  const items: T[] = [];
  while (items.length < count) {
    const { done, value } = await iterator.next();
    if (done) throw new ConformanceFailure(`the stream ended after ${items.length} items`);
    items.push(value);
  }
  return items;
}

/** Fails unless the stream has ended. */
export async function checkEnded(stream: AsyncIterable<unknown>, what: string): Promise<void> {
  const { done } = await iteratorOf(stream).next();
  check(done === true, `${what}: the stream goes on`);
}

/**
 * Shows that nothing else is there for the subscription: what is published now comes next.
 * What came in between would have been a duplicate, or a message that was settled.
 */
export async function checkNothingElse(
  bus: Bus,
  subject: string,
  subscription: Subscription,
): Promise<void> {
  await bus.pubsub.publish(subject, "sentinel");
  const message = await takeText(subscription, "sentinel", "the next message");
  await message.ack();
}

/** Fails unless `actual` has every expected text exactly once, in any order. */
export function checkEachOnce(
  actual: readonly string[],
  expected: readonly string[],
  what: string,
): void {
  const counts = new Map<string, number>();
  for (const text of actual) counts.set(text, (counts.get(text) ?? 0) + 1);
  const repeated = [...counts].filter(([, count]) => count > 1).map(([text]) => text);
  const missing = expected.filter((text) => !counts.has(text));
  const wanted = new Set(expected);
  const foreign = [...counts.keys()].filter((text) => !wanted.has(text));
  checkEqual({ repeated, missing, foreign }, { repeated: [], missing: [], foreign: [] }, what);
}

/** Fails unless each number is greater than the one before. */
export function checkGrows(values: readonly number[], what: string): void {
  for (const [index, value] of values.entries()) {
    const before = values[index - 1] ?? Number.NEGATIVE_INFINITY;
    check(value > before, `${what}: ${value} comes after ${before} at index ${index}`);
  }
}

/** Headers with their names in order, so that they can be compared. */
export function sortedHeaders(headers: Headers): [string, string | readonly string[]][] {
  return Object.entries(headers).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** Whether both have the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Measures from now; call it for the milliseconds so far. */
export function stopwatch(clock: Clock): () => number {
  const startedAtMs = clock.monotonic();
  return () => clock.monotonic() - startedAtMs;
}

/** Fails if something came before its time. */
export function checkNotBefore(elapsedMs: number, dueMs: number, what: string): void {
  check(elapsedMs >= dueMs - EARLY_MS, `${what}: after ${elapsedMs} ms, not before ${dueMs}`);
}

/** Fails if something came later than its time and the tolerance of the backend's timers. */
export function checkNotAfter(
  context: CaseContext,
  elapsedMs: number,
  dueMs: number,
  what: string,
): void {
  const latestMs = dueMs + context.toleranceMs;
  check(elapsedMs <= latestMs, `${what}: after ${elapsedMs} ms, not after ${latestMs}`);
}

/** A promise that can be asked whether it is still pending. */
export interface Tracked<T> {
  readonly promise: Promise<T>;
  readonly pending: boolean;
}

/** Watches a promise. Its rejection is not unhandled if nobody awaits it any more. */
export function track<T>(promise: Promise<T>): Tracked<T> {
  let pending = true;
  const settled = (): void => {
    pending = false;
  };
  promise.then(settled, settled);
  return {
    promise,
    get pending() {
      return pending;
    },
  };
}

/**
 * Handles what a stream yields, one after the other, until it ends. Close the stream and await the
 * result to see what failed.
 */
export function pump<T>(
  stream: AsyncIterable<T>,
  handle: (item: T) => void | Promise<void>,
): Promise<void> {
  const run = async (): Promise<void> => {
    const iterator = iteratorOf(stream);
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return;
      await handle(value);
    }
  };
  return track(run()).promise;
}

/** Another namespace than the case's own, which no other case uses. */
export function otherNamespace(context: CaseContext): string {
  return `${context.namespace.slice(-28)}-x`;
}

/** How long to wait until something that is due in `dueMs` must have happened. */
export function surely(context: CaseContext, dueMs: number): number {
  return dueMs + context.toleranceMs;
}
