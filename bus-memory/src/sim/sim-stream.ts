import type { Link, Waiting } from "./link.ts";

/** How a {@link SimStream} brings what comes from the server to the process. */
export interface StreamRules<Inner, Outer> {
  /** What it gives, as in `TraceEvent.op`, and of what: for failures. */
  readonly op: string;
  readonly about: string;
  /** Whether a fault may lose something on its way; else it is brought again, and all in order. */
  readonly lossy: boolean;
  /** How many are brought before the process asks for them. */
  readonly ahead: number;
  /** What becomes of it while the link is down: the server keeps it, or it is gone. */
  readonly whileDown: "wait" | "lose";
  /** It has reached the process. */
  arrived(inner: Inner): Outer;
  /** The process will never see it: it closed while it was under way. */
  returned?(inner: Inner): void;
}

interface Reader<Outer> {
  readonly resolve: (result: IteratorResult<Outer, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * What a bus gives one after the other, brought over a {@link Link}: the inner iterator is asked for
 * as many as the process waits for, and some ahead; each takes the way back.
 *
 * States: *open* -> the inner iterator ends or fails, or `end()` -> *ended*: what has arrived is
 * still given, unless `end()` was called.
 */
export class SimStream<Inner, Outer> {
  readonly #link: Link;
  readonly #inner: AsyncIterator<Inner, undefined>;
  readonly #rules: StreamRules<Inner, Outer>;
  readonly #leave: () => void;
  #readers: Reader<Outer>[] = [];
  /** Since when the readers wait. */
  #sinceMs = 0;
  #arrived: Inner[] = [];
  /** How many the inner iterator was asked for that have not arrived. */
  #asked = 0;
  /** What must not be lost, by its place: it waits for what comes before it. */
  readonly #inOrder = new Map<number, () => void>();
  #places = 0;
  #nextPlace = 0;
  #isEnded = false;
  #isOver = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(
    link: Link,
    inner: AsyncIterator<Inner, undefined>,
    rules: StreamRules<Inner, Outer>,
  ) {
    this.#link = link;
    this.#inner = inner;
    this.#rules = rules;
    this.#leave = link.join(this);
    this.#fill();
  }

  /** What a process waits for, if one does. */
  get waiting(): Waiting | undefined {
    const { op, about } = this.#rules;
    return this.#readers.length === 0 ? undefined : { op, about, sinceMs: this.#sinceMs };
  }

  /** The next one, as the process gets it. */
  next(): Promise<IteratorResult<Outer, undefined>> {
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
      this.#give();
      if (this.#readers.length === 1) this.#sinceMs = this.#link.recorder.nowMs;
      this.#fill();
    });
  }

  /** Nothing arrives any more: whoever waits is told so, what has arrived goes back. */
  end(): void {
    this.#isEnded = true;
    this.#leave();
    for (const inner of this.#arrived.splice(0)) this.#rules.returned?.(inner);
    this.#give();
  }

  #fill(): void {
    const { ahead } = this.#rules;
    while (
      !this.#isEnded &&
      !this.#isOver &&
      this.#asked + this.#arrived.length < this.#readers.length + ahead
    ) {
      this.#asked += 1;
      this.#ask();
    }
  }

  #ask(): void {
    if (this.#rules.whileDown === "wait" && this.#link.isDown) {
      this.#link.whenUp(() => this.#ask());
      return;
    }
    this.#inner.next().then(
      (result) => {
        if (result.done) this.#over(undefined);
        else this.#bring(result.value);
      },
      (error: unknown) => this.#over({ error }),
    );
  }

  #over(failure: { readonly error: unknown } | undefined): void {
    // Nothing that is still under way must be overtaken.
    const told = (): void => {
      this.#asked -= 1;
      this.#isOver = true;
      this.#leave();
      this.#failure ??= failure;
      this.#give();
    };
    if (this.#rules.lossy || !this.#link.isOpen) this.#link.deliver({ arrive: told, lost: told });
    else this.#insist(told);
  }

  #bring(inner: Inner): void {
    const arrived = (): void => {
      this.#asked -= 1;
      if (this.#isEnded) {
        this.#rules.returned?.(inner);
        return;
      }
      this.#arrived.push(inner);
      this.#give();
      this.#fill();
    };
    if (!this.#rules.lossy) this.#insist(arrived);
    else {
      const arrive = (): void => this.#link.dally(arrived);
      this.#link.deliver({ arrive, lost: () => this.#ask() }, "dropDelivery");
    }
  }

  /** Tries until it arrives. What was lost must not be overtaken by what came after it. */
  #insist(arrived: () => void, place: number = this.#places++): void {
    const arrive = (): void => {
      this.#link.dally(() => {
        this.#inOrder.set(place, arrived);
        for (let go = this.#inOrder.get(this.#nextPlace); go !== undefined; ) {
          this.#inOrder.delete(this.#nextPlace);
          this.#nextPlace += 1;
          go();
          go = this.#inOrder.get(this.#nextPlace);
        }
      });
    };
    const lost = (): void => this.#link.whenUp(() => this.#insist(arrived, place));
    this.#link.deliver({ arrive, lost });
  }

  #give(): void {
    while (this.#readers.length > 0) {
      if (this.#arrived.length === 0 && !this.#isEnded && !this.#isOver) return;
      const reader = this.#readers.shift() as Reader<Outer>;
      const inner = this.#arrived.shift();
      this.#link.gate.pass(() => {
        if (inner !== undefined) reader.resolve({ done: false, value: this.#rules.arrived(inner) });
        else if (this.#failure && !this.#isEnded) reader.reject(this.#failure.error);
        else reader.resolve({ done: true, value: undefined });
      });
    }
  }
}
