import { errorCode } from "@busbar/core";
import { expect } from "vitest";

/** The next items of a stream. Fails with what came if it ends early; a test's own time bounds it. */
export async function take<T>(stream: AsyncIterable<T>, count: number): Promise<T[]> {
  const iterator = stream[Symbol.asyncIterator]();
  const items: T[] = [];
  while (items.length < count) {
    const { done, value } = await iterator.next();
    if (done === true) {
      throw new Error(
        `the stream ended after ${items.length} of ${count}: ${JSON.stringify(items)}`,
      );
    }
    items.push(value);
  }
  return items;
}

/** The next item of a stream. */
export async function takeOne<T>(stream: AsyncIterable<T>): Promise<T> {
  const [item] = await take(stream, 1);
  return item as T;
}

/** The code with which a promise rejects; fails if it does not. */
export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
  } catch (error) {
    return errorCode(error) ?? String(error);
  }
  return expect.unreachable("the promise resolved");
}

/** The error with which a promise rejects; fails if it does not. */
export async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  return expect.unreachable("the promise resolved");
}

/** Waits until something holds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  await expect.poll(condition, { timeout: 10_000, interval: 10 }).toBe(true);
}
