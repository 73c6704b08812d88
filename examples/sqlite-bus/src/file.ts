import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { resolve } from "node:path";
import { type Clock, newId, type Timer } from "@busbar/core";
import { invalidConfig } from "@busbar/core/adapter";
import type { SqliteConfig } from "./config.ts";
import { toBusError } from "./errors.ts";
import { SCHEMA } from "./schema.ts";
import { WakeHub } from "./wake.ts";

const HEARTBEAT_MS = 1_000;
/** After so long a silence a process is taken for dead: nothing is sent to it. */
const SILENCE_MS = 5_000;
/** After so long it is forgotten, with everything it had. */
const FORGET_MS = 86_400_000;

/** The options that all buses on a file in one process have in common. */
const SHARED = ["clock", "pollMs", "sync", "busyTimeoutMs"] as const;

/** https://sqlite.org/pragma.html#pragma_synchronous */
const SYNCHRONOUS = { never: "OFF", flushed: "NORMAL", synced: "FULL" } as const;

const open = new Map<string, SqliteFile>();

/**
 * One file, open once in this process, for all its buses.
 *
 * Others are told of changes at once in this process; other processes find them by polling SQLite's
 * `data_version`, which changes when another connection has committed something.
 */
export class SqliteFile {
  readonly path: string;
  readonly clock: Clock;
  readonly hub: WakeHub = new WakeHub();
  /** Names this process in the file. */
  readonly process: string;
  readonly #config: SqliteConfig;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #users = 0;
  #poll: Timer | undefined;
  #version = 0;
  #seenMs = 0;

  private constructor(path: string, config: SqliteConfig) {
    this.path = path;
    this.clock = config.clock;
    this.process = newId(config.random);
    this.#config = config;
    this.#db = new DatabaseSync(path, { timeout: config.busyTimeoutMs });
    try {
      this.#db.exec(`PRAGMA synchronous = ${SYNCHRONOUS[config.sync]}`);
      this.#db.exec("PRAGMA journal_mode = WAL");
      this.#db.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`);
      this.#enter();
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** Opens a file, or takes part in using it. @throws BusError */
  static use(config: SqliteConfig): SqliteFile {
    const path = resolve(config.file);
    let file = open.get(path);
    const existing = file === undefined ? config : file.#config;
    const other = SHARED.find((option) => config[option] !== existing[option]);
    if (other !== undefined) {
      const message = "must be the same for all buses of this process on the file";
      throw invalidConfig([{ path: [other], message }], config);
    }
    if (file === undefined) {
      try {
        file = new SqliteFile(path, config);
      } catch (error) {
        throw toBusError(error, path);
      }
      open.set(path, file);
    }
    file.#users += 1;
    return file;
  }

  /** One user less; the last one closes the file. */
  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    open.delete(this.path);
    this.#poll?.cancel();
    try {
      this.run("DELETE FROM process WHERE id = ?", this.process);
    } finally {
      this.#statements.clear();
      this.#db.close();
    }
  }

  /** Runs `work` in a transaction: all of it happens, or, if it throws, nothing. */
  write<T>(work: () => T): T {
    this.run("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.run("COMMIT");
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors.
      if (this.#db.isTransaction) this.run("ROLLBACK");
      throw error;
    }
  }

  /** Runs a statement. @returns how many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#call(() => Number(this.#prepare(sql).run(...bound(values)).changes));
  }

  /** The first row, if there is one. */
  one<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#call(() => this.#prepare(sql).get(...bound(values)) as Row | undefined);
  }

  /** All rows. */
  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#call(() => this.#prepare(sql).all(...bound(values)) as Row[]);
  }

  /** Adds a row. @returns its key, where SQLite gave it one */
  insert(table: string, row: Readonly<Record<string, SQLInputValue>>): number {
    const columns = Object.keys(row);
    const sql = `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`;
    return this.#call(() =>
      Number(this.#prepare(sql).run(...bound(Object.values(row))).lastInsertRowid),
    );
  }

  /** The next number of a counter, within a transaction. */
  next(counter: string): number {
    const sql = `INSERT INTO counter VALUES (?, 1)
      ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value`;
    return this.one<{ value: number }>(sql, counter)?.value as number;
  }

  /** The version of the library, for people. */
  get sqliteVersion(): string {
    return this.one<{ version: string }>("SELECT sqlite_version() AS version")?.version ?? "";
  }

  /** From when on a process must have been seen to be alive. */
  get aliveSinceMs(): number {
    return this.clock.now() - SILENCE_MS;
  }

  /** This process, and what is left of others that ended without saying so. */
  #enter(): void {
    const nowMs = this.clock.now();
    const seenMs = this.#config.pollMs === 0 ? Number.MAX_SAFE_INTEGER : nowMs;
    this.write(() => {
      this.run("DELETE FROM process WHERE seen_ms < ?", nowMs - FORGET_MS);
      this.run("DELETE FROM route WHERE process NOT IN (SELECT id FROM process)");
      this.run("DELETE FROM mail WHERE route NOT IN (SELECT id FROM route)");
      const gone = "durable IS NULL AND process NOT IN (SELECT id FROM process)";
      this.run(`DELETE FROM delivery WHERE consumer IN (SELECT id FROM consumer WHERE ${gone})`);
      this.run(`DELETE FROM consumer WHERE ${gone}`);
      this.run("INSERT INTO process VALUES (?, ?)", this.process, seenMs);
    });
    this.#seenMs = nowMs;
    this.#version = this.#readVersion();
    this.#startPoll();
  }

  #startPoll(): void {
    const { pollMs } = this.#config;
    if (pollMs > 0) this.#poll = this.clock.setTimer(() => this.#onPoll(), pollMs);
  }

  #onPoll(): void {
    try {
      const version = this.#readVersion();
      if (version !== this.#version) this.hub.wakeAll();
      this.#version = version;
      const nowMs = this.clock.now();
      if (nowMs - this.#seenMs >= HEARTBEAT_MS) {
        this.run("UPDATE process SET seen_ms = ? WHERE id = ?", nowMs, this.process);
        this.#seenMs = nowMs;
      }
    } catch {
      // Somebody holds the file for long: the next poll is soon.
    }
    this.#startPoll();
  }

  #readVersion(): number {
    return this.one<{ data_version: number }>("PRAGMA data_version")?.data_version ?? 0;
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #call<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw toBusError(error, this.path);
    }
  }
}

/** Empty bytes as Node 22 takes them: it binds those of a `TextEncoder` as NULL. */
const EMPTY = new Uint8Array(0);

function bound(values: readonly SQLInputValue[]): SQLInputValue[] {
  return values.map((value) => (value instanceof Uint8Array && value.length === 0 ? EMPTY : value));
}
