import { BusError, type ResolvedNatsConfig } from "@busbar/core";
import { optionsConflict } from "@busbar/core/adapter";
import type { StreamConfig, StreamInfo } from "@nats-io/jetstream";
import { API, apiCode } from "./errors.ts";
import type { Link } from "./link.ts";
import { type JetStreamApi, nanos } from "./wire/jetstream-api.ts";

/** More than anybody needs; newer servers allow 1,000 unless a stream names its own number. */
export const MAX_CONSUMERS = 100_000;

/** How often a stream is made that is removed, or was removed a moment ago. */
const MAKE_ATTEMPTS = 8;
/** How long the first pause is in which the server ends what it was doing; each is twice the last. */
const FIRST_PAUSE_MS = 5;

/** A stream is taken for one that was just made for so long, by the server's clock. */
const JUST_MADE_MS = 2_000;

/** What is compared when a stream exists: what its purpose depends on. */
const COMPARED = [
  "subjects",
  "retention",
  "storage",
  "num_replicas",
  "max_age",
  "max_bytes",
  "max_msgs_per_subject",
  "duplicate_window",
  "discard",
  "allow_direct",
] as const satisfies readonly (keyof StreamConfig)[];

/**
 * Makes streams on first use: idempotent, once per bus, safe when several processes begin at the
 * same time, never destructive. An existing stream of another shape is a `CONFLICT` that lists the
 * differences, unless the configuration says `update`.
 */
export class Provisioner {
  readonly #api: JetStreamApi;
  readonly #link: Link;
  readonly #config: ResolvedNatsConfig;
  readonly #known = new Map<string, Promise<void>>();

  constructor(api: JetStreamApi, link: Link, config: ResolvedNatsConfig) {
    this.#api = api;
    this.#link = link;
    this.#config = config;
    // A server that comes back may have lost what it kept in memory.
    link.onReconnect(() => this.#known.clear());
  }

  /** Makes sure that the stream is there. */
  ensure(config: NamedStream): Promise<void> {
    const known = this.#known.get(config.name);
    if (known) return known;
    const made = this.#make({ ...this.#defaults(), ...config });
    this.#known.set(config.name, made);
    // A failure is not remembered: the next use tries again.
    made.catch(() => this.#known.delete(config.name));
    return made;
  }

  /** The stream was deleted: the next use makes it again. */
  forget(stream: string): void {
    this.#known.delete(stream);
  }

  /** Everything was deleted. */
  forgetAll(): void {
    this.#known.clear();
  }

  #defaults(): Partial<StreamConfig> {
    const { storage, replicas, dedupWindowMs } = this.#config;
    return {
      storage: storage as StreamConfig["storage"],
      num_replicas: replicas,
      duplicate_window: nanos(dedupWindowMs),
      allow_direct: true,
      max_age: 0,
      max_bytes: -1,
      max_msgs: -1,
      ...(this.#link.features.consumerDefaultLimit ? { max_consumers: MAX_CONSUMERS } : {}),
    };
  }

  async #make(wanted: NamedStream): Promise<void> {
    const { info, made } = await createOrFind({ api: this.#api, link: this.#link }, wanted);
    if (made) return;
    const existing = info.config;
    const differences = COMPARED.filter(
      (option) => wanted[option] !== undefined && !same(wanted[option], existing[option]),
    ).map((option) => [option, existing[option], wanted[option]] as const);
    if (differences.length === 0) return;
    if (!this.#config.update) throw optionsConflict(`stream ${wanted.name}`, differences);
    await this.#api.updateStream({ ...existing, ...wanted });
  }
}

/** A stream's configuration as it is asked for. */
export type NamedStream = Partial<StreamConfig> & { readonly name: string };

/**
 * Makes a stream, or finds the one that is there, whatever its options: `made` says which. Safe
 * when several make it at the same moment: the server tells some of the losers that the name is in
 * use, some that the subjects overlap (2.9), and some that its store could not be made (2.10 and
 * newer), so that only the look at the stream itself decides. Safe too right after a stream of that
 * name was removed: the server says so before its files are gone, and cannot make the store until
 * they are (measured on all versions: one time in a thousand, for some milliseconds). A store that
 * cannot be made for another reason is known after 0.7 s.
 */
export async function createOrFind(
  { api, link }: { readonly api: JetStreamApi; readonly link: Link },
  wanted: NamedStream,
): Promise<{ readonly info: StreamInfo; readonly made: boolean }> {
  for (let attempt = 1; ; attempt++) {
    try {
      const info = await api.createStream(wanted);
      if (hasLeftovers(info)) await api.purgeBefore(wanted.name, info.state.last_seq + 1);
      return { info, made: true };
    } catch (error) {
      const code = apiCode(error);
      // Somebody removes what was just made, or found.
      const isGoing = code === API.streamClosed || code === API.streamNotFound;
      const info = code === undefined || isGoing ? undefined : await api.streamInfo(wanted.name);
      if (info) return { info, made: false };
      if (code === API.subjectsOverlap) throw subjectsOverlap(wanted, error);
      // In use, and yet not there: somebody removes it at this moment.
      const mayPass = isGoing || code === API.streamNameInUse || code === API.streamCreateFailed;
      if (!mayPass || attempt >= MAKE_ATTEMPTS) throw error;
      await link.clock.sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1));
    }
  }
}

/**
 * Whether a stream that was just made has messages from before that: those of a removed stream of its
 * name. Servers from 2.10 on that keep them in files make such streams for some milliseconds after a
 * removal (measured: up to one in three where it is made anew at once).
 */
function hasLeftovers({ state, created, ts = "", config }: StreamInfo): boolean {
  if (state.messages === 0 || config.mirror || config.sources) return false;
  const createdMs = Date.parse(created);
  return Date.parse(ts) - createdMs < JUST_MADE_MS && Date.parse(state.last_ts) < createdMs;
}

function subjectsOverlap(wanted: NamedStream, cause: unknown): BusError {
  return new BusError(
    "CONFLICT",
    `stream ${wanted.name}: another stream has subjects that overlap ${JSON.stringify(wanted.subjects)}; choose another namespace`,
    { cause },
  );
}

function same(a: unknown, b: unknown): boolean {
  // Absent numbers and false come back as absent.
  return JSON.stringify(a || null) === JSON.stringify(b || null);
}
