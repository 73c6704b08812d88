import { errorCode, toBytes } from "@busbar/core";
import type { NatsContext } from "./context.ts";
import { ServerClock } from "./server-clock.ts";
import type { DeliveryInfo } from "./wire/ack-subject.ts";
import { type Fields, H } from "./wire/headers.ts";
import { fieldsOnly, nanos, type StoredMessage } from "./wire/jetstream-api.ts";
import type { OwnerKind } from "./wire/names.ts";

/** What the ledger knows of one message. */
export interface LedgerEntry {
  /** Deliveries that no program saw, or that one gave back: they do not count as attempts. */
  readonly uncounted: number;
  /**
   * Since it was given back or before it was handed out first: when it may be handed out (again), in
   * milliseconds since the Unix epoch, 0 for at once. Absent while somebody has it.
   */
  readonly freeAtMs?: number;
  /** The consumer of a job, by its priority. */
  readonly priority?: number;
  /** It is no job: see `storeFiller`. */
  readonly isFiller?: boolean;
}

/** An entry as it was read. */
export interface StoredLedgerEntry extends LedgerEntry {
  /** Sequence of the record, to remove it by. */
  readonly recordSequence: number;
  /** Sequence of the message it is about. */
  readonly sequence: number;
}

/** Entries of messages that are long gone are dropped by then; only statistics and counts rest on them. */
const MAX_AGE_MS = 30 * 86_400_000;
const READS_AT_A_TIME = 64;

/**
 * The server counts every delivery, also those that were given back without an attempt, and does
 * not say which of its unsettled deliveries wait to be handed out again. The ledger keeps both as one small record per message,
 * written only in these rare cases and read only for redeliveries. A message is in one hand at a
 * time, so there is never more than one writer of its record.
 */
export class Ledger {
  readonly #context: NatsContext;
  readonly #clock: ServerClock;

  constructor(context: NatsContext) {
    this.#context = context;
    const { ledgerStream: stream, ledgerClock: subject } = context.names;
    this.#clock = new ServerClock(context, { stream, subject });
  }

  /** The server's time, in milliseconds since the Unix epoch: at least so late it is. */
  async nowMs(): Promise<number> {
    await this.#ensure();
    return this.#clock.atLeastMs();
  }

  /** The entry of a message, or `undefined`. */
  async read(
    kind: OwnerKind,
    owner: string,
    sequence: number,
  ): Promise<StoredLedgerEntry | undefined> {
    const { api, names } = this.#context;
    await this.#ensure();
    const stored = await api.lastOn(names.ledgerStream, names.ledgerSubject(kind, owner, sequence));
    return stored && parse(stored);
  }

  /** Writes the entry of a message. */
  write(
    kind: OwnerKind,
    owner: string,
    sequence: number,
    entry: LedgerEntry,
  ): Promise<StoredLedgerEntry> {
    return this.#write(this.#context.names.ledgerSubject(kind, owner, sequence), entry);
  }

  /** Writes the entry of a message unless there is one: whoever has the message knows more. */
  async writeFirst(
    kind: OwnerKind,
    owner: string,
    sequence: number,
    entry: LedgerEntry,
  ): Promise<void> {
    const subject = this.#context.names.ledgerSubject(kind, owner, sequence);
    try {
      await this.#write(subject, entry, [[H.expectedLastSubjectSequence, 0]]);
    } catch (error) {
      if (errorCode(error) !== "CONFLICT") throw error;
    }
  }

  /** One delivery more that does not count as an attempt. */
  async uncount(
    kind: OwnerKind,
    owner: string,
    info: DeliveryInfo,
    free: Omit<LedgerEntry, "uncounted"> = {},
  ): Promise<StoredLedgerEntry> {
    const { deliveries, streamSequence } = info;
    const known = deliveries > 1 ? await this.read(kind, owner, streamSequence) : undefined;
    const uncounted = (known?.uncounted ?? 0) + 1;
    return this.write(kind, owner, streamSequence, { uncounted, ...free });
  }

  /** Drops an entry; its message is settled. Never fails: an entry too many does no harm. */
  async remove(entry: StoredLedgerEntry): Promise<void> {
    const { api, names } = this.#context;
    await api.deleteMessage(names.ledgerStream, entry.recordSequence).catch(() => undefined);
  }

  /** Drops all entries of an owner. */
  async purge(kind: OwnerKind, owner: string): Promise<void> {
    const { api, names } = this.#context;
    await api.purge(names.ledgerStream, names.ledgerSubject(kind, owner, "*"));
  }

  /** All entries of an owner. */
  async list(kind: OwnerKind, owner: string): Promise<StoredLedgerEntry[]> {
    const { api, names } = this.#context;
    await this.#ensure();
    const info = await api.streamInfo(names.ledgerStream, names.ledgerSubject(kind, owner, "*"));
    const subjects = Object.keys(info?.state.subjects ?? {});
    const entries: StoredLedgerEntry[] = [];
    for (let index = 0; index < subjects.length; index += READS_AT_A_TIME) {
      const page = subjects.slice(index, index + READS_AT_A_TIME);
      const found = await Promise.all(
        page.map((subject) => api.lastOn(names.ledgerStream, subject)),
      );
      for (const stored of found) if (stored) entries.push(parse(stored));
    }
    return entries;
  }

  async #write(
    subject: string,
    entry: LedgerEntry,
    fields: Fields = [],
  ): Promise<StoredLedgerEntry> {
    await this.#ensure();
    const ack = await this.#context.api.publish({
      subject,
      payload: toBytes(JSON.stringify(entry)),
      headers: fieldsOnly(fields),
      timeoutMs: 5_000,
      what: subject,
      idempotent: true,
    });
    return { ...entry, recordSequence: ack.sequence, sequence: lastNumber(subject) };
  }

  #ensure(): Promise<void> {
    const { names, provisioner, config } = this.#context;
    return provisioner.ensure({
      name: names.ledgerStream,
      subjects: [names.ledgerSubjects],
      max_msgs_per_subject: 1,
      max_age: nanos(MAX_AGE_MS),
      duplicate_window: nanos(Math.min(config.dedupWindowMs, MAX_AGE_MS)),
    });
  }
}

function parse(stored: StoredMessage): StoredLedgerEntry {
  const entry = stored.message.json<LedgerEntry>();
  return { ...entry, recordSequence: stored.sequence, sequence: lastNumber(stored.subject) };
}

function lastNumber(subject: string): number {
  return Number(subject.slice(subject.lastIndexOf(".") + 1));
}
