import { BusError, newId, type Timer } from "@busbar/core";
import { within } from "@busbar/core/adapter";
import type { ConsumerConfig } from "@nats-io/jetstream";
import { createInbox, type Msg, type Subscription } from "@nats-io/transport-node";
import type { NatsContext } from "../context.ts";
import { fromClientError } from "../errors.ts";
import { type DeliveryInfo, parseAckSubject } from "../wire/ack-subject.ts";
import { nanos } from "../wire/jetstream-api.ts";
import { isDelivery } from "../wire/pull.ts";

const PULL_EXPIRES_MS = 30_000;
const PULL_HEARTBEAT_MS = 5_000;
const MAX_BATCH = 1_000;
/** How long a consumer outlives a client that went away without a word. */
const CONSUMER_LIFE_MS = 300_000;
const FIRST_RETRY_MS = 20;
const MAX_RETRY_MS = 1_000;
/** How often the end of what is there is looked for before what came is taken for all. */
const MAX_LOOKS = 50;

/** What to read. */
export interface ReadOptions {
  readonly stream: string;
  /** Subjects, with wildcards. */
  readonly filter: string;
  /** The last message of each subject, or every message after a sequence; then what comes. */
  readonly from: "lastPerSubject" | { readonly after: number };
  readonly headersOnly?: boolean;
  /** Said in errors: "watch of bucket x". */
  readonly what: string;
}

/** Who gets what an {@link OrderedReader} reads. */
export interface ReadTarget {
  /**
   * A message, each once, in the order of the stream. `initial` says that it was there when the
   * reading began and that nothing was missed since.
   */
  message(message: Msg, info: DeliveryInfo, initial: boolean): void;
  /** Everything that was there when the reading began has been given. Comes once. */
  caughtUp(): void;
  /** How many more messages may be asked for. */
  room(): number;
  /** It cannot go on. */
  failed(error: BusError): void;
}

/**
 * Reads a stream in order and without a gap through a consumer of its own, which is made again, from
 * the last sequence that was seen, whenever it may have missed something.
 *
 * States: *catching up* -> all that was there is given -> *following*; both -> reconnect, missed
 * heartbeats, a gap, the consumer is gone -> *reopening* -> as before; any -> `close()` -> *closed*.
 */
export class OrderedReader {
  readonly #context: NatsContext;
  readonly #options: ReadOptions;
  readonly #target: ReadTarget;
  readonly #ending = new AbortController();
  readonly #stopListening: (() => void)[];
  #consumer: string | undefined;
  #inbox: Subscription | undefined;
  /** Grows with every consumer: what belongs to an older one is left alone. */
  #generation = 0;
  #reopening = false;
  #created = "";
  #lastSequence: number;
  #nextDelivery = 1;
  /** Up to here it was there when the reading began. */
  #horizon = 0;
  #caughtUp = false;
  #resumed = false;
  #looks = 0;
  #requested = 0;
  #heardAt = 0;
  #watchdog: Timer | undefined;

  constructor(context: NatsContext, options: ReadOptions, target: ReadTarget) {
    this.#context = context;
    this.#options = options;
    this.#target = target;
    this.#lastSequence = options.from === "lastPerSubject" ? 0 : options.from.after;
    this.#stopListening = [
      context.link.onReconnect(() => this.#reopen()),
      context.link.onDisconnect(() => {
        this.#requested = 0;
      }),
    ];
  }

  /** Resolves when it reads: what is written from now on will come. */
  async start(): Promise<void> {
    for (;;) {
      // A reconnect in the middle leaves it to the next round.
      if (await this.#open(++this.#generation)) return;
      this.#ending.signal.throwIfAborted();
    }
  }

  /** There is room again. */
  more(): void {
    if (this.#requested > 0 || this.#consumer === undefined || !this.#context.link.connected)
      return;
    const room = Math.min(MAX_BATCH, this.#target.room());
    if (room <= 0) return;
    this.#requested = room;
    this.#heardAt = this.#context.link.clock.monotonic();
    const wait = this.#caughtUp
      ? `"expires":${nanos(PULL_EXPIRES_MS)},"idle_heartbeat":${nanos(PULL_HEARTBEAT_MS)}`
      : `"no_wait":true`;
    this.#context.link.outbox.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.#options.stream}.${this.#consumer}`,
      `{"batch":${room},${wait}}`,
      { reply: this.#inbox?.getSubject() ?? "" },
    );
    this.#watchdog ??= this.#watch();
  }

  /** Stops, and removes the consumer. Idempotent. */
  async close(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    for (const stop of this.#stopListening) stop();
    this.#watchdog?.cancel();
    const removed = this.#release();
    if (removed) await within(this.#context.link.clock, removed, 1_000);
  }

  get #closed(): boolean {
    return this.#ending.signal.aborted;
  }

  /** @returns false if it was overtaken */
  async #open(generation: number): Promise<boolean> {
    const { api } = this.#context;
    const { stream, filter, what } = this.#options;
    const [info, last] = await Promise.all([
      api.streamInfo(stream),
      this.#caughtUp ? undefined : api.lastByLeader(stream, filter),
    ]);
    if (!info) throw new BusError("NOT_FOUND", `${what}: stream ${stream} is not there`);
    if (generation !== this.#generation || this.#closed) return false;
    this.#compareStream(info.created);
    if (this.#horizon === 0) this.#horizon = last?.sequence ?? 0;
    const name = `busbar-${newId(undefined, 16)}`;
    const { num_pending: pending } = await api.createConsumer(stream, {
      name,
      ...this.#position(),
    });
    if (generation !== this.#generation || this.#closed) {
      void api.deleteConsumer(stream, name).catch(() => undefined);
      return false;
    }
    this.#consumer = name;
    this.#nextDelivery = 1;
    this.#requested = 0;
    this.#inbox = this.#context.link.connection.subscribe(createInbox(), {
      callback: (error, message) => {
        if (generation !== this.#generation) return;
        if (error) this.#target.failed(fromClientError(error, what));
        else this.#onMessage(message);
      },
    });
    if (pending === 0 && this.#horizon <= this.#lastSequence) this.#markCaughtUp();
    this.more();
    return true;
  }

  /** A stream of the same name that was made anew begins at 1 again, and so does the reading. */
  #compareStream(created: string): void {
    if (this.#created !== "" && this.#created !== created) {
      this.#lastSequence = 0;
      this.#horizon = 0;
      this.#resumed = true;
    }
    this.#created = created;
  }

  #position(): Partial<ConsumerConfig> {
    const { filter, from, headersOnly } = this.#options;
    const fromStart = from === "lastPerSubject" && this.#lastSequence === 0 && !this.#resumed;
    const position = fromStart
      ? { deliver_policy: "last_per_subject" }
      : { deliver_policy: "by_start_sequence", opt_start_seq: this.#lastSequence + 1 };
    return {
      ...(position as Pick<ConsumerConfig, "deliver_policy">),
      filter_subject: filter,
      ack_policy: "none" as ConsumerConfig["ack_policy"],
      max_deliver: 1,
      num_replicas: 1,
      mem_storage: true,
      inactive_threshold: nanos(CONSUMER_LIFE_MS),
      ...(headersOnly ? { headers_only: true } : {}),
    };
  }

  #onMessage(message: Msg): void {
    this.#heardAt = this.#context.link.clock.monotonic();
    if (!isDelivery(message)) {
      this.#onStatus(message);
      return;
    }
    const info = parseAckSubject(message.reply as string);
    if (info.consumerSequence !== this.#nextDelivery) {
      this.#reopen();
      return;
    }
    this.#nextDelivery += 1;
    this.#requested -= 1;
    // 2.9 gives the last message of a subject twice now and then.
    if (info.streamSequence > this.#lastSequence) {
      const initial = !this.#caughtUp && info.streamSequence <= this.#horizon;
      if (!initial) this.#markCaughtUp();
      this.#lastSequence = info.streamSequence;
      this.#target.message(message, info, initial && !this.#resumed);
    }
    if (info.streamSequence >= this.#horizon) this.#markCaughtUp();
    if (this.#requested === 0) this.more();
  }

  #onStatus(status: Msg): void {
    const code = status.headers?.code ?? 0;
    if (code === 100) return;
    this.#requested = 0;
    if (code === 404 || code === 408) {
      if (this.#caughtUp) this.more();
      else void this.#look();
      return;
    }
    this.#reopen();
  }

  /**
   * The consumer has nothing more, and the last message that was there has not come: it was replaced
   * or removed meanwhile, or the consumer's server is behind the leader.
   */
  async #look(): Promise<void> {
    const { api, link } = this.#context;
    const { stream, filter } = this.#options;
    const generation = this.#generation;
    this.#looks += 1;
    try {
      const next =
        this.#looks > MAX_LOOKS
          ? undefined
          : await api.nextByLeader(stream, this.#lastSequence + 1, filter);
      if (generation !== this.#generation || this.#closed) return;
      if (next === undefined || next.sequence > this.#horizon) this.#markCaughtUp();
      else if (this.#looks > 1) {
        await link.clock.sleep(FIRST_RETRY_MS, { signal: this.#ending.signal });
      }
    } catch {
      // The next look, or a reopening, finds out.
    }
    if (generation === this.#generation && !this.#closed) this.more();
  }

  #markCaughtUp(): void {
    if (this.#caughtUp) return;
    this.#caughtUp = true;
    this.#target.caughtUp();
  }

  /** A server that hangs says nothing, not even that nothing is there. */
  #watch(): Timer {
    const { link } = this.#context;
    const check = (): void => {
      this.#watchdog = undefined;
      if (this.#closed) return;
      const silentMs = link.clock.monotonic() - this.#heardAt;
      if (this.#requested > 0 && silentMs > 2.5 * PULL_HEARTBEAT_MS && link.connected)
        this.#reopen();
      if (this.#requested > 0) this.#watchdog = this.#watch();
    };
    return link.clock.setTimer(check, PULL_HEARTBEAT_MS, { keepAlive: false });
  }

  #reopen(): void {
    if (this.#closed) return;
    // Before the first consumer stands, `start` does it.
    if (this.#consumer === undefined && !this.#reopening) {
      this.#generation += 1;
      return;
    }
    void this.#release()?.catch(() => undefined);
    this.#generation += 1;
    this.#resumed ||= this.#lastSequence > 0;
    if (this.#reopening) return;
    this.#reopening = true;
    void this.#reopenLoop();
  }

  async #reopenLoop(): Promise<void> {
    const { link } = this.#context;
    let delayMs = FIRST_RETRY_MS;
    while (!this.#closed) {
      try {
        if (await this.#open(this.#generation)) break;
        continue;
      } catch (error) {
        const failure = fromClientError(error, this.#options.what);
        if (failure.code === "PERMISSION_DENIED" || failure.code === "CLOSED") {
          this.#target.failed(failure);
          break;
        }
      }
      await link.clock.sleep(delayMs, { signal: this.#ending.signal }).catch(() => undefined);
      delayMs = Math.min(MAX_RETRY_MS, delayMs * 2);
    }
    this.#reopening = false;
  }

  /** Forgets the consumer; the promise is for its removal from the server. */
  #release(): Promise<unknown> | undefined {
    this.#inbox?.unsubscribe();
    this.#inbox = undefined;
    this.#requested = 0;
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (consumer === undefined || !this.#context.link.connected) return undefined;
    return this.#context.api.deleteConsumer(this.#options.stream, consumer);
  }
}
