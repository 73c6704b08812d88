import { BusError, type Timer } from "@busbar/core";
import { createInbox, type Msg, type Subscription } from "@nats-io/transport-node";
import type { Link } from "../link.ts";
import { H, numberField } from "./headers.ts";
import { type JetStreamApi, nanos } from "./jetstream-api.ts";
import { isDelivery } from "./pull.ts";

const EXPIRES_MS = 30_000;
const HEARTBEAT_MS = 10_000;
const RETRY_MS = 250;
/** How often is looked whether a consumer that is told to be deleted is gone. */
const LOOKS = 3;

/** What a {@link PullStream} tells its owner. */
export interface PullStreamEvents {
  /** A delivery came. */
  delivery(message: Msg): void;
  /** Less is asked for than before: the owner may want more. */
  wanting(): void;
  /** The consumer is gone, or may not be read. */
  failed(error: Error): void;
}

/**
 * A standing series of pulls from one consumer through one inbox.
 *
 * States: *open* -> reconnect, or a server that stays silent: `reopen()` -> *open* (a new inbox;
 * what was asked for through the old one is forgotten) ; *open* -> `drain()` -> *drained*.
 */
export class PullStream {
  readonly #link: Link;
  readonly #api: JetStreamApi;
  readonly #target: { readonly stream: string; readonly consumer: string };
  readonly #on: PullStreamEvents;
  #inbox: Subscription | undefined;
  /** Tells of the end of the consumer also while nothing is asked for. */
  #advisories: Subscription | undefined;
  #name = "";
  #requested = 0;
  #heardAt = 0;
  #watchdog: Timer | undefined;
  #ended = false;

  constructor(
    context: { readonly link: Link; readonly api: JetStreamApi },
    target: { readonly stream: string; readonly consumer: string },
    on: PullStreamEvents,
  ) {
    this.#link = context.link;
    this.#api = context.api;
    this.#target = target;
    this.#on = on;
  }

  /** How many deliveries were asked for and have not come. */
  get requested(): number {
    return this.#requested;
  }

  /** Begins with a new inbox. */
  reopen(): void {
    const { stream, consumer } = this.#target;
    this.#ended = false;
    this.#inbox?.unsubscribe();
    this.#advisories ??= this.#link.connection.subscribe(
      `$JS.EVENT.ADVISORY.CONSUMER.DELETED.${stream}.${consumer}`,
      {
        callback: () => {
          // The server may drop what was asked for without an answer.
          this.#requested = 0;
          void this.#checkConsumer(LOOKS);
        },
      },
    );
    this.#name = createInbox();
    this.#inbox = this.#link.connection.subscribe(this.#name, {
      callback: (error, message) => {
        if (error) this.#on.failed(error);
        else this.#onMessage(message);
      },
    });
    this.#requested = 0;
    this.#on.wanting();
  }

  /** Asks for `count` more. */
  request(count: number): void {
    const { stream, consumer } = this.#target;
    this.#requested += count;
    // Ahead of settles that wait in the outbox: the server hands out while it takes those in.
    this.#link.connection.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
      `{"batch":${count},"expires":${nanos(EXPIRES_MS)},"idle_heartbeat":${nanos(HEARTBEAT_MS)}}`,
      { reply: this.#name },
    );
    this.#heardAt = this.#link.clock.monotonic();
    this.#watchdog ??= this.#watch();
  }

  /** Asks for nothing more. What is under way still comes before this resolves. */
  async drain(): Promise<void> {
    this.#ended = true;
    this.#advisories?.unsubscribe();
    this.#advisories = undefined;
    this.#watchdog?.cancel();
    this.#watchdog = undefined;
    if (this.#link.connected && this.#inbox?.isClosed() === false) {
      await this.#inbox.drain().catch(() => undefined);
    } else this.#inbox?.unsubscribe();
  }

  #onMessage(message: Msg): void {
    this.#heardAt = this.#link.clock.monotonic();
    if (isDelivery(message)) {
      this.#requested = Math.max(0, this.#requested - 1);
      this.#on.delivery(message);
      // Places that came free meanwhile were too few for a request of their own.
      if (this.#requested === 0) this.#on.wanting();
    } else this.#onStatus(message);
  }

  #onStatus(status: Msg): void {
    const code = status.headers?.code ?? 0;
    if (code === 100) return;
    if (code === 503 || /deleted/i.test(status.headers?.description ?? "")) {
      this.#requested = 0;
      void this.#checkConsumer();
      return;
    }
    const unserved = numberField(status.headers, H.pendingMessages);
    this.#requested = unserved === undefined ? 0 : Math.max(0, this.#requested - unserved);
    // 408 and 404 are the ordinary ends of a pull; 409 has reasons that take a moment.
    if (code === 409) this.#later();
    else this.#on.wanting();
  }

  #later(callback: () => void = () => this.#on.wanting()): void {
    this.#link.clock.setTimer(callback, RETRY_MS, { keepAlive: false });
  }

  /**
   * Looks whether the consumer is there, up to so many times: it is told to be deleted before it is gone,
   * and one of its name may have been made since.
   */
  async #checkConsumer(looks = 1): Promise<void> {
    const { stream, consumer } = this.#target;
    try {
      const isThere = (await this.#api.consumerInfo(stream, consumer)) !== undefined;
      if (this.#ended) return;
      if (isThere && looks > 1) this.#later(() => void this.#checkConsumer(looks - 1));
      else if (isThere) this.#later();
      else {
        const what = `consumer ${consumer} of stream ${stream}`;
        this.#on.failed(new BusError("NOT_FOUND", `${what} was deleted`));
      }
    } catch {
      this.#later();
    }
  }

  /** A server that hangs says nothing, not even that nothing is there. */
  #watch(): Timer {
    const check = (): void => {
      this.#watchdog = undefined;
      if (this.#ended || this.#requested === 0) return;
      const silentMs = this.#link.clock.monotonic() - this.#heardAt;
      if (silentMs > 2.5 * HEARTBEAT_MS && this.#link.connected) this.reopen();
      this.#watchdog ??= this.#watch();
    };
    return this.#link.clock.setTimer(check, HEARTBEAT_MS, { keepAlive: false });
  }
}
