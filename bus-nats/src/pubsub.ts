import {
  BusError,
  type DeadLetter,
  type Headers,
  type Listener,
  type ListenOptions,
  newId,
  type Payload,
  type PublishAck,
  type PublishOptions,
  type Pubsub,
  type StartFrom,
  type SubscribeOptions,
  type Subscription,
} from "@busbar/core";
import {
  checkDedupId,
  checkExpected,
  checkHeaders,
  checkName,
  checkSubject,
  checkSubjectPattern,
  optionsConflict,
  payloadBytes,
  type ResolvedSubscribeOptions,
  resolveSubscribeOptions,
  resolveTimeout,
  sequenceConflict,
} from "@busbar/core/adapter";
import type { ConsumerConfig } from "@nats-io/jetstream";
import type { NatsContext } from "./context.ts";
import { NatsDeadLetters } from "./dead-letters.ts";
import { API, apiCode } from "./errors.ts";
import { Ledger } from "./ledger.ts";
import type { Live } from "./live.ts";
import { NatsSubscription, type SubscriptionTools } from "./subscription.ts";
import { encodeHeaders, field, H } from "./wire/headers.ts";
import { millis, nanos, type StoredRecord } from "./wire/jetstream-api.ts";

type Wanted = Partial<ConsumerConfig> & { readonly name: string };

/** What the server does not keep of a durable by itself, in the description of its consumer. */
interface About {
  readonly maxDeliveries: unknown;
  readonly from: unknown;
  /** The last sequence of the stream before the durable was made. */
  readonly madeAfter?: number;
}

/** A publish whose expected sequence was not the last one of its subject. */
interface RefusedPublish {
  readonly subject: string;
  readonly expected: number;
  readonly messageId: string | undefined;
  /** Tries it again with another expectation. */
  readonly send: (expected: number) => Promise<PublishAck>;
}

/** How many replays a publish that expects a sequence looks over. */
const MAX_REPLAYS = 100;
/** How long an ephemeral consumer outlives a client that went away without a word. */
const EPHEMERAL_LIFE_MS = 300_000;
/** No message has it: ids have no spaces. */
const NO_MESSAGE_ID = "not an id";
const QUESTION_TIMEOUT_MS = 5_000;

/** Pubsub on one JetStream stream: the namespace's own, or one the configuration binds to. */
export class NatsPubsub implements Pubsub {
  readonly deadLetters: NatsDeadLetters;
  readonly #context: NatsContext;
  readonly #live: Live;
  readonly #tools: SubscriptionTools;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #toSubject: (wire: string) => string;
  #ready: Promise<void> | undefined;
  #isReady = false;

  constructor(context: NatsContext, live: Live) {
    this.#context = context;
    this.#live = live;
    const { stream } = context.config;
    this.#stream = stream?.name ?? context.names.messageStream;
    this.#prefix = stream
      ? stream.subjectPrefix === ""
        ? ""
        : `${stream.subjectPrefix}.`
      : context.names.messagePrefix;
    this.#toSubject = (wire) => wire.slice(this.#prefix.length);
    this.deadLetters = new NatsDeadLetters(
      context,
      "sub",
      (letter, _stored, replayId) => this.#revive(letter, replayId),
      // A durable is only one of the readers of a message: the original stays for the others.
      () => Promise.resolve(),
    );
    this.#tools = { context, ledger: new Ledger(context), deadLetters: this.deadLetters };
    const lookAgain = (): void => {
      this.#ready = undefined;
      this.#isReady = false;
    };
    context.link.onReconnect(lookAgain);
    context.removal.onRemoved(lookAgain);
  }

  publish(subject: string, payload: Payload, options: PublishOptions = {}): Promise<PublishAck> {
    // No async function: this is the hot path, and a promise more is a tenth of it.
    try {
      this.#context.lifecycle.checkOpen();
      checkSubject(subject);
      const bytes = payloadBytes(payload, this.#context.capabilities.maxPayloadBytes, subject);
      const headers = checkHeaders(options.headers);
      const { messageId, expectedLastSequence } = options;
      const fields: [string, string | number][] = [];
      if (messageId !== undefined) fields.push([H.msgId, checkDedupId("messageId", messageId)]);
      if (expectedLastSequence !== undefined) {
        checkExpected("expectedLastSequence", expectedLastSequence);
      }
      const timeoutMs = resolveTimeout(options.timeoutMs);
      const send = (expected = expectedLastSequence): Promise<PublishAck> =>
        this.#context.api.publish({
          subject: this.#prefix + subject,
          payload: bytes,
          headers: encodeHeaders(
            headers,
            expected === undefined
              ? fields
              : [...fields, [H.expectedLastSubjectSequence, expected]],
          ),
          timeoutMs,
          what: `publish on ${subject}`,
          idempotent: messageId !== undefined,
          signal: options.signal,
        });
      const sent = this.#isReady ? send() : this.#ensureStream().then(() => send());
      return expectedLastSequence === undefined
        ? sent
        : sent.catch((error: unknown) =>
            this.#onConflict(error, { subject, expected: expectedLastSequence, messageId, send }),
          );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  notify(
    subject: string,
    payload: Payload,
    options: { readonly headers?: Headers } = {},
  ): Promise<void> {
    return this.#live.notify(subject, payload, options);
  }

  listen(subject: string, options: ListenOptions = {}): Promise<Listener> {
    return this.#live.listen(subject, options);
  }

  async subscribe(subject: string, options: SubscribeOptions = {}): Promise<Subscription> {
    this.#context.lifecycle.checkOpen();
    checkSubjectPattern(subject);
    const resolved = resolveSubscribeOptions(options);
    resolved.signal?.throwIfAborted();
    await this.#ensureStream();
    const wanted = this.#consumerConfig(subject, resolved);
    const madeAfter = await this.#ensureConsumer(wanted, resolved);
    this.#context.lifecycle.checkOpen();
    return new NatsSubscription(
      {
        stream: this.#stream,
        consumer: wanted.name,
        madeAfter,
        options: resolved,
        toSubject: this.#toSubject,
      },
      this.#tools,
    );
  }

  async deleteDurable(durable: string): Promise<boolean> {
    this.#context.lifecycle.checkOpen();
    checkName("durable", durable);
    const { api, names } = this.#context;
    await this.#ensureStream();
    const existed = await api.deleteConsumer(this.#stream, names.consumer(durable));
    await this.deadLetters.purge(durable);
    await this.#tools.ledger.purge("sub", durable);
    return existed;
  }

  #ensureStream(): Promise<void> {
    const { provisioner, names, config } = this.#context;
    this.#ready ??= (
      config.stream
        ? this.#checkBound(config.stream.name)
        : provisioner.ensure({
            name: names.messageStream,
            subjects: [`${names.messagePrefix}>`],
            max_age: nanos(config.maxAgeMs),
            max_bytes: config.maxBytes,
          })
    ).then(
      () => {
        this.#isReady = true;
      },
      (error: unknown) => {
        this.#ready = undefined;
        throw error;
      },
    );
    return this.#ready;
  }

  async #checkBound(stream: string): Promise<void> {
    if (await this.#context.api.streamInfo(stream)) return;
    throw new BusError("NOT_FOUND", `stream ${stream} of the configuration does not exist`, {
      details: { stream },
    });
  }

  #consumerConfig(subject: string, options: ResolvedSubscribeOptions): Wanted {
    const { durable, backoffMs } = options;
    const name =
      durable === undefined ? `ephemeral-${newId()}` : this.#context.names.consumer(durable);
    return {
      name,
      durable_name: name,
      filter_subject: this.#prefix + subject,
      ack_policy: "explicit" as ConsumerConfig["ack_policy"],
      ack_wait: nanos(options.ackWaitMs),
      max_ack_pending: -1,
      max_waiting: 8_192,
      ...startPolicy(options.from),
      ...(backoffMs.length > 0
        ? { backoff: backoffMs.map(nanos), max_deliver: 1_000_000_000 }
        : { max_deliver: -1 }),
      ...(durable === undefined ? { inactive_threshold: nanos(EPHEMERAL_LIFE_MS) } : {}),
    };
  }

  /**
   * Asks first: servers before 2.10 change an existing consumer without a word.
   * @returns the sequence after which a durable was made; 0 if that is not known
   */
  async #ensureConsumer(wanted: Wanted, options: ResolvedSubscribeOptions): Promise<number> {
    const { api } = this.#context;
    const isDurable = options.durable !== undefined;
    let existing = isDurable ? await api.consumerInfo(this.#stream, wanted.name) : undefined;
    if (!existing) {
      const stream = isDurable ? await api.streamInfo(this.#stream) : undefined;
      const madeAfter = stream?.state.last_seq ?? 0;
      try {
        // maxDeliveries is counted here, not by the server: its count has deliveries nobody saw.
        const { maxDeliveries, from } = options;
        const about: About = { maxDeliveries: shown(maxDeliveries), from, madeAfter };
        const description = `busbar ${JSON.stringify(about)}`;
        await api.createConsumer(this.#stream, { ...wanted, description });
        return madeAfter;
      } catch (error) {
        const code = apiCode(error);
        // Somebody else made it meanwhile.
        if (code !== API.consumerExists && code !== API.consumerNameExists) throw error;
      }
      existing = await api.consumerInfo(this.#stream, wanted.name);
    }
    if (!existing) return 0;
    const about = aboutOf(existing.config);
    this.#compare(existing.config, about, wanted, options);
    return about?.madeAfter ?? 0;
  }

  #compare(
    existing: ConsumerConfig,
    about: About | undefined,
    wanted: Wanted,
    options: ResolvedSubscribeOptions,
  ): void {
    const differences: [string, unknown, unknown][] = [];
    const compare = (option: string, is: unknown, wants: unknown): void => {
      if (JSON.stringify(is) !== JSON.stringify(wants)) differences.push([option, is, wants]);
    };
    const filter = existing.filter_subject ?? existing.filter_subjects?.join(" ") ?? "";
    compare("subject", this.#toSubject(filter), this.#toSubject(wanted.filter_subject as string));
    compare("ackWaitMs", millis(existing.ack_wait), options.ackWaitMs);
    compare("backoffMs", (existing.backoff ?? []).map(millis), options.backoffMs);
    // Consumers of other tools say nothing of these two.
    if (about) {
      compare("maxDeliveries", about.maxDeliveries, shown(options.maxDeliveries));
      compare("from", about.from, options.from);
    }
    if (differences.length > 0) throw optionsConflict(`durable ${options.durable}`, differences);
  }

  async #revive(letter: DeadLetter, replayId: string): Promise<boolean> {
    await this.#ensureStream();
    const { api, names } = this.#context;
    // One that is made later would not take it for its own.
    if (!(await api.consumerInfo(this.#stream, names.consumer(letter.owner)))) return false;
    await this.#context.api.publish({
      subject: this.#prefix + letter.subject,
      payload: letter.payload,
      headers: encodeHeaders(letter.headers, [
        [H.msgId, replayId],
        [H.replayFor, letter.owner],
      ]),
      timeoutMs: 5_000,
      what: `replay on ${letter.subject}`,
      idempotent: true,
    });
    return true;
  }

  async #onConflict(error: unknown, refused: RefusedPublish): Promise<PublishAck> {
    const code = apiCode(error);
    if (code !== API.wrongLastSequence && code !== API.wrongLastSequenceConstant) throw error;
    const { subject, expected, messageId, send } = refused;
    // Newer servers look at the expectation before the message id.
    const first = messageId === undefined ? undefined : await this.#firstOf(messageId, subject);
    if (first) return first;
    const { api } = this.#context;
    const last = await api.lastByLeader(this.#stream, this.#prefix + subject);
    const current = last === undefined ? 0 : await this.#lastButReplays(subject, expected, last);
    if (current !== expected) throw sequenceConflict(subject, expected, current);
    const { sequence = 0 } = last ?? {};
    return send(sequence).catch((again: unknown) => {
      throw apiCode(again) === code ? sequenceConflict(subject, expected, sequence) : again;
    });
  }

  /** The last sequence of a subject, not counting replays: those are for one durable alone. */
  async #lastButReplays(subject: string, expected: number, last: StoredRecord): Promise<number> {
    if (!isReplay(last)) return last.sequence;
    const { sequence } = last;
    // Mostly what was expected is there, and nothing but replays behind it.
    const near = expected < sequence ? await this.#lastBetween(subject, expected, sequence) : 0;
    // The server knows no way back from the last one.
    return (near === 0 ? await this.#lastBetween(subject, 1, sequence) : near) ?? sequence;
  }

  /** 0 if there is none in [from, before) that is no replay, `undefined` if there are too many to tell. */
  async #lastBetween(subject: string, from: number, before: number): Promise<number | undefined> {
    const { api } = this.#context;
    let found = 0;
    for (let [next, looks] = [Math.max(from, 1), 0]; next < before; looks++) {
      if (looks === MAX_REPLAYS) return undefined;
      const stored = await api.nextByLeader(this.#stream, next, this.#prefix + subject);
      if (stored === undefined || stored.sequence >= before) break;
      if (!isReplay(stored)) found = stored.sequence;
      next = stored.sequence + 1;
    }
    return found;
  }

  /** The message that was stored with an id: asked by a publish that is not stored otherwise. */
  async #firstOf(messageId: string, subject: string): Promise<PublishAck | undefined> {
    try {
      return await this.#context.api.publish({
        subject: this.#prefix + subject,
        payload: "",
        headers: encodeHeaders({}, [
          [H.msgId, messageId],
          [H.expectedLastMsgId, NO_MESSAGE_ID],
        ]),
        timeoutMs: QUESTION_TIMEOUT_MS,
        what: `message id ${messageId}`,
        idempotent: true,
      });
    } catch (error) {
      if (apiCode(error) === API.wrongLastMessageId) return undefined;
      throw error;
    }
  }
}

function isReplay({ headers }: StoredRecord): boolean {
  return field(headers, H.replayFor) !== undefined;
}

function startPolicy(from: StartFrom): Partial<ConsumerConfig> {
  type Policy = ConsumerConfig["deliver_policy"];
  if (from === "all") return { deliver_policy: "all" as Policy };
  if (from === "new") return { deliver_policy: "new" as Policy };
  if ("sequence" in from) {
    return { deliver_policy: "by_start_sequence" as Policy, opt_start_seq: from.sequence };
  }
  return {
    deliver_policy: "by_start_time" as Policy,
    opt_start_time: new Date(from.timeMs).toISOString(),
  };
}

function aboutOf({ description = "" }: ConsumerConfig): About | undefined {
  const about = /^busbar (?<about>\{.*\})$/.exec(description)?.groups?.["about"];
  return about === undefined ? undefined : (JSON.parse(about) as About);
}

function shown(maxDeliveries: number): number | "Infinity" {
  return Number.isFinite(maxDeliveries) ? maxDeliveries : "Infinity";
}
