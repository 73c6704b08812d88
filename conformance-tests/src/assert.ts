import {
  type BusError,
  type BusErrorCode,
  isBusError,
  type Message,
  type Subscription,
} from "@busbar/core";

/** A failed check of a case. */
export class ConformanceFailure extends Error {
  override readonly name = "ConformanceFailure";
}

/** Fails with `what` unless `condition` holds. */
export function check(condition: unknown, what: string): asserts condition {
  if (!condition) throw new ConformanceFailure(what);
}

/** Fails unless both are equal, by structure; bytes by content. */
export function checkEqual(actual: unknown, expected: unknown, what: string): void {
  if (shown(actual) !== shown(expected)) {
    throw new ConformanceFailure(`${what}: got ${shown(actual)}, expected ${shown(expected)}`);
  }
}

/** Fails unless `actual` lies in the range, ends included. */
export function checkRange(actual: number, min: number, max: number, what: string): void {
  if (!(actual >= min && actual <= max)) {
    throw new ConformanceFailure(`${what}: got ${actual}, expected ${min} to ${max}`);
  }
}

/** Fails unless `promise` rejects with a `BusError` of this code; gives the error. */
export async function checkCode(
  promise: Promise<unknown> | (() => unknown),
  code: BusErrorCode,
  what: string,
): Promise<BusError> {
  const error = await thrownBy(promise, what);
  if (!isBusError(error))
    throw new ConformanceFailure(`${what}: expected ${code}, got ${String(error)}`);
  if (error.code !== code) {
    throw new ConformanceFailure(`${what}: expected ${code}, got ${error.code}: ${error.message}`);
  }
  return error;
}

/** Fails unless `promise` rejects with a TypeError or RangeError whose message names the field. */
export async function checkOptionRefused(
  promise: Promise<unknown> | (() => unknown),
  field: string,
): Promise<void> {
  const error = await thrownBy(promise, field);
  const refused = error instanceof TypeError || error instanceof RangeError;
  check(refused, `${field}: expected a TypeError or RangeError, got ${String(error)}`);
  check(error.message.includes(field), `the error does not name ${field}: ${error.message}`);
}

/** Takes the next `count` messages of a subscription, in order of delivery. */
export async function take(subscription: Subscription, count: number): Promise<Message[]> {
  const iterator = iteratorOf(subscription);
  const messages: Message[] = [];
  while (messages.length < count) {
    const { done, value } = await iterator.next();
    if (done)
      throw new ConformanceFailure(`the subscription ended after ${messages.length} messages`);
    messages.push(value);
  }
  return messages;
}

const iterators = new WeakMap<AsyncIterable<unknown>, AsyncIterator<unknown>>();

/** The one iterator of an iterable: leaving a `for await` would close it. */
export function iteratorOf<T>(iterable: AsyncIterable<T>): AsyncIterator<T, undefined> {
  let iterator = iterators.get(iterable);
  if (!iterator) {
    iterator = iterable[Symbol.asyncIterator]();
    iterators.set(iterable, iterator);
  }
  return iterator as AsyncIterator<T, undefined>;
}

async function thrownBy(
  promise: Promise<unknown> | (() => unknown),
  what: string,
): Promise<unknown> {
  let result: unknown;
  try {
    result = await (typeof promise === "function" ? promise() : promise);
  } catch (error) {
    return error;
  }
  throw new ConformanceFailure(`${what}: expected an error, got ${shown(result)}`);
}

function shown(value: unknown): string {
  return (
    JSON.stringify(value, (_key, part: unknown) => {
      if (part instanceof Uint8Array) return `bytes:${Array.from(part).join(",")}`;
      if (part instanceof Map) return { map: [...part] };
      if (part instanceof Set) return { set: [...part] };
      if (typeof part === "number" && !Number.isFinite(part)) return String(part);
      return part;
    }) ?? "undefined"
  );
}
