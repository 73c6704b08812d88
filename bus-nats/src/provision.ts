import { BusError, type ResolvedNatsConfig } from "@busbar/core";
import { optionsConflict } from "@busbar/core/adapter";
import type { StreamConfig } from "@nats-io/jetstream";
import { API, apiCode } from "./errors.ts";
import type { Link } from "./link.ts";
import { type JetStreamApi, nanos } from "./wire/jetstream-api.ts";

/** More than anybody needs; newer servers allow 1,000 unless a stream names its own number. */
export const MAX_CONSUMERS = 100_000;

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
  ensure(config: Partial<StreamConfig> & { readonly name: string }): Promise<void> {
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

  async #make(wanted: Partial<StreamConfig> & { readonly name: string }): Promise<void> {
    try {
      await this.#api.createStream(wanted);
      return;
    } catch (error) {
      const code = apiCode(error);
      if (code === API.subjectsOverlap) {
        throw new BusError(
          "CONFLICT",
          `stream ${wanted.name}: another stream has subjects that overlap ${JSON.stringify(wanted.subjects)}; choose another namespace`,
          { cause: error },
        );
      }
      if (code !== API.streamNameInUse) throw error;
    }
    const existing = (await this.#api.streamInfo(wanted.name))?.config;
    if (!existing) return this.#make(wanted);
    const differences = COMPARED.filter(
      (option) => wanted[option] !== undefined && !same(wanted[option], existing[option]),
    ).map((option) => [option, existing[option], wanted[option]] as const);
    if (differences.length === 0) return;
    if (!this.#config.update) throw optionsConflict(`stream ${wanted.name}`, differences);
    await this.#api.updateStream({ ...existing, ...wanted });
  }
}

function same(a: unknown, b: unknown): boolean {
  // Absent numbers and false come back as absent.
  return JSON.stringify(a || null) === JSON.stringify(b || null);
}
