import { BusError, type Reply, type RequestManyOptions, type Timer } from "@busbar/core";
import {
  checkDuration,
  checkInteger,
  closedError,
  Mailbox,
  noResponders,
  resolveTimeout,
} from "@busbar/core/adapter";
import { createInbox, type Msg, type MsgHdrs, type Subscription } from "@nats-io/transport-node";
import type { NatsContext } from "./context.ts";
import { fromClientError } from "./errors.ts";
import { parseReply } from "./wire/reply.ts";
import { isNoResponders } from "./wire/requester.ts";

/** Most replies that wait for the loop. */
const MAX_WAITING = 16_384;

/** A checked request as it goes over the wire. */
export interface OutgoingRequest {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs | undefined;
}

interface ResolvedRequestManyOptions {
  readonly timeoutMs: number;
  readonly maxReplies: number;
  readonly stallMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * One request with many replies, through an inbox of its own.
 *
 * States: *new* -> first `next()` -> *held* (the server is away) or *sent* -> time, count, stall ->
 * *ended*; any -> error, `return()` -> *ended*.
 */
export class RpcMany implements AsyncIterator<Reply, undefined> {
  readonly #context: NatsContext;
  readonly #subject: string;
  readonly #prepare: () => OutgoingRequest & ResolvedRequestManyOptions;
  readonly #mailbox = new Mailbox<Reply>();
  readonly #cleanups: (() => void)[] = [];
  #begun = false;
  #sent = false;
  #replies = 0;
  #stall: Timer | undefined;

  constructor(
    context: NatsContext,
    subject: string,
    prepare: () => OutgoingRequest & ResolvedRequestManyOptions,
  ) {
    this.#context = context;
    this.#subject = subject;
    this.#prepare = prepare;
  }

  /** Checks the options. @throws TypeError or RangeError */
  static resolve(options: RequestManyOptions): ResolvedRequestManyOptions {
    const { maxReplies, stallMs } = options;
    return {
      timeoutMs: resolveTimeout(options.timeoutMs),
      maxReplies:
        maxReplies === undefined
          ? Number.POSITIVE_INFINITY
          : checkInteger("maxReplies", maxReplies, 1, Number.MAX_SAFE_INTEGER),
      stallMs: stallMs === undefined ? undefined : checkDuration("stallMs", stallMs, 1, 86_400_000),
      signal: options.signal,
    };
  }

  async next(): Promise<IteratorResult<Reply, undefined>> {
    if (!this.#begun) {
      this.#begun = true;
      this.#begin();
    }
    return this.#mailbox.next();
  }

  return(): Promise<IteratorResult<Reply, undefined>> {
    this.#begun = true;
    this.#end();
    this.#mailbox.drain();
    return Promise.resolve({ done: true, value: undefined });
  }

  #begin(): void {
    const { link, lifecycle } = this.#context;
    const request = this.#prepare();
    request.signal?.throwIfAborted();
    const inbox = createInbox();
    const subscription = link.connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error) this.#fail(fromClientError(error, this.#what));
        else this.#onReply(message, request);
      },
    });
    const send = (): void => this.#send(request, inbox, subscription);
    const timer = link.clock.setTimer(() => this.#onTime(), request.timeoutMs);
    this.#cleanups.push(
      () => subscription.unsubscribe(),
      () => timer.cancel(),
      link.onDisconnect(() => this.#onDisconnect()),
      link.onReconnect(send),
      onAbort(lifecycle.signal, () => this.#fail(closedError("the bus"))),
    );
    const { signal } = request;
    if (signal) this.#cleanups.push(onAbort(signal, () => this.#fail(signal.reason)));
    if (link.connected) send();
  }

  get #what(): string {
    return `request to ${this.#subject}`;
  }

  #send(request: OutgoingRequest, inbox: string, subscription: Subscription): void {
    if (this.#sent || subscription.isClosed()) return;
    this.#sent = true;
    const { subject, payload, headers } = request;
    try {
      this.#context.link.outbox.publish(
        subject,
        payload,
        headers ? { reply: inbox, headers } : { reply: inbox },
      );
    } catch (error) {
      this.#fail(fromClientError(error, this.#what));
    }
  }

  #onReply(message: Msg, options: ResolvedRequestManyOptions): void {
    if (this.#mailbox.ended) return;
    if (isNoResponders(message)) {
      this.#fail(noResponders(this.#subject));
      return;
    }
    if (this.#mailbox.size >= MAX_WAITING) {
      this.#fail(
        new BusError("LIMIT_EXCEEDED", `${this.#what}: ${MAX_WAITING} replies wait for the loop`),
      );
      return;
    }
    try {
      this.#mailbox.push(parseReply(message, this.#subject));
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#replies += 1;
    if (this.#replies >= options.maxReplies) this.#end();
    else if (options.stallMs !== undefined) this.#armStall(options.stallMs);
  }

  #armStall(stallMs: number): void {
    this.#stall?.cancel();
    this.#stall = this.#context.link.clock.setTimer(() => this.#end(), stallMs);
  }

  /** The time is over: the end of a request that was sent, an error for one that never was. */
  #onTime(): void {
    if (this.#sent) this.#end();
    else this.#fail(this.#disconnected("notSent"));
  }

  #onDisconnect(): void {
    if (this.#sent) this.#fail(this.#disconnected("unknown"));
  }

  #disconnected(outcome: "notSent" | "unknown"): BusError {
    return new BusError("DISCONNECTED", `${this.#what}: the server is away (${outcome})`, {
      details: { outcome },
    });
  }

  #fail(error: unknown): void {
    this.#mailbox.fail(error);
    this.#end();
  }

  #end(): void {
    this.#stall?.cancel();
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
    this.#mailbox.end();
  }
}

function onAbort(signal: AbortSignal, callback: () => void): () => void {
  signal.addEventListener("abort", callback, { once: true });
  return () => signal.removeEventListener("abort", callback);
}
