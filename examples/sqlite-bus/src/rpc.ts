import type {
  Payload,
  Reply,
  RequestManyOptions,
  RequestOptions,
  RequestReply,
  RpcHandler,
  RpcServer,
  ServeOptions,
} from "@busbar/core";
import {
  checkHeaders,
  checkSubject,
  checkSubjectPattern,
  noResponders,
  type Owned,
  resolveServeOptions,
  resolveTimeout,
  timeoutError,
} from "@busbar/core/adapter";
import type { BusContext } from "./context.ts";
import { Hand } from "./hand.ts";
import type { Parcel, PostOffice, Route } from "./post-office.ts";
import { type Answer, type CheckedRequest, ReplyStream, type RequestNote } from "./reply-stream.ts";
import { SqliteRpcServer } from "./rpc-server.ts";

/** Request and reply: requests and replies are parcels of the post office. */
export class SqliteRpc implements RequestReply, Owned {
  readonly #context: BusContext;
  readonly #post: PostOffice;
  readonly #streams = new Map<number, ReplyStream>();
  readonly #hand: Hand<ReplyStream>;
  #replies: Route | undefined;
  #lastId = 0;

  constructor(context: BusContext, post: PostOffice) {
    this.#context = context;
    this.#post = post;
    this.#hand = new Hand(context.clock);
    context.lifecycle.add(this);
  }

  async request(subject: string, payload: Payload, options?: RequestOptions): Promise<Reply> {
    const request = this.#check(subject, payload, options);
    const stream = this.#stream(() => request, { maxReplies: 1 });
    const { done, value } = await stream.next();
    if (done) throw timeoutError(`the request to ${subject}`, request.timeoutMs);
    return value;
  }

  requestMany(
    subject: string,
    payload: Payload,
    options: RequestManyOptions = {},
  ): AsyncIterable<Reply> {
    const check = (): CheckedRequest => this.#check(subject, payload, options);
    return { [Symbol.asyncIterator]: () => this.#stream(check, options) };
  }

  async serve(subject: string, handler: RpcHandler, options?: ServeOptions): Promise<RpcServer> {
    this.#context.enter();
    checkSubjectPattern(subject);
    if (typeof handler !== "function") {
      throw new TypeError(`handler must be a function, got ${typeof handler}`);
    }
    const resolved = resolveServeOptions(options);
    resolved.signal?.throwIfAborted();
    return new SqliteRpcServer(this.#context, this.#post, subject, { handler, resolved });
  }

  async stop(drainMs: number): Promise<{ abandoned: number }> {
    const abandoned = await this.#hand.empty(drainMs);
    for (const stream of this.#hand.drain()) stream.close();
    this.#replies?.close();
    return { abandoned };
  }

  #stream(check: () => CheckedRequest, options: RequestManyOptions): ReplyStream {
    return new ReplyStream(this.#context.clock, options, {
      check,
      send: (request, stream) => this.#send(request, stream),
      over: (stream) => {
        this.#streams.delete(stream.id);
        this.#hand.remove(stream);
      },
    });
  }

  #send(request: CheckedRequest, stream: ReplyStream): void {
    const { subject, payload, timeoutMs } = request;
    this.#replies ??= this.#post.open("reply", { pattern: "", group: undefined }, (parcel) =>
      this.#onReply(parcel),
    );
    stream.id = ++this.#lastId;
    const note: RequestNote = { replyTo: this.#replies.id, id: stream.id, timeoutMs };
    const headers = JSON.stringify(request.headers);
    const parcel = { subject, payload, headers, note: JSON.stringify(note) };
    const count = this.#context.file.write(() => this.#post.sendToAll("rpc", parcel, timeoutMs));
    if (count === 0) throw noResponders(subject);
    this.#streams.set(stream.id, stream);
    this.#hand.add(stream);
  }

  /** A reply that nobody waits for any more is dropped. */
  #onReply(parcel: Parcel): void {
    const answer = JSON.parse(parcel.note) as Answer;
    this.#streams.get(answer.id)?.answered(answer, parcel);
  }

  #check(subject: string, payload: Payload, options: RequestOptions = {}): CheckedRequest {
    this.#context.enter();
    checkSubject(subject);
    const request = {
      subject,
      payload: this.#context.bytes(payload, subject),
      headers: checkHeaders(options.headers),
      timeoutMs: resolveTimeout(options.timeoutMs),
      signal: options.signal,
    };
    options.signal?.throwIfAborted();
    return request;
  }
}
