import type { NatsContext } from "./context.ts";

/** Waits for the first of: a call of `now`, a time, an abort, a change of the connection. */
export class Wake {
  readonly #context: NatsContext;
  readonly #signals: readonly AbortSignal[];
  readonly #stops: (() => void)[];
  #pending = false;
  #resolve: (() => void) | undefined;

  constructor(context: NatsContext, signal: AbortSignal | undefined) {
    this.#context = context;
    this.#signals = signal ? [signal, context.lifecycle.signal] : [context.lifecycle.signal];
    for (const one of this.#signals) one.addEventListener("abort", this.#onEvent);
    this.#stops = [
      context.link.onReconnect(this.#onEvent),
      context.link.onDisconnect(this.#onEvent),
    ];
  }

  readonly #onEvent = (): void => this.now();

  get aborted(): boolean {
    return this.#signals.some((signal) => signal.aborted);
  }

  throwIfAborted(): void {
    for (const signal of this.#signals) signal.throwIfAborted();
  }

  now(): void {
    this.#pending = true;
    this.#resolve?.();
  }

  async wait(limitMs: number): Promise<void> {
    if (!this.#pending && !this.aborted) {
      await new Promise<void>((resolve) => {
        const timer = this.#context.link.clock.setTimer(resolve, limitMs);
        this.#resolve = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.#resolve = undefined;
    this.#pending = false;
  }

  close(): void {
    for (const one of this.#signals) one.removeEventListener("abort", this.#onEvent);
    for (const stop of this.#stops) stop();
  }
}
