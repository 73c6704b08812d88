import type { Reply, RequestManyOptions } from "@busbar/core";
import { checkDuration, checkInteger, Mailbox } from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";
import { Alarm } from "./engine/deadlines.ts";
import { type CheckedRequest, Exchange, type ExchangeContext, type ReplySink } from "./exchange.ts";

const MAX_STALL_MS = 315_360_000_000;

/** The replies to one request, as they come. The request is sent with the first `next()`. */
export class ReplyStream implements AsyncIterator<Reply, undefined>, ReplySink {
  readonly #context: BusContext;
  readonly #start: () => Exchange;
  readonly #options: RequestManyOptions;
  readonly #inbox = new Mailbox<Reply>();
  readonly #stall = new Alarm(() => this.#finish());
  #exchange: Exchange | undefined;
  #count = 0;

  constructor(check: () => CheckedRequest, parts: ExchangeContext, options: RequestManyOptions) {
    const { maxReplies, stallMs } = options;
    this.#context = parts.context;
    this.#options = options;
    this.#start = () => {
      const request = check();
      if (maxReplies !== undefined) {
        checkInteger("maxReplies", maxReplies, 1, Number.MAX_SAFE_INTEGER);
      }
      if (stallMs !== undefined) checkDuration("stallMs", stallMs, 1, MAX_STALL_MS);
      return new Exchange(request, parts, this);
    };
  }

  async next(): Promise<IteratorResult<Reply, undefined>> {
    if (this.#exchange === undefined && !this.#inbox.ended) {
      try {
        this.#exchange = this.#start();
      } catch (error) {
        this.#inbox.end();
        throw error;
      }
    }
    return this.#inbox.next();
  }

  async return(): Promise<IteratorResult<Reply, undefined>> {
    this.#finish();
    this.#inbox.drain();
    return { done: true, value: undefined };
  }

  reply(reply: Reply): boolean {
    const { maxReplies, stallMs } = this.#options;
    this.#count += 1;
    this.#inbox.push(reply);
    if (this.#count === maxReplies) {
      this.#finish();
      return true;
    }
    if (stallMs !== undefined) {
      this.#context.deadlines.set(this.#stall, this.#context.tick() + stallMs);
    }
    return false;
  }

  error(error: unknown): void {
    this.#context.deadlines.clear(this.#stall);
    this.#inbox.fail(error);
  }

  timeOver(): void {
    this.#finish();
  }

  #finish(): void {
    this.#context.deadlines.clear(this.#stall);
    this.#exchange?.end();
    this.#inbox.end();
  }
}
