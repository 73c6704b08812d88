import type { LeaseRecord, LeaseStore } from "@busbar/core/adapter";
import { DEFAULT_TIMEOUT_MS } from "@busbar/core/adapter";
import type { StreamConfig } from "@nats-io/jetstream";
import type { NatsContext } from "./context.ts";
import { H } from "./wire/headers.ts";
import { fieldsOnly, nanos } from "./wire/jetstream-api.ts";

const DUPLICATE_WINDOW_MS = 120_000;
const NOTHING = new Uint8Array(0);

/**
 * Lease records in a bucket of their own. The revision of a record is its sequence in the stream, and
 * a stream never gives a sequence twice: fences grow for ever, also over deletes.
 */
export class NatsLeaseStore implements LeaseStore {
  readonly #context: NatsContext;
  readonly #stream: string;
  readonly #prefix: string;

  constructor(context: NatsContext) {
    this.#context = context;
    const { names } = context;
    this.#stream = names.bucketStream(names.leaseBucket);
    this.#prefix = names.bucketPrefix(names.leaseBucket);
  }

  async read(key: string): Promise<LeaseRecord | undefined> {
    await this.#ensureStream();
    const { api } = this.#context;
    const record = await api.lastByLeader(this.#stream, this.#prefix + key);
    if (record === undefined) return undefined;
    return {
      revision: record.sequence,
      value: record.data,
      ageMs: async () => (await this.#serverTimeMs()) - record.timeMs,
    };
  }

  async write(key: string, value: Uint8Array, expected: number): Promise<number> {
    await this.#ensureStream();
    const { sequence } = await this.#context.api.publish({
      subject: this.#prefix + key,
      payload: value,
      headers: fieldsOnly([[H.expectedLastSubjectSequence, expected]]),
      timeoutMs: DEFAULT_TIMEOUT_MS,
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
    link.connection.publish(names.leaseReleased(key));
  }

  async subscribe(key: string, onChange: () => void): Promise<{ close(): void }> {
    const { link, names } = this.#context;
    const callback = (): void => onChange();
    const subscriptions = [this.#prefix + key, names.leaseReleased(key)].map((subject) =>
      link.connection.subscribe(subject, { callback }),
    );
    // What happened while the connection was away was not heard.
    const stopReconnect = link.onReconnect(onChange);
    const close = (): void => {
      stopReconnect();
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

  /**
   * The server's time, by the stamp that it puts on a message. A stamp of somebody else's that came
   * in between is as good: it lies between ours and now.
   */
  async #serverTimeMs(): Promise<number> {
    const { api, names } = this.#context;
    const subject = this.#prefix + names.leaseClockKey;
    await api.publish({
      subject,
      payload: NOTHING,
      timeoutMs: DEFAULT_TIMEOUT_MS,
      what: "lease clock",
      idempotent: true,
    });
    const stamp = await api.lastByLeader(this.#stream, subject);
    // Without a stamp the record counts as fresh: a lease is never taken away too early.
    return stamp?.timeMs ?? Number.NEGATIVE_INFINITY;
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
