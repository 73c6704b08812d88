import type { DeadLetter, DeadLetterPage, DeadLetters, ListDeadLettersOptions } from "@busbar/core";
import { DEFAULT_TIMEOUT_MS } from "@busbar/core/adapter";
import type { Call, Link } from "./link.ts";

/** Dead letters over a {@link Link}. */
export class SimDeadLetters implements DeadLetters {
  readonly #link: Link;
  readonly #inner: DeadLetters;

  constructor(link: Link, inner: DeadLetters) {
    this.#link = link;
    this.#inner = inner;
  }

  list(owner: string, options?: ListDeadLettersOptions): Promise<DeadLetterPage> {
    return this.#link.request(call("list", owner), () => this.#inner.list(owner, options));
  }

  get(owner: string, id: string): Promise<DeadLetter | undefined> {
    return this.#link.request(call("get", owner, id), () => this.#inner.get(owner, id));
  }

  count(owner: string): Promise<number> {
    return this.#link.request(call("count", owner), () => this.#inner.count(owner));
  }

  replay(owner: string, id: string): Promise<boolean> {
    return this.#link.request(call("replay", owner, id), () => this.#inner.replay(owner, id));
  }

  discard(owner: string, id: string): Promise<boolean> {
    return this.#link.request(call("discard", owner, id), () => this.#inner.discard(owner, id));
  }

  purge(owner: string): Promise<number> {
    return this.#link.request(call("purge", owner), () => this.#inner.purge(owner));
  }
}

const READS: ReadonlySet<string> = new Set(["list", "get", "count"]);

function call(method: string, owner: string, id?: string): Call {
  return {
    op: `deadLetters.${method}`,
    about: owner,
    data: id === undefined ? {} : { id },
    timeoutMs: DEFAULT_TIMEOUT_MS,
    again: READS.has(method) ? "afterBreak" : undefined,
  };
}
