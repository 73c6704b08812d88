import type { Lease } from "@busbar/core";
import { DEFAULT_TIMEOUT_MS } from "@busbar/core/adapter";
import type { Call, Link } from "./link.ts";
import { leftMs } from "./sim-claimed-job.ts";

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
    this.#showLoss();
  }

  /** Facts for the trace. */
  static facts(lease: Lease, link: Link): Readonly<Record<string, unknown>> {
    return { fence: lease.fence, owner: lease.owner, leftMs: leftMs({ lease }, link) };
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

  async heartbeat(): Promise<void> {
    this.lost.throwIfAborted();
    // An answer that comes after the end is none.
    const restMs = Math.max(1, this.expiresAtMs - this.#link.clock.now());
    const timeoutMs = Math.min(DEFAULT_TIMEOUT_MS, restMs);
    try {
      const call = { ...this.#call("heartbeat"), timeoutMs };
      await this.#link.request(
        call,
        () => this.#inner.heartbeat(),
        () => SimLease.facts(this.#inner, this.#link),
      );
    } catch (error) {
      this.lost.throwIfAborted();
      throw error;
    }
    // A process that was paused meanwhile hears only now that its time is over.
    this.lost.throwIfAborted();
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

  /** That a process hears of its loss is something that reaches it. */
  #showLoss(): void {
    const { gate, recorder, name } = this.#link;
    const show = (): void => {
      gate.pass(() => {
        recorder.delivered(name, "lease.lost", this.#about, () => ({ fence: this.fence }));
      });
    };
    const { lost } = this.#inner;
    if (lost.aborted) show();
    else lost.addEventListener("abort", show, { once: true });
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
