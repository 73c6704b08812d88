import { BusError, type KvEvent } from "@busbar/core";
import {
  optionsConflict,
  type ResolvedBucketOptions,
  resolveBucketOptions,
  revisionConflict,
} from "@busbar/core/adapter";
import type { BusContext } from "./context.ts";

/** A bucket as it is stored. */
export interface BucketRow {
  readonly id: number;
  readonly name: string;
  readonly history: number;
  readonly ttl_ms: number;
  readonly max_bytes: number;
}

/** A write or a delete as it is stored. */
export interface EntryRow {
  readonly revision: number;
  readonly key: string;
  readonly deleted: number;
  readonly value: Uint8Array;
  readonly created_ms: number;
}

const COLUMNS = "revision, key, deleted, value, created_ms";

/** What is written: without a value it is a delete. */
export interface Write {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  /** Of this value; 0 for the bucket's own. */
  readonly ttlMs: number;
  /** The revision that the key must have; 0 for no value; `undefined` for any. */
  readonly expected: number | undefined;
}

/** A bucket that exists. */
export function findBucket(context: BusContext, name: string): BucketRow | undefined {
  forgetExpired(context);
  return context.file.one("SELECT * FROM bucket WHERE ns = ? AND name = ?", context.ns, name);
}

/** A bucket, made if need be. Within a transaction. @throws BusError `CONFLICT` */
export function useBucket(
  context: BusContext,
  name: string,
  wanted?: ResolvedBucketOptions,
): BucketRow {
  const existing = findBucket(context, name);
  const { history, ttlMs, maxBytes } = wanted ?? resolveBucketOptions();
  if (existing === undefined) {
    const row = { name, history, ttl_ms: ttlMs, max_bytes: maxBytes };
    return { ...row, id: context.file.insert("bucket", { ns: context.ns, ...row }) };
  }
  if (wanted === undefined) return existing;
  const compared = [
    ["history", existing.history, history],
    ["ttlMs", existing.ttl_ms, ttlMs],
    ["maxBytes", existing.max_bytes, maxBytes],
  ] as const;
  const differences = compared.filter(([, one, other]) => one !== other);
  if (differences.length > 0) throw optionsConflict(`bucket ${name}`, differences);
  return existing;
}

/** Removes a bucket with its keys. Within a transaction. */
export function deleteBucket(context: BusContext, bucket: BucketRow): void {
  context.file.run("DELETE FROM entry WHERE bucket = ?", bucket.id);
  context.file.run("DELETE FROM bucket WHERE id = ?", bucket.id);
}

/** The current value of a key. */
export function readEntry(
  context: BusContext,
  bucket: BucketRow,
  key: string,
): EntryRow | undefined {
  const sql = `SELECT ${COLUMNS} FROM entry WHERE bucket = ? AND key = ? AND last AND NOT deleted`;
  return context.file.one(sql, bucket.id, key);
}

/** What is kept of a key's past, oldest first. */
export function readHistory(context: BusContext, bucket: BucketRow, key: string): EntryRow[] {
  const sql = `SELECT ${COLUMNS} FROM entry WHERE bucket = ? AND key = ? ORDER BY revision`;
  return context.file.all(sql, bucket.id, key);
}

/** What is kept of the writes and deletes between two revisions, at most `limit`, by revision. */
export function readChanges(
  context: BusContext,
  bucket: BucketRow,
  range: { readonly after: number; readonly upTo: number; readonly limit: number },
): EntryRow[] {
  const sql = `SELECT ${COLUMNS} FROM entry WHERE bucket = ? AND revision > ? AND revision <= ?
    ORDER BY revision LIMIT ?`;
  return context.file.all(sql, bucket.id, range.after, range.upTo, range.limit);
}

/** The last revision that was given out, in any bucket. */
export function lastRevision(context: BusContext): number {
  const sql = "SELECT seq FROM sqlite_sequence WHERE name = 'entry'";
  return context.file.one<{ seq: number }>(sql)?.seq ?? 0;
}

/** Keys that have a value, after a key, in code point order, at most `limit`. */
export function readKeys(
  context: BusContext,
  bucket: BucketRow,
  after: string,
  limit: number,
): string[] {
  const sql = `SELECT key FROM entry WHERE bucket = ? AND last AND NOT deleted AND key > ?
    ORDER BY key LIMIT ?`;
  return context.file.all<{ key: string }>(sql, bucket.id, after, limit).map(({ key }) => key);
}

/** Writes. Within a transaction. @returns the new revision. @throws BusError */
export function writeEntry(context: BusContext, bucket: BucketRow, write: Write): number {
  const { file, clock } = context;
  const { key, value, ttlMs, expected } = write;
  const revision = readEntry(context, bucket, key)?.revision ?? 0;
  if (expected !== undefined && expected !== revision) {
    throw revisionConflict(bucket.name, key, expected, revision);
  }
  // Deleting what is not there leaves no trace.
  if (value === undefined && revision === 0) return 0;
  const past = readHistory(context, bucket, key);
  const superseded = past.slice(0, Math.max(0, past.length + 1 - bucket.history));
  if (value !== undefined) checkRoom(context, bucket, sizeOf({ key, value }), superseded);
  for (const old of superseded) file.run("DELETE FROM entry WHERE revision = ?", old.revision);
  file.run("UPDATE entry SET last = 0 WHERE bucket = ? AND key = ? AND last", bucket.id, key);
  const nowMs = clock.now();
  const lifeMs = shorter(ttlMs, bucket.ttl_ms);
  return file.insert("entry", {
    bucket: bucket.id,
    key,
    deleted: value === undefined ? 1 : 0,
    value: value ?? new Uint8Array(),
    created_ms: nowMs,
    until_ms: lifeMs === 0 ? null : nowMs + lifeMs,
  });
}

/** A row as the program gets it. */
export function toEvent(row: EntryRow): Exclude<KvEvent, { type: "initialDone" }> {
  const { key, value, revision, created_ms: createdAtMs } = row;
  if (row.deleted) return { type: "delete", key, revision, createdAtMs };
  return { type: "put", key, value, revision, createdAtMs };
}

/** Removes values whose time is over, with their past: it must not come to light again. */
function forgetExpired({ file, clock }: BusContext): void {
  const nowMs = clock.now();
  if (file.one("SELECT 1 FROM entry WHERE until_ms <= ? LIMIT 1", nowMs) === undefined) return;
  file.run(
    `DELETE FROM entry WHERE (bucket, key) IN
      (SELECT bucket, key FROM entry WHERE last AND until_ms <= ?)`,
    nowMs,
  );
  file.run("DELETE FROM entry WHERE until_ms <= ?", nowMs);
}

function checkRoom(
  context: BusContext,
  bucket: BucketRow,
  bytes: number,
  superseded: readonly EntryRow[],
): void {
  const { name, max_bytes: maxBytes } = bucket;
  if (maxBytes < 0) return;
  const sql =
    "SELECT coalesce(sum(length(key) + length(value)), 0) AS used FROM entry WHERE bucket = ?";
  const used = context.file.one<{ used: number }>(sql, bucket.id)?.used ?? 0;
  const freed = superseded.reduce((sum, entry) => sum + sizeOf(entry), 0);
  if (used - freed + bytes <= maxBytes) return;
  throw new BusError(
    "LIMIT_EXCEEDED",
    `bucket ${name} is full: ${used} of ${maxBytes} bytes are used, ${bytes} more are needed`,
    { details: { bucket: name, bytes: used, maxBytes } },
  );
}

function sizeOf({ key, value }: { readonly key: string; readonly value: Uint8Array }): number {
  return key.length + value.length;
}

function shorter(a: number, b: number): number {
  return a === 0 || b === 0 ? a + b : Math.min(a, b);
}
