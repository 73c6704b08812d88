/**
 * Iterates over `source` with `convert` between. What is converted to `undefined` is left out.
 * Leaving the loop leaves the source's; so does an error of `convert`.
 */
export function convertStream<From, To extends object>(
  source: AsyncIterable<From>,
  convert: (item: From) => Promise<To | undefined>,
): AsyncIterator<To, undefined> {
  const inner = source[Symbol.asyncIterator]();
  // Not a generator: leaving must get through to the source while `next` waits there.
  const leave = async (): Promise<IteratorResult<To, undefined>> => {
    await inner.return?.();
    return { done: true, value: undefined };
  };
  return {
    async next() {
      for (;;) {
        const result = await inner.next();
        if (result.done) return { done: true, value: undefined };
        let value: To | undefined;
        try {
          value = await convert(result.value);
        } catch (error) {
          await leave();
          throw error;
        }
        if (value !== undefined) return { done: false, value };
      }
    },
    return: leave,
  };
}
