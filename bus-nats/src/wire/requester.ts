import { BusError, type Clock, type Timer } from "@busbar/core";
import { closedError, timeoutError } from "@busbar/core/adapter";
import {
  createInbox,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription,
} from "@nats-io/transport-node";
import { fromClientError } from "../errors.ts";
import type { Outbox } from "./outbox.ts";

/** How a request is sent and what it means to fail. */
export interface RequestSpec<T> {
  readonly subject: string;
  readonly payload: Uint8Array | string;
  readonly headers?: MsgHdrs | undefined;
  readonly timeoutMs: number;
  /** Said in errors: "publish on orders.created". */
  readonly what: string;
  /** Turns the reply into the result; what it throws rejects the request. */
  readonly parse: (message: Msg) => T;
  /** May be sent twice: it is sent again after a reconnect instead of failing. */
  readonly idempotent?: boolean;
  /**
   * What the server's "no responders" means. `retry` tries again until the time is over: the
   * JetStream of a server that has just started answers late.
   */
  readonly onNoResponders: "retry" | (() => BusError);
  readonly signal?: AbortSignal | undefined;
}

interface Pending extends RequestSpec<unknown> {
  readonly token: string;
  readonly deadline: number;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
  sent: boolean;
  /** When it is sent again if nothing was heard. */
  resendAt: number;
  /** How often it was sent. */
  sends: number;
  /** How often nobody was there. */
  retries: number;
  onAbort: (() => void) | undefined;
}

/**
 * In a cluster: what a leader had taken on when it went is never answered, and what is asked while there
 * is none is often not either. Such a request, if it may be sent twice, is sent again: after so long, then
 * after twice as long each time, up to the second of these.
 */
const RESEND_MS = 250;
const MAX_RESEND_MS = 1_000;
/** Most requests that wait for a reconnect. */
const MAX_HELD = 65_536;

/**
 * All requests of a connection through one reply inbox, correlated by a counter. A request costs one
 * promise and one map entry: no subscription, no timer and no stack trace of its own, which makes a
 * publish several times as fast as the client's own call.
 *
 * States of a request: *held* (the server is away: not sent) -> reconnect -> *sent* -> reply ->
 * settled. *sent* -> disconnect -> *held* again if it is idempotent, else rejected with
 * `DISCONNECTED` and outcome `unknown`. *sent* -> silence in a cluster -> *sent* again if it is
 * idempotent. *held* or *sent* -> time over -> rejected.
 */
export class Requester {
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #isClustered: () => boolean;
  readonly #inbox: string;
  readonly #pending = new Map<string, Pending>();
  readonly #subscription: Subscription;
  readonly #onDrained: (() => void)[] = [];
  #counter = 0;
  #connected = true;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #closed = false;

  /** `isClustered` tells whether "no responders" may mean that a leader is elected. */
  constructor(
    connection: NatsConnection,
    outbox: Outbox,
    clock: Clock,
    isClustered: () => boolean,
  ) {
    this.#outbox = outbox;
    this.#clock = clock;
    this.#isClustered = isClustered;
    this.#inbox = `${createInbox()}.`;
    this.#subscription = connection.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => {
        if (!error) this.#onReply(message);
      },
    });
  }

  /** How many requests wait for an answer: for leak checks. */
  get size(): number {
    return this.#pending.size;
  }

  /** Resolves when no request waits for an answer. */
  drained(): Promise<void> {
    if (this.#pending.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained.push(resolve);
    });
  }

  /** Sends a request. */
  request<T>(spec: RequestSpec<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(closedError("the bus"));
        return;
      }
      if (spec.signal?.aborted) {
        reject(spec.signal.reason);
        return;
      }
      const token = (this.#counter++).toString(36);
      const pending: Pending = {
        subject: spec.subject,
        payload: spec.payload,
        headers: spec.headers,
        timeoutMs: spec.timeoutMs,
        what: spec.what,
        parse: spec.parse,
        idempotent: spec.idempotent === true,
        onNoResponders: spec.onNoResponders,
        signal: spec.signal,
        token,
        deadline: this.#clock.monotonic() + spec.timeoutMs,
        resolve: resolve as (value: never) => void,
        reject,
        sent: false,
        resendAt: Number.POSITIVE_INFINITY,
        sends: 0,
        retries: 0,
        onAbort: undefined,
      };
      this.#pending.set(token, pending);
      if (spec.signal) this.#listen(pending, spec.signal);
      if (pending.deadline < this.#timerAt) this.#arm(pending.deadline);
      if (this.#connected) this.#send(pending);
      else if (this.#pending.size > MAX_HELD)
        this.#settle(pending)?.reject(this.#disconnected(pending));
    });
  }

  /** The server is away. */
  disconnected(): void {
    this.#connected = false;
    for (const pending of this.#pending.values()) {
      if (pending.idempotent || !pending.sent) pending.sent = false;
      else this.#settle(pending)?.reject(this.#disconnected(pending));
    }
  }

  /** The server is back. */
  reconnected(): void {
    this.#connected = true;
    for (const pending of this.#pending.values()) if (!pending.sent) this.#send(pending);
  }

  /** The server refuses to take anything on a subject. */
  refused(subject: string, error: Error): void {
    for (const pending of this.#pending.values()) {
      if (pending.subject !== subject) continue;
      this.#settle(pending)?.reject(fromClientError(error, pending.what));
    }
  }

  /** Rejects everything that waits. Returns how much that was. */
  close(): number {
    this.#closed = true;
    const open = this.#pending.size;
    for (const pending of this.#pending.values())
      this.#settle(pending)?.reject(closedError("the bus"));
    this.#timer?.cancel();
    this.#subscription.unsubscribe();
    return open;
  }

  #send(pending: Pending): void {
    pending.sent = true;
    if (pending.idempotent && this.#isClustered()) {
      const silenceMs = Math.min(MAX_RESEND_MS, RESEND_MS * 2 ** pending.sends);
      pending.resendAt = this.#clock.monotonic() + silenceMs;
      pending.sends += 1;
      if (pending.resendAt < this.#timerAt) this.#arm(pending.resendAt);
    }
    try {
      const reply = this.#inbox + pending.token;
      const { headers } = pending;
      this.#outbox.publish(
        pending.subject,
        pending.payload as Uint8Array,
        headers ? { reply, headers } : { reply },
      );
    } catch (error) {
      this.#settle(pending)?.reject(fromClientError(error, pending.what));
    }
  }

  #onReply(message: Msg): void {
    const token = message.subject.slice(this.#inbox.length);
    const pending = this.#pending.get(token);
    if (!pending) return;
    if (isNoResponders(message)) {
      this.#onNoResponders(pending);
      return;
    }
    this.#settle(pending);
    try {
      pending.resolve(pending.parse(message) as never);
    } catch (error) {
      pending.reject(error);
    }
  }

  #onNoResponders(pending: Pending): void {
    if (pending.onNoResponders !== "retry") {
      this.#settle(pending)?.reject(pending.onNoResponders());
      return;
    }
    // Few requests may ask often; many must not be a storm for a server that is busy enough.
    const mostMs = Math.min(500, Math.max(50, this.#pending.size / 4));
    const delayMs = Math.min(mostMs, 20 * 2 ** pending.retries);
    pending.retries += 1;
    pending.sent = false;
    this.#clock.setTimer(
      () => {
        if (this.#pending.has(pending.token) && this.#connected && !pending.sent)
          this.#send(pending);
      },
      delayMs,
      { keepAlive: false },
    );
  }

  #settle(pending: Pending): Pending | undefined {
    if (!this.#pending.delete(pending.token)) return undefined;
    if (pending.onAbort) pending.signal?.removeEventListener("abort", pending.onAbort);
    if (this.#pending.size === 0 && this.#onDrained.length > 0) {
      for (const resolve of this.#onDrained.splice(0)) resolve();
    }
    return pending;
  }

  #listen(pending: Pending, signal: AbortSignal): void {
    pending.onAbort = () => this.#settle(pending)?.reject(signal.reason);
    signal.addEventListener("abort", pending.onAbort, { once: true });
  }

  /** One timer for all: set for the earliest deadline known, moved on when it fires. */
  #arm(atMs: number): void {
    this.#timer?.cancel();
    this.#timerAt = atMs;
    this.#timer = this.#clock.setTimer(
      () => this.#expire(),
      Math.max(0, atMs - this.#clock.monotonic()),
    );
  }

  #expire(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const pending of this.#pending.values()) {
      if (pending.deadline <= now) {
        this.#settle(pending)?.reject(this.#timedOut(pending));
        continue;
      }
      if (pending.resendAt <= now && pending.sent && this.#connected) this.#send(pending);
      // One that is held is sent when the server is back.
      const dueAt = pending.sent ? pending.resendAt : Number.POSITIVE_INFINITY;
      next = Math.min(next, pending.deadline, dueAt);
    }
    if (next < this.#timerAt) this.#arm(next);
  }

  #timedOut(pending: Pending): BusError {
    if (pending.sent) return timeoutError(pending.what, pending.timeoutMs);
    if (pending.retries > 0 && this.#connected) {
      if (this.#isClustered()) {
        const message = `${pending.what}: nobody answers; the stream has no leader, or is gone`;
        return new BusError("DISCONNECTED", message, { details: { outcome: "notSent" } });
      }
      return new BusError(
        "NOT_FOUND",
        `${pending.what}: nobody answers; the stream or JetStream is gone`,
      );
    }
    return this.#disconnected(pending);
  }

  #disconnected(pending: Pending): BusError {
    const outcome = pending.sent ? "unknown" : "notSent";
    return new BusError("DISCONNECTED", `${pending.what}: the server is away (${outcome})`, {
      details: { outcome },
    });
  }
}

/** Whether a reply is the server's own "nobody is there". */
export function isNoResponders(message: Msg): boolean {
  return message.data.length === 0 && message.headers?.code === 503;
}
