interface Node<T> {
  readonly words: Map<string, Node<T>>;
  /** Those whose pattern ends here. */
  readonly here: Set<T>;
  /** Those whose pattern goes on with a final `>`. */
  readonly rest: Set<T>;
}

const MAX_CACHED = 4_096;

/** Who is interested in a subject: patterns with `*` and a final `>`, by their tokens. */
export class SubjectTree<T> {
  readonly #root: Node<T> = newNode();
  readonly #cache = new Map<string, readonly T[]>();
  #size = 0;

  /** How many are in it. */
  get size(): number {
    return this.#size;
  }

  /** All that are in it. */
  *values(): IterableIterator<T> {
    yield* below(this.#root);
  }

  /** Adds `value` under a valid pattern. */
  add(pattern: string, value: T): void {
    const tokens = pattern.split(".");
    const open = tokens.at(-1) === ">";
    if (open) tokens.pop();
    let node = this.#root;
    for (const token of tokens) {
      let next = node.words.get(token);
      if (next === undefined) {
        next = newNode();
        node.words.set(token, next);
      }
      node = next;
    }
    (open ? node.rest : node.here).add(value);
    this.#size += 1;
    this.#cache.clear();
  }

  /** Removes what was added with the same arguments. */
  remove(pattern: string, value: T): void {
    const tokens = pattern.split(".");
    const open = tokens.at(-1) === ">";
    if (open) tokens.pop();
    const path: Node<T>[] = [this.#root];
    for (const token of tokens) {
      const next = path.at(-1)?.words.get(token);
      if (next === undefined) return;
      path.push(next);
    }
    const node = path.at(-1) as Node<T>;
    if (!(open ? node.rest : node.here).delete(value)) return;
    this.#size -= 1;
    this.#cache.clear();
    for (let depth = tokens.length; depth > 0 && isEmpty(path[depth] as Node<T>); depth--) {
      path[depth - 1]?.words.delete(tokens[depth - 1] as string);
    }
  }

  /** Everybody whose pattern covers `subject`. The array is shared: it must not be changed. */
  match(subject: string): readonly T[] {
    const known = this.#cache.get(subject);
    if (known !== undefined) return known;
    const found = new Set<T>();
    collect(this.#root, subject.split("."), 0, found);
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    const all = [...found];
    this.#cache.set(subject, all);
    return all;
  }
}

function newNode<T>(): Node<T> {
  return { words: new Map(), here: new Set(), rest: new Set() };
}

function isEmpty(node: Node<unknown>): boolean {
  return node.words.size === 0 && node.here.size === 0 && node.rest.size === 0;
}

function* below<T>(node: Node<T>): IterableIterator<T> {
  yield* node.here;
  yield* node.rest;
  for (const next of node.words.values()) yield* below(next);
}

function collect<T>(node: Node<T>, tokens: readonly string[], depth: number, found: Set<T>): void {
  const token = tokens[depth];
  if (token === undefined) {
    for (const value of node.here) found.add(value);
    return;
  }
  for (const value of node.rest) found.add(value);
  const word = node.words.get(token);
  if (word) collect(word, tokens, depth + 1, found);
  const star = node.words.get("*");
  // A subject has no wildcards, so `*` cannot be the word itself.
  if (star) collect(star, tokens, depth + 1, found);
}
