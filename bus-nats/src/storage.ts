import type { StorageStats } from "@busbar/core";
import { isNamespaceWithin, type ResolvedStorageOptions, sumStorage } from "@busbar/core/adapter";
import type { NatsContext } from "./context.ts";
import { purposeOf, type StreamPurpose, WireNames } from "./wire/names.ts";

/** How many streams are asked for, or removed, at a time. */
const AT_A_TIME = 64;
/** How often it is looked whether streams are left: some may be made while others are removed. */
const MAX_PASSES = 8;
const NOTHING: StorageStats = Object.freeze({ objects: 0, bytes: 0 });

interface FoundStream extends StreamPurpose {
  readonly stream: string;
}

/** What a namespace and those below it have on the server: streams, which are known by their names. */
export class Storage {
  readonly #context: NatsContext;

  constructor(context: NatsContext) {
    this.#context = context;
  }

  /** What all of it is. */
  async all(): Promise<StorageStats> {
    const stored = (await this.#find()).filter(({ kind }) => kind !== "bookkeeping");
    return sumStorage(await eachOf(stored, ({ stream }) => this.#stored(stream)));
  }

  /** What some queues and buckets have. */
  async some({ queues, buckets }: ResolvedStorageOptions): Promise<StorageStats> {
    const { names } = this.#context;
    const streams = [
      ...queues.map((queue) => names.jobStream(queue)),
      ...buckets.map((bucket) => names.bucketStream(names.bucket(bucket))),
    ];
    const stored = await eachOf(streams, (stream) => this.#stored(stream));
    return sumStorage([...stored, await this.#deadLettersOf(queues)]);
  }

  /** Removes all of it, and tells every bus. */
  async remove(): Promise<void> {
    const { link, names } = this.#context;
    const namespaces = new Set([names.namespace]);
    for (let pass = 1; pass <= MAX_PASSES; pass++) {
      const found = await this.#find();
      if (found.length === 0) break;
      for (const { namespace } of found) namespaces.add(namespace);
      const isQueue = ({ kind }: FoundStream): boolean => kind === "jobs";
      // What is said of queues is recorded in another stream, which is to go as well.
      await eachOf(found.filter(isQueue), (queue) => this.#removeQueue(queue));
      const others = found.filter((one) => !isQueue(one));
      await eachOf(others, ({ stream }) => this.#context.api.deleteStream(stream));
    }
    for (const namespace of namespaces) link.outbox.publish(new WireNames(namespace).removed);
    await link.flush("removal of the namespace");
  }

  async #find(): Promise<FoundStream[]> {
    const { api, names } = this.#context;
    return (await api.streamNames()).flatMap((stream) => {
      const purpose = purposeOf(stream);
      const isOurs = purpose && isNamespaceWithin(purpose.namespace, names.namespace);
      return isOurs ? [{ stream, ...purpose }] : [];
    });
  }

  async #stored(stream: string): Promise<StorageStats> {
    const state = (await this.#context.api.streamInfo(stream))?.state;
    return state ? { objects: state.messages, bytes: state.bytes } : NOTHING;
  }

  /** Dead letters of all queues are in one stream, which tells its bytes: each queue has its share. */
  async #deadLettersOf(queues: readonly string[]): Promise<StorageStats> {
    const { api, names } = this.#context;
    if (queues.length === 0) return NOTHING;
    const all = await this.#stored(names.deadStream);
    if (all.objects === 0) return NOTHING;
    const counts = await eachOf(queues, (queue) =>
      api.countMessages(names.deadStream, names.deadSubject("job", queue, "*")),
    );
    const objects = counts.reduce((sum, count) => sum + count, 0);
    return { objects, bytes: Math.ceil((all.bytes * objects) / all.objects) };
  }

  /** As `JobQueue.deleteQueue`: workers of other buses must not settle jobs of a queue made anew. */
  async #removeQueue({ stream, namespace, queue = "" }: FoundStream): Promise<void> {
    const { api, link } = this.#context;
    const lastStored = (await api.streamInfo(stream))?.state.last_ts;
    await api.deleteStream(stream);
    link.outbox.publish(new WireNames(namespace).controlSubject(queue, "deleted"), lastStored);
  }
}

/** Does something with each, some at a time. */
async function eachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let index = 0; index < items.length; index += AT_A_TIME) {
    results.push(...(await Promise.all(items.slice(index, index + AT_A_TIME).map(work))));
  }
  return results;
}
