import type { DeadLetter, DeadLetterPage, DeadLetters, ListDeadLettersOptions } from "@busbar/core";
import { checkName, checkPageCursor, resolveLimit } from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import type { DeadLetterStore, StoredDeadLetter } from "./engine/dead-letter-store.ts";

/** What has dead letters, and how one is brought back. */
export interface DeadLetterOwner<Origin> {
  readonly deadLetters: DeadLetterStore<Origin>;
  replay(origin: Origin): void;
}

/** The dead letters of one kind of owners. */
export class MemoryDeadLetters<Origin> implements DeadLetters {
  readonly #context: BusContext;
  readonly #kind: "queue" | "durable";
  readonly #find: (name: string) => DeadLetterOwner<Origin> | undefined;

  constructor(
    context: BusContext,
    kind: "queue" | "durable",
    find: (name: string) => DeadLetterOwner<Origin> | undefined,
  ) {
    this.#context = context;
    this.#kind = kind;
    this.#find = find;
  }

  async list(owner: string, options: ListDeadLettersOptions = {}): Promise<DeadLetterPage> {
    const store = this.#owner(owner)?.deadLetters;
    const limit = resolveLimit(options.limit, 100, 1_000);
    if (options.after !== undefined) checkPageCursor(options.after);
    if (store === undefined) return { entries: [], next: undefined };
    const { letters, next } = store.page(options.after, limit);
    return { entries: letters.map((letter) => this.#show(owner, letter)), next };
  }

  async get(owner: string, id: string): Promise<DeadLetter | undefined> {
    const letter = this.#owner(owner)?.deadLetters.get(id);
    return letter && this.#show(owner, letter);
  }

  async count(owner: string): Promise<number> {
    return this.#owner(owner)?.deadLetters.size ?? 0;
  }

  async replay(owner: string, id: string): Promise<boolean> {
    const found = this.#owner(owner);
    const letter = found?.deadLetters.remove(id);
    if (letter === undefined) return false;
    found?.replay(letter.origin);
    return true;
  }

  async discard(owner: string, id: string): Promise<boolean> {
    return this.#owner(owner)?.deadLetters.remove(id) !== undefined;
  }

  async purge(owner: string): Promise<number> {
    return this.#owner(owner)?.deadLetters.clear() ?? 0;
  }

  #owner(name: string): DeadLetterOwner<Origin> | undefined {
    this.#context.enter();
    checkName(this.#kind, name);
    return this.#find(name);
  }

  #show(owner: string, letter: StoredDeadLetter<Origin>): DeadLetter {
    const { origin: _, ...rest } = letter;
    return { ...rest, owner, payload: new Uint8Array(letter.payload) };
  }
}
