import type { LeaseRecord, LeaseStore } from "@busbar/core/adapter";
import { DEFAULT_TIMEOUT_MS } from "@busbar/core/adapter";
import type { StreamConfig } from "@nats-io/jetstream";
import type { NatsContext } from "./context.ts";
import { ServerClock } from "./server-clock.ts";
import { H } from "./wire/headers.ts";
import { fieldsOnly, nanos } from "./wire/jetstream-api.ts";

const DUPLICATE_WINDOW_MS = 120_000;

/**
 * Lease records in a bucket of their own. The revision of a record is its sequence in the stream, and
 * a stream never gives a sequence twice: fences grow for ever, also over deletes.
 */
export class NatsLeaseStore implements LeaseStore {
  readonly #context: NatsContext;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #clock: ServerClock;

  constructor(context: NatsContext) {
    this.#context = context;
    const { names } = context;
    this.#stream = names.bucketStream(names.leaseBucket);
    this.#prefix = names.bucketPrefix(names.leaseBucket);
    const subject = this.#prefix + names.leaseClockKey;
    this.#clock = new ServerClock(context, { stream: this.#stream, subject });
  }

  async read(key: string): Promise<LeaseRecord | undefined> {
    await this.#ensureStream();
    const { api } = this.#context;
    const record = await api.lastByLeader(this.#stream, this.#prefix + key);
    if (record === undefined) return undefined;
    return {
      revision: record.sequence,
      value: record.data,
      // Without an answer the record counts as fresh: a lease is never taken away too early.
      ageMs: async () => ((await this.#clock.ask()) ?? Number.NEGATIVE_INFINITY) - record.timeMs,
    };
  }

  async write(
    key: string,
    value: Uint8Array,
    expected: number,
    limitMs: number = DEFAULT_TIMEOUT_MS,
  ): Promise<number> {
    await this.#ensureStream();
    const { sequence } = await this.#context.api.publish({
      subject: this.#prefix + key,
      payload: value,
      headers: fieldsOnly([[H.expectedLastSubjectSequence, expected]]),
      timeoutMs: Math.min(limitMs, DEFAULT_TIMEOUT_MS),
      what: `lease ${key}`,
      // A second copy meets the first one and is refused; the manager knows its own record.
      idempotent: true,
    });
    return sequence;
  }

  async remove(key: string, revision: number): Promise<void> {
    const { api, link, names } = this.#context;
    // Exactly this message: a record that somebody else wrote meanwhile is not touched.
    await api.deleteMessage(this.#stream, revision);
    link.outbox.publish(names.leaseReleased(key));
  }

  async subscribe(key: string, onChange: () => void): Promise<{ close(): void }> {
    const { link, names, removal } = this.#context;
    const callback = (): void => onChange();
    const subscriptions = [this.#prefix + key, names.leaseReleased(key)].map((subject) =>
      link.connection.subscribe(subject, { callback }),
    );
    // What happened while the connection was away was not heard.
    const stops = [link.onReconnect(onChange), removal.onRemoved(onChange)];
    const close = (): void => {
      for (const stop of stops) stop();
      for (const subscription of subscriptions) subscription.unsubscribe();
    };
    try {
      await link.flush(`lease ${key}`);
    } catch (error) {
      close();
      throw error;
    }
    return { close };
  }

  #ensureStream(): Promise<void> {
    return this.#context.provisioner.ensure({
      name: this.#stream,
      subjects: [`${this.#prefix}>`],
      retention: "limits" as StreamConfig["retention"],
      max_msgs_per_subject: 1,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
      discard: "new" as StreamConfig["discard"],
      allow_rollup_hdrs: true,
    });
  }
}
