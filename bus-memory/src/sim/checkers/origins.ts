/**
 * Joins what arrives with what was sent, where the id is known only when the answer is there. Until
 * then only the content joins the two: something that nobody was told the id of must have the
 * content of a send that is open, or that ended without anybody knowing how.
 */
export class Origins {
  /** The contents of the sends that are open, by their calls. */
  readonly #open = new Map<number, readonly string[]>();
  /** How many sends of each content are open or of unknown outcome. */
  readonly #candidates = new Map<string, number>();
  /** Ids that have arrived though nobody was told of them, by content. */
  readonly #strangers = new Map<string, Set<string>>();

  /** The contents of an open send. */
  contents(call: number): readonly string[] {
    return this.#open.get(call) ?? [];
  }

  /** Something is being sent. */
  sent(call: number, contents: readonly string[]): void {
    this.#open.set(call, contents);
    for (const content of contents) this.#count(content, 1);
  }

  /** A send was refused. @returns the content of which there is now more than was sent */
  refused(call: number): string | undefined {
    return this.#close(call);
  }

  /** Nobody will know what became of a send: one thing of its content may arrive at any time. */
  unknown(call: number): void {
    this.#open.delete(call);
  }

  /**
   * A send was answered with the ids of what it made; `undefined` where it may have been another
   * send that made it. @returns as {@link Origins.refused}
   */
  made(call: number, ids: readonly (string | undefined)[]): string | undefined {
    const contents = this.contents(call);
    this.#open.delete(call);
    let wrong: string | undefined;
    for (const [index, content] of contents.entries()) {
      const id = ids[index];
      if (id === undefined) continue;
      this.#strangers.get(content)?.delete(id);
      this.#count(content, -1);
      wrong ??= this.#tooMany(content);
    }
    return wrong;
  }

  /** Something arrived of which nobody was told. @returns whether it can have been sent */
  arrived(id: string, content: string): boolean {
    const ids = this.#strangers.get(content) ?? new Set();
    this.#strangers.set(content, ids);
    ids.add(id);
    return this.#tooMany(content) === undefined;
  }

  /** A crash may have lost what has arrived: it may be stored, and arrive, once more. */
  crashed(): void {
    this.#strangers.clear();
  }

  #close(call: number): string | undefined {
    const contents = this.contents(call);
    this.#open.delete(call);
    let wrong: string | undefined;
    for (const content of contents) {
      this.#count(content, -1);
      wrong ??= this.#tooMany(content);
    }
    return wrong;
  }

  #tooMany(content: string): string | undefined {
    const arrived = this.#strangers.get(content)?.size ?? 0;
    return arrived > (this.#candidates.get(content) ?? 0) ? content : undefined;
  }

  #count(content: string, by: number): void {
    const count = (this.#candidates.get(content) ?? 0) + by;
    if (count === 0) this.#candidates.delete(content);
    else this.#candidates.set(content, count);
  }
}
