import type { Link } from "./link.ts";

/** How a {@link SimStream} brings what comes from the server to the process. */
export interface StreamRules<Inner, Outer> {
  /** Whether a fault may lose something on its way; else it waits until the link is up again. */
  readonly lossy: boolean;
  /** It has reached the process. */
  arrived(inner: Inner): Outer;
  /** The process will never see it: it closed while it was under way. */
  returned?(inner: Inner): void;
}

/**
 * What a bus gives one after the other, brought over a {@link Link}: each `next` of the process asks
 * the inner iterator, and the answer takes the way back.
 *
 * States: *open* -> the inner iterator ends or fails, or `end()` -> *ended*.
 */
export class SimStream<Inner, Outer> {
  readonly #link: Link;
  readonly #inner: AsyncIterator<Inner, undefined>;
  readonly #rules: StreamRules<Inner, Outer>;
  readonly #readers = new Set<() => void>();
  #isEnded = false;

  constructor(
    link: Link,
    inner: AsyncIterator<Inner, undefined>,
    rules: StreamRules<Inner, Outer>,
  ) {
    this.#link = link;
    this.#inner = inner;
    this.#rules = rules;
  }

  /** The next one, as the process gets it. */
  next(): Promise<IteratorResult<Outer, undefined>> {
    return new Promise((resolve, reject) => {
      const { gate } = this.#link;
      const done = (): void => {
        gate.pass(() => resolve({ done: true, value: undefined }));
      };
      this.#readers.add(done);
      const finish = (give: () => void): void => {
        gate.pass(() => {
          if (this.#readers.delete(done)) give();
        });
      };
      const ask = (): void => {
        this.#inner.next().then(
          (result) => {
            if (result.done) finish(() => resolve(result));
            else
              this.#bring(result.value, { again: () => this.#link.whenUp(ask), finish, resolve });
          },
          (error: unknown) => finish(() => reject(error)),
        );
      };
      if (this.#isEnded) {
        this.#readers.delete(done);
        done();
      } else {
        this.#link.whenUp(ask);
      }
    });
  }

  /** Nothing arrives any more: whoever waits is told so. */
  end(): void {
    this.#isEnded = true;
    const readers = [...this.#readers];
    this.#readers.clear();
    for (const done of readers) done();
  }

  #bring(
    inner: Inner,
    reader: {
      readonly again: () => void;
      readonly finish: (give: () => void) => void;
      readonly resolve: (result: IteratorResult<Outer, undefined>) => void;
    },
  ): void {
    const { lossy, arrived, returned } = this.#rules;
    const arrive = (): void => {
      if (this.#isEnded) {
        returned?.(inner);
        return;
      }
      this.#link.dally(() => {
        this.#link.gate.pass(() => {
          if (this.#isEnded) returned?.(inner);
          else reader.finish(() => reader.resolve({ done: false, value: arrived(inner) }));
        });
      });
    };
    const deliver = (): void => {
      if (lossy) this.#link.deliver({ arrive, lost: reader.again }, "dropDelivery");
      else this.#link.deliver({ arrive, lost: () => this.#link.whenUp(deliver) });
    };
    deliver();
  }
}
