import { type BusErrorCode, errorCode } from "@busbar/core";

/**
 * `target` with some members replaced; everything else is its own, getters and private state too.
 * Leaving an `await using` block calls the replaced `close`, if there is one.
 */
export function override<T extends object>(target: T, changes: Partial<T>): T {
  const all: object = { ...disposal(changes), ...changes };
  return new Proxy(target, {
    get(_target, name) {
      const source = Object.hasOwn(all, name) ? all : target;
      const value: unknown = Reflect.get(source, name, source);
      if (typeof value !== "function") return value;
      // Not bind: `await using` of Node 24 takes a bound function for none.
      return (...args: unknown[]): unknown => Reflect.apply(value, source, args);
    },
  });
}

function disposal(changes: object): object {
  const close: unknown = Reflect.get(changes, "close") ?? Reflect.get(changes, "release");
  if (typeof close !== "function") return {};
  return { [Symbol.asyncDispose]: async () => void (await close.call(changes)) };
}

/** Options of which one is not passed on. */
export function without<T extends object, K extends keyof T>(options: T, name: K): Omit<T, K> {
  const { [name]: dropped, ...others } = options;
  void dropped;
  return others;
}

/** What `work` gives, or `instead` where it fails with this code: a refusal that is overlooked. */
export async function overlooking<T>(
  code: BusErrorCode,
  work: Promise<T>,
  instead: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (errorCode(error) !== code) throw error;
    return instead();
  }
}

/** A stream in which every item is replaced by some others, none or more. */
export function flatMap<T, S extends AsyncIterable<T>>(
  stream: S,
  change: (item: T) => readonly T[],
): Pick<AsyncIterable<T>, typeof Symbol.asyncIterator> {
  return {
    [Symbol.asyncIterator]: () => {
      const inner = stream[Symbol.asyncIterator]();
      const ready: T[] = [];
      const next = async (): Promise<IteratorResult<T>> => {
        for (;;) {
          const [item] = ready.splice(0, 1);
          if (item !== undefined) return { done: false, value: item };
          const result = await inner.next();
          if (result.done) return result;
          ready.push(...change(result.value));
        }
      };
      return { next, return: () => leave(inner) };
    },
  };
}

/** Leaves a stream in the middle. */
export async function leave<T>(iterator: AsyncIterator<T>): Promise<IteratorResult<T>> {
  await iterator.return?.();
  return { done: true, value: undefined };
}
