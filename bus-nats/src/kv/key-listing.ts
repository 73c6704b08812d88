import { BusError, type KeyPage, type Timer } from "@busbar/core";
import type { StreamInfo } from "@nats-io/jetstream";
import type { NatsContext } from "../context.ts";
import type { Bucket } from "./bucket.ts";
import { endOf, isRemoval } from "./entry.ts";
import { millis } from "../wire/jetstream-api.ts";
import { OrderedReader } from "./ordered-reader.ts";

/** How many walks are remembered between their pages, and for how long. */
const MAX_LISTINGS = 4;
const LISTING_LIFE_MS = 30_000;
/** Most keys that are asked for at a time. */
const READ_AHEAD = 10_000;

/** What a page is taken from. */
interface Listing {
  readonly keys: Keys;
  sorted: readonly string[];
  /** The state of the stream that it shows. */
  seen: Seen;
  usedAt: number;
}

/** Revision by key, and when the values of some of them are over, by the server's clock. */
interface Keys {
  readonly revisions: Map<string, number>;
  readonly ends: Map<string, number>;
}

interface Seen {
  readonly created: string;
  readonly lastSequence: number;
  readonly firstSequence: number;
  readonly subjects: number;
  /** How late it is on the server, if it says so. */
  readonly timeMs: number;
}

/** One page of a walk. */
export interface PageOptions {
  readonly key: string;
  readonly after: string | undefined;
  readonly limit: number;
}

/**
 * The keys of buckets, in pages. The server has no order of keys, so the first page of a walk lists
 * all of them (without their values); the next pages are taken from that list, after it was brought
 * up to date with what has changed since, which costs one look at the stream where nothing has.
 */
export class KeyListings {
  readonly #context: NatsContext;
  readonly #listings = new Map<string, Listing>();
  #timer: Timer | undefined;

  constructor(context: NatsContext) {
    this.#context = context;
    context.lifecycle.signal.addEventListener("abort", () => {
      this.#timer?.cancel();
      this.#listings.clear();
    });
  }

  /** Implements `KvStore.keys`. */
  async page(bucket: Bucket, options: PageOptions): Promise<KeyPage> {
    const { key, after, limit } = options;
    const id = `${bucket.stream} ${key}`;
    const known = after === undefined ? undefined : this.#listings.get(id);
    this.#listings.delete(id);
    const listing = await this.#current(bucket, key, known);
    const start = after === undefined ? 0 : upperBound(listing.sorted, after);
    const keys = listing.sorted.slice(start, start + limit);
    const more = start + limit < listing.sorted.length;
    if (more) this.#keep(id, listing);
    return { keys, next: more ? keys.at(-1) : undefined };
  }

  async #current(bucket: Bucket, key: string, known: Listing | undefined): Promise<Listing> {
    const { stream } = bucket;
    const info = await this.#context.api.streamInfo(stream);
    if (!info) {
      throw new BusError("NOT_FOUND", `the stream ${stream} is not there`, { details: { stream } });
    }
    const seen = describe(info);
    const ttlMs = millis(info.config.max_age);
    if (known && known.seen.created === seen.created) {
      if (known.seen.lastSequence < seen.lastSequence) {
        await this.#read({ ...bucket, ttlMs }, key, known.keys, known.seen.lastSequence);
        return update(known, seen);
      }
      if (known.seen.subjects === seen.subjects) return update(known, seen);
    }
    const keys: Keys = { revisions: new Map(), ends: new Map() };
    if (seen.lastSequence > 0) await this.#read({ ...bucket, ttlMs }, key, keys, undefined);
    return update({ keys, sorted: [], seen, usedAt: 0 }, seen);
  }

  /** Reads all keys, or what has changed after a sequence, into `keys`. */
  async #read(bucket: Bucket, key: string, keys: Keys, after: number | undefined): Promise<void> {
    let reader: OrderedReader | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        reader = new OrderedReader(
          this.#context,
          {
            stream: bucket.stream,
            filter: bucket.prefix + key,
            from: after === undefined ? "lastPerSubject" : { after },
            headersOnly: true,
            what: `keys of ${bucket.stream}`,
          },
          {
            message: (message, info) => {
              const name = message.subject.slice(bucket.prefix.length);
              const { headers } = message;
              keys.ends.delete(name);
              if (isRemoval(headers)) {
                keys.revisions.delete(name);
                return;
              }
              keys.revisions.set(name, info.streamSequence);
              const end = endOf(info.storedAtMs, headers, bucket.ttlMs);
              if (end < Number.POSITIVE_INFINITY) keys.ends.set(name, end);
            },
            caughtUp: resolve,
            room: () => READ_AHEAD,
            failed: reject,
          },
        );
        reader.start().catch(reject);
      });
    } finally {
      await reader?.close();
    }
  }

  #keep(id: string, listing: Listing): void {
    const { clock } = this.#context.link;
    listing.usedAt = clock.monotonic();
    this.#listings.set(id, listing);
    const oldest = this.#listings.keys().next().value;
    if (this.#listings.size > MAX_LISTINGS && oldest !== undefined) this.#listings.delete(oldest);
    this.#timer ??= this.#expire();
  }

  #expire(): Timer {
    const { clock } = this.#context.link;
    const check = (): void => {
      for (const [id, { usedAt }] of this.#listings) {
        if (clock.monotonic() - usedAt >= LISTING_LIFE_MS) this.#listings.delete(id);
      }
      this.#timer = this.#listings.size > 0 ? this.#expire() : undefined;
    };
    return clock.setTimer(check, LISTING_LIFE_MS, { keepAlive: false });
  }
}

function describe({ created, state, ts }: StreamInfo): Seen {
  return {
    created: String(created),
    lastSequence: state.last_seq,
    firstSequence: state.first_seq,
    subjects: state.num_subjects ?? 0,
    timeMs: Date.parse(ts ?? ""),
  };
}

/** Brings the order up to date; what lies before the first message of the stream is gone. */
function update(listing: Listing, seen: Seen): Listing {
  const { revisions, ends } = listing.keys;
  if (listing.seen.firstSequence !== seen.firstSequence) {
    for (const [key, revision] of revisions) {
      if (revision < seen.firstSequence) revisions.delete(key);
    }
  }
  // Servers remove what is too old up to a second late.
  for (const [key, end] of ends) if (end <= seen.timeMs) revisions.delete(key);
  const unchanged =
    listing.seen.lastSequence === seen.lastSequence && listing.sorted.length === revisions.size;
  // Keys are ASCII: the order of their code units is that of their code points.
  if (!unchanged) listing.sorted = [...revisions.keys()].sort();
  listing.seen = seen;
  return listing;
}

/** Where the first element after `key` is. */
function upperBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as string) <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
