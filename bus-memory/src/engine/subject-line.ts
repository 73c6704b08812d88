/** The sequences of the messages on one subject, in order. */
export class SubjectLine {
  /** The subject. */
  readonly subject: string;
  #sequences: number[] = [];
  #head = 0;
  /** How many were cut off before the array's first element: indexes that callers keep stay true. */
  #cut = 0;

  constructor(subject: string) {
    this.subject = subject;
  }

  /** Whether there is none. */
  get isEmpty(): boolean {
    return this.#head === this.#sequences.length;
  }

  /** The last one, 0 if there is none. */
  get last(): number {
    return this.isEmpty ? 0 : (this.#sequences.at(-1) as number);
  }

  /** Adds the newest. */
  push(sequence: number): void {
    this.#sequences.push(sequence);
  }

  /** Drops the oldest. */
  dropFirst(): void {
    this.#head += 1;
    if (this.#head > 1_024 && this.#head * 2 > this.#sequences.length) {
      this.#sequences = this.#sequences.slice(this.#head);
      this.#cut += this.#head;
      this.#head = 0;
    }
  }

  /** Drops the newest. */
  dropLast(): void {
    this.#sequences.pop();
  }

  /** The sequence at an index that {@link SubjectLine.indexFrom} gave. */
  at(index: number): number | undefined {
    return this.#sequences[index - this.#cut];
  }

  /** Where the first one that is not before `sequence` is; `hint` is where it probably is. */
  indexFrom(sequence: number, hint: number): number {
    const all = this.#sequences;
    const guess = hint - this.#cut;
    if (guess >= this.#head && guess <= all.length) {
      const fits = guess === all.length || (all[guess] as number) >= sequence;
      if (fits && (guess === this.#head || (all[guess - 1] as number) < sequence)) return hint;
    }
    let low = this.#head;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((all[middle] as number) < sequence) low = middle + 1;
      else high = middle;
    }
    return low + this.#cut;
  }
}
