import {
  BusError,
  type DeadLetter,
  type DeadLetterPage,
  type DeadLetters,
  type ListDeadLettersOptions,
} from "@busbar/core";
import { checkName, resolveLimit } from "@busbar/core/adapter";
import { type BusContext, toHeaders } from "./context.ts";

/** Who gives up: queues and durables. */
export interface DeadLetterOwners {
  readonly kind: "queue" | "durable";
  /** The row of an owner, if it is there. */
  find(name: string): number | undefined;
  /** Moves there whatever has run out meanwhile. Within a transaction. */
  bury(owner: number, nowMs: number): void;
  /** Brings one back. Within the transaction that removes it. */
  revive(owner: number, letter: DeadLetterRow): void;
  /** Something was brought back. */
  revived(name: string): void;
}

/** A dead letter as it is stored. */
export interface DeadLetterRow {
  readonly number: number;
  readonly id: string;
  readonly subject: string;
  readonly reason: string;
  readonly attempts: number;
  readonly payload: Uint8Array;
  readonly headers: string;
  readonly published_ms: number;
  readonly dead_ms: number;
  /** JSON of what only the owner understands. */
  readonly origin: string;
}

/** The dead letters of one kind of owners. A record is written in the transaction that gives up. */
export class SqliteDeadLetters implements DeadLetters {
  readonly #context: BusContext;
  readonly #owners: DeadLetterOwners;

  constructor(context: BusContext, owners: DeadLetterOwners) {
    this.#context = context;
    this.#owners = owners;
  }

  async list(name: string, options: ListDeadLettersOptions = {}): Promise<DeadLetterPage> {
    const limit = resolveLimit(options.limit, 100, 1_000);
    const after = options.after === undefined ? 0 : toNumber(options.after);
    const rows = this.#with<DeadLetterRow[]>(name, [], (owner) =>
      this.#context.file.all(
        "SELECT * FROM dead_letter WHERE kind = ? AND owner = ? AND number > ? ORDER BY number LIMIT ?",
        this.#owners.kind,
        owner,
        after,
        // One more shows whether there is another page.
        limit + 1,
      ),
    );
    const page = rows.slice(0, limit);
    const next = rows.length > limit ? String(page.at(-1)?.number) : undefined;
    return { entries: page.map((row) => show(name, row)), next };
  }

  async get(name: string, id: string): Promise<DeadLetter | undefined> {
    const row = this.#with(name, undefined, (owner) => this.#read(owner, id));
    return row && show(name, row);
  }

  async count(name: string): Promise<number> {
    return this.#with(name, 0, (owner) => this.#count(owner));
  }

  async replay(name: string, id: string): Promise<boolean> {
    const isBack = this.#with(name, false, (owner) => {
      const row = this.#read(owner, id);
      if (row === undefined) return false;
      this.#context.file.run("DELETE FROM dead_letter WHERE number = ?", row.number);
      this.#owners.revive(owner, row);
      return true;
    });
    if (isBack) this.#owners.revived(name);
    return isBack;
  }

  async discard(name: string, id: string): Promise<boolean> {
    return this.#with(name, false, (owner) => {
      const row = this.#read(owner, id);
      this.#context.file.run("DELETE FROM dead_letter WHERE number = ?", row?.number ?? 0);
      return row !== undefined;
    });
  }

  async purge(name: string): Promise<number> {
    return this.#with(name, 0, (owner) => deleteAll(this.#context, this.#owners.kind, owner));
  }

  /** Runs `work` on the owner's letters, all that are due among them, in a transaction. */
  #with<T>(name: string, otherwise: T, work: (owner: number) => T): T {
    this.#context.enter();
    checkName(this.#owners.kind, name);
    return this.#context.file.write(() => {
      const owner = this.#owners.find(name);
      if (owner === undefined) return otherwise;
      this.#owners.bury(owner, this.#context.clock.now());
      return work(owner);
    });
  }

  #read(owner: number, id: string): DeadLetterRow | undefined {
    const sql = "SELECT * FROM dead_letter WHERE kind = ? AND owner = ? AND id = ?";
    return this.#context.file.one(sql, this.#owners.kind, owner, String(id));
  }

  #count(owner: number): number {
    const sql = "SELECT count(*) AS count FROM dead_letter WHERE kind = ? AND owner = ?";
    return this.#context.file.one<{ count: number }>(sql, this.#owners.kind, owner)?.count ?? 0;
  }
}

/** Stores a dead letter, within the transaction that takes its original away. */
export function addDeadLetter(
  context: BusContext,
  kind: DeadLetterOwners["kind"],
  owner: number,
  letter: Omit<DeadLetterRow, "number">,
): void {
  context.file.insert("dead_letter", { kind, owner, ...letter });
}

/** Removes all of an owner's. @returns how many. */
export function deleteAll(
  context: BusContext,
  kind: DeadLetterOwners["kind"],
  owner: number,
): number {
  return context.file.run("DELETE FROM dead_letter WHERE kind = ? AND owner = ?", kind, owner);
}

function show(owner: string, row: DeadLetterRow): DeadLetter {
  const { id, subject, reason, attempts, payload } = row;
  return {
    id,
    owner,
    subject,
    reason,
    attempts,
    payload,
    headers: toHeaders(row.headers),
    publishedAtMs: row.published_ms,
    deadAtMs: Math.floor(row.dead_ms),
  };
}

function toNumber(after: string): number {
  if (typeof after === "string" && /^\d{1,15}$/.test(after)) return Number(after);
  throw new BusError("INVALID_ARGUMENT", "after must be the next of an earlier page", {
    details: { field: "after" },
  });
}
