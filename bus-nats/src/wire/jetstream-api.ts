import { BusError, errorCode } from "@busbar/core";
import type { ConsumerConfig, ConsumerInfo, StreamConfig, StreamInfo } from "@nats-io/jetstream";
import type { Msg, MsgHdrs } from "@nats-io/transport-node";
import { API, type ApiError, apiCode, fromApiError } from "../errors.ts";
import type { Link } from "../link.ts";
import { ownBytes } from "./bytes.ts";
import { decodeHeaders, encodeHeaders, type Fields, H, numberField } from "./headers.ts";

/** A stored message as a direct get gives it. */
export interface StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly timeMs: number;
  readonly message: Msg;
}

/** A stored message as the leader gives it. */
export interface StoredRecord {
  readonly subject: string;
  readonly sequence: number;
  readonly timeMs: number;
  readonly headers: MsgHdrs | undefined;
  readonly data: Uint8Array;
}

interface MessageAnswer {
  readonly message: {
    readonly subject: string;
    readonly seq: number;
    readonly time: string;
    readonly hdrs?: string;
    readonly data?: string;
  };
}

/** Options of {@link JetStreamApi.publish}. */
export interface StreamPublish {
  readonly subject: string;
  readonly payload: Uint8Array | string;
  readonly headers?: ReturnType<typeof encodeHeaders>;
  readonly timeoutMs: number;
  readonly what: string;
  /** Sent again over a reconnect. Only with a message id, an expectation, or where twice is once. */
  readonly idempotent?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** What it means that nobody listens on the subject. Default: JetStream is about to start. */
  readonly onNoResponders?: OnNoResponders;
}

/** Options of a direct get. */
export interface DirectGetOptions {
  readonly timeoutMs?: number;
  readonly onNoResponders?: OnNoResponders;
}

/** `retry` until the time is over, or the error that it is. */
type OnNoResponders = "retry" | (() => BusError);

/** The server's acknowledgement of a stored message. */
export interface StreamAck {
  readonly sequence: number;
  readonly duplicate: boolean;
}

const API_TIMEOUT_MS = 5_000;
const FIRST_READ_MS = 500;
const NANOS = 1_000_000;

/**
 * The calls of the JetStream API that Busbar needs, over the shared {@link Link.requester}.
 * Wire names and nanoseconds end here.
 */
export class JetStreamApi {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Stores a message. */
  publish(publish: StreamPublish): Promise<StreamAck> {
    const { onNoResponders = "retry" } = publish;
    return this.#link.requester.request({ ...publish, parse: parseAck, onNoResponders });
  }

  /** Any call of the API. Reading calls are repeated over a reconnect. */
  call<T>(name: string, body: object | undefined, what: string, idempotent = true): Promise<T> {
    return this.#link.requester.request({
      subject: `$JS.API.${name}`,
      payload: body === undefined ? "" : JSON.stringify(body),
      timeoutMs: API_TIMEOUT_MS,
      what,
      idempotent,
      parse: (message) => parseApi<T>(message, what),
      onNoResponders: "retry",
    });
  }

  /** Whether JetStream is there. @throws BusError `UNSUPPORTED` */
  async checkEnabled(): Promise<void> {
    await this.#link.requester.request({
      subject: "$JS.API.INFO",
      payload: "",
      timeoutMs: API_TIMEOUT_MS,
      what: "JetStream",
      idempotent: true,
      parse: (message) => parseApi<unknown>(message, "JetStream"),
      onNoResponders: () =>
        new BusError(
          "UNSUPPORTED",
          "the server has no JetStream: start it with -js, or enable it for the account",
        ),
    });
  }

  /** A stream, or `undefined`. */
  streamInfo(stream: string, subjectsFilter?: string): Promise<StreamInfo | undefined> {
    const body = subjectsFilter === undefined ? undefined : { subjects_filter: subjectsFilter };
    return orUndefined(this.call<StreamInfo>(`STREAM.INFO.${stream}`, body, `stream ${stream}`), [
      API.streamNotFound,
    ]);
  }

  /** How many messages a stream has on subjects of a filter, also beyond a page of the server's. */
  async countMessages(stream: string, subjectsFilter: string): Promise<number> {
    let count = 0;
    for (let offset = 0; ; ) {
      const page = await orUndefined(
        this.call<StreamInfo & { total?: number }>(
          `STREAM.INFO.${stream}`,
          { subjects_filter: subjectsFilter, offset },
          `stream ${stream}`,
        ),
        [API.streamNotFound],
      );
      const subjects = Object.values(page?.state.subjects ?? {});
      for (const messages of subjects) count += messages;
      offset += subjects.length;
      if (subjects.length === 0 || offset >= (page?.total ?? 0)) return count;
    }
  }

  /** Names of all streams, page by page. One that is made or removed meanwhile may be missed. */
  async streamNames(): Promise<string[]> {
    const names: string[] = [];
    for (;;) {
      const body = { offset: names.length };
      const page = await this.call<{ total?: number; streams?: string[] | null }>(
        "STREAM.NAMES",
        body,
        "names of streams",
      );
      const more = page.streams ?? [];
      names.push(...more);
      if (more.length === 0 || names.length >= (page.total ?? 0)) return names;
    }
  }

  createStream(config: Partial<StreamConfig>): Promise<StreamInfo> {
    return this.call(`STREAM.CREATE.${config.name}`, config, `stream ${config.name}`);
  }

  updateStream(config: Partial<StreamConfig>): Promise<StreamInfo> {
    return this.call(`STREAM.UPDATE.${config.name}`, config, `stream ${config.name}`);
  }

  /**
   * Removes a stream. Not purged first: what a purge leaves to do would remove messages of a stream of
   * that name that is made right after it (measured on 2.10). What such a stream may find of the old
   * one is removed where it is made.
   * @returns false if there was none.
   */
  async deleteStream(stream: string): Promise<boolean> {
    const done = this.call<{ success: boolean }>(
      `STREAM.DELETE.${stream}`,
      undefined,
      `stream ${stream}`,
    );
    return (await orUndefined(done, [API.streamNotFound])) !== undefined;
  }

  /** Removes messages; without a filter all. @returns how many. */
  async purge(stream: string, filter?: string): Promise<number> {
    const done = this.call<{ purged: number }>(
      `STREAM.PURGE.${stream}`,
      filter === undefined ? undefined : { filter },
      `purge of ${stream}`,
    );
    return (await orUndefined(done, [API.streamNotFound]))?.purged ?? 0;
  }

  /** Removes the messages before a sequence. */
  async purgeBefore(stream: string, sequence: number): Promise<void> {
    const body = { seq: sequence };
    await this.call<object>(`STREAM.PURGE.${stream}`, body, `purge of ${stream}`);
  }

  /**
   * Removes one message. @returns false if it was not there: with `once` only where that is sure, as
   * whoever asks again may find what he has done himself.
   */
  async deleteMessage(stream: string, sequence: number, once = false): Promise<boolean> {
    const done = this.call<{ success: boolean }>(
      `STREAM.MSG.DELETE.${stream}`,
      { seq: sequence, no_erase: true },
      `message ${sequence} of ${stream}`,
      !once,
    );
    // Servers answer "no message found" with 10037 or, for older sequences, a generic 10057.
    return (
      (await orUndefined(done, [API.messageNotFound, 10_043, 10_057, API.streamNotFound])) !==
      undefined
    );
  }

  /** The last message on a subject, by a direct get. */
  lastOn(
    stream: string,
    subject: string,
    options?: DirectGetOptions,
  ): Promise<StoredMessage | undefined> {
    return this.#directGet(`$JS.API.DIRECT.GET.${stream}.${subject}`, "", stream, options);
  }

  /** The first message at or after a sequence whose subject fits, by a direct get. */
  nextOn(stream: string, sequence: number, filter: string): Promise<StoredMessage | undefined> {
    const body = JSON.stringify({ seq: sequence, next_by_subj: filter });
    return this.#directGet(`$JS.API.DIRECT.GET.${stream}`, body, stream);
  }

  /** The last message that fits a filter, from the leader: sees every acknowledged write. */
  lastByLeader(stream: string, filter: string): Promise<StoredRecord | undefined> {
    return this.#leaderGet(stream, { last_by_subj: filter });
  }

  /** The first message at or after a sequence that fits a filter, from the leader. */
  nextByLeader(
    stream: string,
    sequence: number,
    filter: string,
  ): Promise<StoredRecord | undefined> {
    return this.#leaderGet(stream, { seq: sequence, next_by_subj: filter });
  }

  /** The message of a sequence, from the leader. */
  byLeader(stream: string, sequence: number): Promise<StoredRecord | undefined> {
    return this.#leaderGet(stream, { seq: sequence });
  }

  /** Whether a stream still has the message of a sequence. */
  async hasMessage(stream: string, sequence: number): Promise<boolean> {
    const what = `message ${sequence} of ${stream}`;
    const found = this.call<object>(`STREAM.MSG.GET.${stream}`, { seq: sequence }, what);
    return (await orUndefined(found, [API.messageNotFound, API.streamNotFound])) !== undefined;
  }

  consumerInfo(stream: string, consumer: string): Promise<ConsumerInfo | undefined> {
    const what = `consumer ${consumer} of ${stream}`;
    return orUndefined(
      this.call<ConsumerInfo>(`CONSUMER.INFO.${stream}.${consumer}`, undefined, what),
      [API.consumerNotFound, API.streamNotFound],
    );
  }

  /** Makes a consumer; the same configuration again is not an error. */
  createConsumer(
    stream: string,
    config: Partial<ConsumerConfig> & { name: string },
  ): Promise<ConsumerInfo> {
    const { name, filter_subject: filter } = config;
    const subject = `CONSUMER.CREATE.${stream}.${name}${filter ? `.${filter}` : ""}`;
    // Servers before 2.10 know no action and would update an existing consumer in silence.
    const action = this.#link.features.v2_10 ? { action: "create" } : {};
    return this.call(
      subject,
      { stream_name: stream, config, ...action },
      `consumer ${name} of ${stream}`,
    );
  }

  /** @returns false if there was none. */
  async deleteConsumer(stream: string, consumer: string): Promise<boolean> {
    const what = `consumer ${consumer} of ${stream}`;
    const done = this.call<{ success: boolean }>(
      `CONSUMER.DELETE.${stream}.${consumer}`,
      undefined,
      what,
    );
    return (await orUndefined(done, [API.consumerNotFound, API.streamNotFound])) !== undefined;
  }

  /** Names of the consumers of a stream, of its first thousand. */
  async consumerNames(stream: string): Promise<string[]> {
    const page = this.call<{ consumers?: string[] }>(
      `CONSUMER.NAMES.${stream}`,
      { offset: 0 },
      `consumers of ${stream}`,
    );
    return (await orUndefined(page, [API.streamNotFound]))?.consumers ?? [];
  }

  async #leaderGet(stream: string, body: object): Promise<StoredRecord | undefined> {
    const answer = await orUndefined(
      this.call<MessageAnswer>(`STREAM.MSG.GET.${stream}`, body, `read from ${stream}`),
      [API.messageNotFound, API.streamNotFound],
    );
    if (answer === undefined) return undefined;
    const { subject, seq, time, hdrs, data } = answer.message;
    return {
      subject,
      sequence: seq,
      timeMs: Date.parse(time),
      headers: hdrs === undefined ? undefined : decodeHeaders(Buffer.from(hdrs, "base64")),
      data: ownBytes(Buffer.from(data ?? "", "base64")),
    };
  }

  #directGet(
    subject: string,
    payload: string,
    stream: string,
    options: DirectGetOptions = {},
  ): Promise<StoredMessage | undefined> {
    const { timeoutMs, onNoResponders = "retry" } = options;
    const ask = (limitMs: number): Promise<StoredMessage | undefined> =>
      this.#link.requester.request({
        subject,
        payload,
        timeoutMs: limitMs,
        what: `read from ${stream}`,
        idempotent: true,
        parse: (message) => parseDirect(message, stream),
        onNoResponders,
      });
    if (timeoutMs !== undefined) return ask(timeoutMs);
    // A stream that was made just now may let a first read drop, on 2.9.
    return ask(FIRST_READ_MS).catch((error: unknown) => {
      if (errorCode(error) !== "TIMEOUT") throw error;
      return ask(API_TIMEOUT_MS);
    });
  }
}

/** Nanoseconds as the API wants them. */
export function nanos(ms: number): number {
  return Math.round(ms * NANOS);
}

/** Milliseconds from the API's nanoseconds. */
export function millis(ns: number | undefined): number {
  return (ns ?? 0) / NANOS;
}

/** Headers and fields together, as `publish` takes them. */
export function fieldsOnly(fields: Fields): ReturnType<typeof encodeHeaders> {
  return encodeHeaders({}, fields);
}

function parseAck(message: Msg): StreamAck {
  const text = message.string();
  const ack = JSON.parse(text) as { seq?: number; duplicate?: boolean; error?: ApiError };
  if (ack.error) throw fromApiError(ack.error, "publish");
  return { sequence: ack.seq as number, duplicate: ack.duplicate === true };
}

function parseApi<T>(message: Msg, what: string): T {
  const answer = message.json<{ error?: ApiError }>();
  if (answer.error) throw fromApiError(answer.error, what);
  return answer as T;
}

function parseDirect(message: Msg, stream: string): StoredMessage | undefined {
  const { headers } = message;
  const code = headers?.code ?? 0;
  if (code === 404) return undefined;
  if (code >= 400 || !headers) {
    throw new BusError(
      "INTERNAL",
      `read from ${stream}: ${headers?.description ?? "no headers"} (${code})`,
    );
  }
  return {
    subject: headers.get(H.subject),
    sequence: numberField(headers, H.sequence) as number,
    timeMs: Date.parse(headers.get(H.timeStamp)),
    message,
  };
}

async function orUndefined<T>(
  promise: Promise<T>,
  codes: readonly number[],
): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    const code = apiCode(error);
    if (code !== undefined && codes.includes(code)) return undefined;
    throw error;
  }
}
