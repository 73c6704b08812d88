import type { Lease } from "@busbar/core";
import { DEFAULT_TIMEOUT_MS } from "@busbar/core/adapter";
import type { Call, Link } from "./link.ts";

/** A lease over a {@link Link}. Its end is judged by the clock of the process, as it always is. */
export class SimLease implements Lease {
  readonly #link: Link;
  readonly #inner: Lease;
  readonly #about: string;
  #releasing: Promise<void> | undefined;

  constructor(link: Link, inner: Lease, about: string) {
    this.#link = link;
    this.#inner = inner;
    this.#about = about;
  }

  get key(): string {
    return this.#inner.key;
  }

  get fence(): number {
    return this.#inner.fence;
  }

  get owner(): string {
    return this.#inner.owner;
  }

  get expiresAtMs(): number {
    return this.#inner.expiresAtMs;
  }

  get lost(): AbortSignal {
    return this.#inner.lost;
  }

  heartbeat(): Promise<void> {
    return this.#link.request(this.#call("heartbeat"), () => this.#inner.heartbeat());
  }

  release(): Promise<void> {
    // A release that failed may be tried again.
    this.#releasing ??= this.#link
      .request(this.#call("release"), () => this.#inner.release())
      .catch((error: unknown) => {
        this.#releasing = undefined;
        throw error;
      });
    return this.#releasing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #call(method: string): Call {
    const { fence, owner } = this.#inner;
    return {
      op: `lease.${method}`,
      about: this.#about,
      data: { fence, owner },
      timeoutMs: DEFAULT_TIMEOUT_MS,
      settles: true,
    };
  }
}
