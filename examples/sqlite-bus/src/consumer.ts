import type { StartFrom } from "@busbar/core";
import {
  compilePattern,
  hasWildcard,
  optionsConflict,
  type ResolvedSubscribeOptions,
} from "@busbar/core/adapter";
import type { BusContext } from "./context.ts";
import { addDeadLetter, type DeadLetterRow } from "./dead-letters.ts";

/** The reason of a dead letter after the last delivery. */
const MAX_DELIVERIES = "max deliveries";
/** How many messages are looked at in one go for one that the pattern covers. */
const SCAN = 500;

/** What cannot be changed later, in plain data. */
interface StoredOptions {
  readonly subject: string;
  readonly from: StartFrom;
  readonly ackWaitMs: number;
  readonly backoffMs: readonly number[];
  readonly maxDeliveries: number | "Infinity";
}

/** A delivery as it is read from the file. */
export interface DeliveryRow {
  readonly sequence: number;
  readonly count: number;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: string;
  readonly published_ms: number;
}

/**
 * A position in the messages, and what is on its way from there. All of it is rows: what a program
 * takes is written down as a delivery that is due again when its ack wait is over, so that nothing
 * has to happen when its process dies. Nothing is taken before a program asks for it.
 */
export class Consumer {
  readonly id: number;
  readonly durable: string | undefined;
  readonly #context: BusContext;
  readonly #options: StoredOptions;
  readonly #matches: (subject: string) => boolean;
  readonly #literal: string | undefined;

  private constructor(context: BusContext, row: { id: number; options: string }, durable?: string) {
    this.#context = context;
    this.id = row.id;
    this.durable = durable;
    this.#options = JSON.parse(row.options) as StoredOptions;
    const { subject } = this.#options;
    this.#matches = compilePattern(subject);
    this.#literal = hasWildcard(subject) ? undefined : subject;
  }

  /** Finds or makes a consumer. @throws BusError `CONFLICT` if it exists with other options */
  static use(context: BusContext, subject: string, wanted: ResolvedSubscribeOptions): Consumer {
    const { file, ns } = context;
    const { durable, from, ackWaitMs, backoffMs, maxDeliveries } = wanted;
    const options: StoredOptions = {
      subject,
      from,
      ackWaitMs,
      backoffMs,
      // JSON has no infinity.
      maxDeliveries: maxDeliveries === Number.POSITIVE_INFINITY ? "Infinity" : maxDeliveries,
    };
    return file.write(() => {
      const existing = durable === undefined ? undefined : findDurable(context, durable);
      if (existing !== undefined) {
        checkSame(durable as string, JSON.parse(existing.options) as StoredOptions, options);
        return new Consumer(context, existing, durable);
      }
      const row = {
        ns,
        durable: durable ?? null,
        options: JSON.stringify(options),
        position: startOf(context, from),
        process: file.process,
      };
      return new Consumer(context, { ...row, id: file.insert("consumer", row) }, durable);
    });
  }

  /** How long the ack wait of a delivery is. */
  waitMs(count: number): number {
    const { backoffMs, ackWaitMs } = this.#options;
    return backoffMs[Math.min(count, backoffMs.length) - 1] ?? ackWaitMs;
  }

  /** Whether it was removed. */
  get isGone(): boolean {
    const sql = "SELECT id FROM consumer WHERE id = ?";
    return this.#context.file.one(sql, this.id) === undefined;
  }

  /**
   * Takes what is next: first what is due again, then the messages in order. `undefined` if there is
   * nothing; `"gone"` if the consumer was removed.
   */
  take(): DeliveryRow | "gone" | undefined {
    const { file, clock } = this.#context;
    return file.write(() => {
      const sql = "SELECT position FROM consumer WHERE id = ?";
      const position = file.one<{ position: number }>(sql, this.id)?.position;
      if (position === undefined) return "gone";
      // Read once: what falls due in between would be delivered although it has to be given up.
      const nowMs = clock.now();
      bury(this.#context, this.id, nowMs);
      const again = file.one<{ sequence: number; count: number }>(
        `SELECT sequence, count FROM delivery WHERE consumer = ? AND due_ms <= ?
          ORDER BY due_ms, sequence LIMIT 1`,
        this.id,
        nowMs,
      );
      const sequence = again?.sequence ?? this.#advance(position);
      if (sequence === undefined) return undefined;
      const count = (again?.count ?? 0) + 1;
      const dueMs = nowMs + this.waitMs(count);
      const write = "INSERT OR REPLACE INTO delivery VALUES (?, ?, ?, ?)";
      file.run(write, this.id, sequence, count, dueMs);
      const message = "SELECT *, ? AS count FROM message WHERE sequence = ?";
      return file.one<DeliveryRow>(message, count, sequence);
    });
  }

  /** In how many milliseconds the next delivery is due again. */
  nextDueMs(): number {
    const sql = "SELECT min(due_ms) AS due FROM delivery WHERE consumer = ?";
    const due = this.#context.file.one<{ due: number | null }>(sql, this.id)?.due;
    return due === null || due === undefined
      ? Number.POSITIVE_INFINITY
      : due - this.#context.clock.now();
  }

  /**
   * Ends a delivery: for good, or, with a delay, until then. False, and nothing happens, if the
   * message was delivered again meanwhile. A consumer that is gone has nothing to end.
   */
  settle(sequence: number, count: number, againInMs: number | undefined): boolean {
    const { file, clock } = this.#context;
    return file.write(() => {
      const sql = "SELECT count, due_ms FROM delivery WHERE consumer = ? AND sequence = ?";
      const row = file.one<{ count: number; due_ms: number }>(sql, this.id, sequence);
      if (row === undefined) return true;
      const nowMs = clock.now();
      if (row.count !== count || row.due_ms <= nowMs) return false;
      if (againInMs === undefined) {
        file.run("DELETE FROM delivery WHERE consumer = ? AND sequence = ?", this.id, sequence);
        return true;
      }
      const set = "UPDATE delivery SET due_ms = ? WHERE consumer = ? AND sequence = ?";
      file.run(set, nowMs + againInMs, this.id, sequence);
      return true;
    });
  }

  /** {@link Consumer.settle} with a nak: after the last delivery the message is dead. */
  retry(sequence: number, count: number, delayMs: number): boolean {
    const { maxDeliveries } = this.#options;
    const isLast = maxDeliveries !== "Infinity" && count >= maxDeliveries;
    return this.settle(sequence, count, isLast ? 0 : delayMs);
  }

  /** Removes it, with everything that is on its way. */
  delete(): void {
    this.#context.file.write(() => deleteConsumer(this.#context, this.id));
  }

  /** Moves the position to the next message that is for us, or to the end. */
  #advance(from: number): number | undefined {
    const { file, ns } = this.#context;
    let position = from;
    let found: number | undefined;
    if (this.#literal === undefined) {
      for (let scanned = SCAN; scanned === SCAN && found === undefined; ) {
        const sql = `SELECT sequence, subject FROM message WHERE ns = ? AND sequence > ?
          ORDER BY sequence LIMIT ?`;
        const rows = file.all<{ sequence: number; subject: string }>(sql, ns, position, SCAN);
        scanned = rows.length;
        found = rows.find(({ subject }) => this.#matches(subject))?.sequence;
        position = found ?? rows.at(-1)?.sequence ?? position;
      }
    } else {
      const sql = `SELECT sequence FROM message WHERE ns = ? AND subject = ? AND sequence > ?
        ORDER BY sequence LIMIT 1`;
      found = file.one<{ sequence: number }>(sql, ns, this.#literal, position)?.sequence;
      position = found ?? position;
    }
    if (position !== from) {
      file.run("UPDATE consumer SET position = ? WHERE id = ?", position, this.id);
    }
    return found;
  }
}

/** The row of a durable. */
export function findDurable(
  context: BusContext,
  durable: string,
): { readonly id: number; readonly options: string } | undefined {
  const sql = "SELECT id, options FROM consumer WHERE ns = ? AND durable = ?";
  return context.file.one(sql, context.ns, durable);
}

/** Removes a consumer with everything that is on its way. Within a transaction. */
export function deleteConsumer(context: BusContext, id: number): void {
  context.file.run("DELETE FROM delivery WHERE consumer = ?", id);
  context.file.run("DELETE FROM consumer WHERE id = ?", id);
}

/** Gives up what has had its last delivery by now. Within a transaction. */
export function bury(context: BusContext, consumer: number, nowMs: number): void {
  const { file } = context;
  const over = file.all<DeliveryRow & { readonly due_ms: number }>(
    `SELECT message.*, count, due_ms FROM delivery
      JOIN consumer ON consumer.id = delivery.consumer
      JOIN message ON message.sequence = delivery.sequence
      WHERE delivery.consumer = ? AND due_ms <= ? AND options ->> 'maxDeliveries' <> 'Infinity'
        AND count >= CAST(options ->> 'maxDeliveries' AS INTEGER)
      ORDER BY due_ms`,
    consumer,
    nowMs,
  );
  for (const { sequence, count, due_ms, subject, payload, headers, published_ms } of over) {
    file.run("DELETE FROM delivery WHERE consumer = ? AND sequence = ?", consumer, sequence);
    addDeadLetter(context, "durable", consumer, {
      id: String(sequence),
      subject,
      reason: MAX_DELIVERIES,
      attempts: count,
      payload,
      headers,
      published_ms,
      dead_ms: due_ms,
      origin: "",
    });
  }
}

/** Delivers a dead letter to its durable again, as if for the first time. Within a transaction. */
export function revive(context: BusContext, consumer: number, letter: DeadLetterRow): void {
  const sql = "INSERT OR REPLACE INTO delivery VALUES (?, ?, 0, ?)";
  context.file.run(sql, consumer, Number(letter.id), context.clock.now());
}

function startOf(context: BusContext, from: StartFrom): number {
  const { file, ns } = context;
  if (from === "all") return 0;
  if (from !== "new" && "sequence" in from) return from.sequence - 1;
  const last = "SELECT coalesce(max(sequence), 0) AS at FROM message WHERE ns = ?1";
  const before = `${last} AND sequence < coalesce((SELECT min(sequence) FROM message
    WHERE ns = ?1 AND published_ms >= ?2), 9e15)`;
  const row =
    from === "new"
      ? file.one<{ at: number }>(last, ns)
      : file.one<{ at: number }>(before, ns, from.timeMs);
  return row?.at ?? 0;
}

function checkSame(durable: string, existing: StoredOptions, wanted: StoredOptions): void {
  const names = ["subject", "from", "ackWaitMs", "backoffMs", "maxDeliveries"] as const;
  const differences = names
    .map((name) => [name, existing[name], wanted[name]] as const)
    .filter(([, one, other]) => JSON.stringify(one) !== JSON.stringify(other));
  if (differences.length > 0) throw optionsConflict(`durable ${durable}`, differences);
}
