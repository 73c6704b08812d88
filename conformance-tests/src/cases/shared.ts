import {
  type Bus,
  type Clock,
  errorCode,
  type Message,
  type Subscription,
  toText,
} from "@busbar/core";
import { check, checkRange, ConformanceFailure, iteratorOf, take } from "../assert.ts";
import type { CaseContext } from "../case.ts";

/** How much earlier a wait may seem to end: two clocks, each rounded. In milliseconds. */
const EARLY_MS = 5;

/** Does nothing: for promises whose rejection somebody else looks at. */
export function ignore(): undefined {
  return undefined;
}

/** How a promise ended. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T; readonly tookMs: number }
  | { readonly ok: false; readonly error: unknown; readonly tookMs: number };

/** How `work` ends, and after how long. Never rejects. */
export async function outcomeOf<T>(clock: Clock, work: () => Promise<T>): Promise<Outcome<T>> {
  const startedAt = clock.monotonic();
  try {
    const value = await work();
    return { ok: true, value, tookMs: clock.monotonic() - startedAt };
  } catch (error) {
    return { ok: false, error, tookMs: clock.monotonic() - startedAt };
  }
}

/** Fails unless the outcome is an error with one of the codes. */
export function checkFailedWith(
  outcome: Outcome<unknown>,
  codes: readonly string[],
  what: string,
): void {
  check(!outcome.ok, `${what}: expected ${codes.join(" or ")}, but it resolved`);
  const code = errorCode(outcome.error);
  check(
    code !== undefined && codes.includes(code),
    `${what}: expected ${codes.join(" or ")}, got ${String(outcome.error)}`,
  );
}

/** Fails unless `work` took at least `minMs`, and at most `maxMs` and the tolerance. */
export async function checkTook<T>(
  context: CaseContext,
  range: { readonly minMs?: number; readonly maxMs: number; readonly what: string },
  work: () => Promise<T>,
): Promise<T> {
  const startedAt = context.clock.monotonic();
  const result = await work();
  const tookMs = context.clock.monotonic() - startedAt;
  const minMs = (range.minMs ?? 0) - EARLY_MS;
  checkRange(tookMs, minMs, range.maxMs + context.toleranceMs, `${range.what}: milliseconds`);
  return result;
}

/** A promise and how to end it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
}

/** Makes a {@link Deferred}. */
export function deferred<T = void>(): Deferred<T> {
  let resolve: (value: T) => void = ignore;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Takes one message and acks it. */
export async function takeOne(subscription: Subscription): Promise<Message> {
  const [message] = await take(subscription, 1);
  if (!message) throw new ConformanceFailure("no message");
  await message.ack();
  return message;
}

/** The next item of a stream; fails if it has ended. */
export async function nextOf<T>(stream: AsyncIterable<T>, what: string): Promise<T> {
  const { done, value } = await iteratorOf(stream).next();
  if (done) throw new ConformanceFailure(`${what}: the stream has ended`);
  return value;
}

/** Fails unless the stream ends without another item. */
export async function checkEnds(
  context: CaseContext,
  stream: AsyncIterable<unknown>,
  what: string,
): Promise<void> {
  const { done } = await context.within(`${what}: the end`, iteratorOf(stream).next());
  check(done === true, `${what}: another item came`);
}

/**
 * The texts that are stored on the subjects of a pattern, each as often as it is stored, read by a
 * subscription of its own up to a sentinel on `subject`.
 */
export async function storedTexts(
  bus: Bus,
  pattern: string,
  subject: string,
): Promise<Map<string, number>> {
  await using subscription = await bus.pubsub.subscribe(pattern, { from: "all" });
  await bus.pubsub.publish(subject, SENTINEL);
  const counts = new Map<string, number>();
  for await (const message of subscription) {
    const text = toText(message.payload);
    await message.ack();
    if (text === SENTINEL) break;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return counts;
}

const SENTINEL = "the last one";

/** Claims until a claim comes back empty; acks each job; gives the texts. */
export async function finishAll(bus: Bus, queue: string): Promise<string[]> {
  const texts: string[] = [];
  for (;;) {
    const jobs = await bus.jobs.claim(queue, { workerId: "finisher", max: 100 });
    if (jobs.length === 0) return texts;
    for (const job of jobs) {
      texts.push(toText(job.payload));
      await job.ack({ confirm: true });
    }
  }
}
