import type {
  BucketOptions,
  DeleteOptions,
  KeyPage,
  KeysOptions,
  KvEntry,
  KvEvent,
  KvStore,
  KvWatch,
  Lease,
  LeaseOptions,
  Payload,
  PutOptions,
  WatchOptions,
} from "@busbar/core";
import { DEFAULT_TIMEOUT_MS } from "@busbar/core/adapter";
import { digest, owned } from "./digest.ts";
import type { Call, Link } from "./link.ts";
import { SimLease } from "./sim-lease.ts";
import { SimStream } from "./sim-stream.ts";

/** Keys and values over a {@link Link}. */
export class SimKvStore implements KvStore {
  readonly #link: Link;
  readonly #inner: KvStore;

  constructor(link: Link, inner: KvStore) {
    this.#link = link;
    this.#inner = inner;
  }

  ensureBucket(bucket: string, options?: BucketOptions): Promise<void> {
    const call = this.#call("ensureBucket", bucket, { ttlMs: options?.ttlMs });
    return this.#link.request({ ...call, again: "afterBreak" }, () =>
      this.#inner.ensureBucket(bucket, options),
    );
  }

  deleteBucket(bucket: string): Promise<boolean> {
    return this.#ask("deleteBucket", bucket, () => this.#inner.deleteBucket(bucket));
  }

  get(bucket: string, key: string): Promise<KvEntry | undefined> {
    const call = this.#call("get", `${bucket}/${key}`, {});
    return this.#link.request(
      { ...call, again: "afterBreak" },
      () => this.#inner.get(bucket, key),
      (entry) => ({ revision: entry?.revision, value: entry && digest(entry.value) }),
    );
  }

  put(bucket: string, key: string, value: Payload, options?: PutOptions): Promise<number> {
    const own = owned(this.#link, value);
    const data = this.#written(own, { ttlMs: options?.ttlMs });
    const call = this.#call("put", `${bucket}/${key}`, data);
    return this.#link.request(call, () => this.#inner.put(bucket, key, own, options), revised);
  }

  create(bucket: string, key: string, value: Payload, options?: PutOptions): Promise<number> {
    const own = owned(this.#link, value);
    const data = this.#written(own, { ttlMs: options?.ttlMs });
    const call = this.#call("create", `${bucket}/${key}`, data);
    return this.#link.request(call, () => this.#inner.create(bucket, key, own, options), revised);
  }

  cas(bucket: string, key: string, value: Payload, expectedRevision: number): Promise<number> {
    const own = owned(this.#link, value);
    const call = this.#call("cas", `${bucket}/${key}`, this.#written(own, { expectedRevision }));
    return this.#link.request(
      call,
      () => this.#inner.cas(bucket, key, own, expectedRevision),
      revised,
    );
  }

  delete(bucket: string, key: string, options?: DeleteOptions): Promise<void> {
    const call = this.#call("delete", `${bucket}/${key}`, {
      expectedRevision: options?.expectedRevision,
    });
    return this.#link.request(call, () => this.#inner.delete(bucket, key, options));
  }

  history(
    bucket: string,
    key: string,
  ): Promise<readonly Exclude<KvEvent, { type: "initialDone" }>[]> {
    return this.#ask("history", `${bucket}/${key}`, () => this.#inner.history(bucket, key));
  }

  keys(bucket: string, options?: KeysOptions): Promise<KeyPage> {
    return this.#ask("keys", bucket, () => this.#inner.keys(bucket, options));
  }

  async watch(bucket: string, options?: WatchOptions): Promise<KvWatch> {
    const inner = await this.#ask("watch", bucket, () => this.#inner.watch(bucket, options));
    return new SimWatch(this.#link, inner, bucket);
  }

  async lease(bucket: string, key: string, options: LeaseOptions): Promise<Lease> {
    const about = `${bucket}/${key}`;
    const { ttlMs, waitMs = 0, owner } = options ?? {};
    const call = {
      op: "lease.acquire",
      about,
      data: { ttlMs, waitMs, owner },
      timeoutMs: waitMs + DEFAULT_TIMEOUT_MS,
      again: "afterBreak" as const,
    };
    const inner = await this.#link.request(
      call,
      this.#link.waiting(options, (left) => this.#inner.lease(bucket, key, left)),
      (lease) => SimLease.facts(lease, this.#link),
    );
    return new SimLease(this.#link, inner, about);
  }

  #ask<T>(method: string, about: string, run: () => Promise<T>): Promise<T> {
    const call = this.#call(method, about, {});
    return this.#link.request({ ...call, again: "afterBreak" }, run);
  }

  #call(method: string, about: string, data: Call["data"]): Call {
    return { op: `kv.${method}`, about, data: data ?? {}, timeoutMs: DEFAULT_TIMEOUT_MS };
  }

  #written(
    value: Payload,
    more: Readonly<Record<string, unknown>>,
  ): Readonly<Record<string, unknown>> {
    return this.#link.recorder.isWatched ? { value: digest(value), ...more } : more;
  }
}

/** How many changes may be under way or wait for the process. */
const MAX_AHEAD = 256;

function revised(revision: number): Readonly<Record<string, unknown>> {
  return { revision };
}

class SimWatch implements KvWatch {
  readonly #link: Link;
  readonly #inner: KvWatch;
  readonly #stream: SimStream<KvEvent, KvEvent>;

  constructor(link: Link, inner: KvWatch, bucket: string) {
    this.#link = link;
    this.#inner = inner;
    // A watch resumes after the last revision it has got: nothing of it is lost.
    this.#stream = new SimStream<KvEvent, KvEvent>(link, inner[Symbol.asyncIterator]() as never, {
      op: "kv.event",
      about: bucket,
      lossy: false,
      ahead: MAX_AHEAD,
      whileDown: "wait",
      arrived: (event) => {
        const about = event.type === "initialDone" ? bucket : `${bucket}/${event.key}`;
        link.recorder.delivered(link.name, "kv.event", about, () => ({
          event: event.type,
          revision: event.type === "initialDone" ? undefined : event.revision,
          value: event.type === "put" ? digest(event.value) : undefined,
        }));
        return event;
      },
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<KvEvent, undefined> {
    return {
      next: () => this.#stream.next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  close(): Promise<void> {
    this.#stream.end();
    return this.#link.gate.through(this.#inner.close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
