import type { KvEvent } from "@busbar/core";
import type { MsgHdrs } from "@nats-io/transport-node";
import { H } from "../wire/headers.ts";

/** A change of a key: a value, or its end. */
export type KvChange = Exclude<KvEvent, { type: "initialDone" }>;

/** Whether a stored message ends a value: deleted, purged, or the trace of an expired one. */
export function isRemoval(headers: MsgHdrs | undefined): boolean {
  if (headers === undefined) return false;
  const operation = headers.get(H.kvOperation);
  return operation === "DEL" || operation === "PURGE" || headers.has(H.markerReason);
}

/** As Busbar writes it. The forms that others write are left to the server. */
const OWN_TTL = /^([1-9]\d*)s$/;

/** When a value's time is over, by the server's clock; `Infinity` for never. */
export function endOf(storedAtMs: number, headers: MsgHdrs | undefined, ttlMs: number): number {
  const bucketEnd = ttlMs > 0 ? storedAtMs + ttlMs : Number.POSITIVE_INFINITY;
  const own = headers === undefined ? null : OWN_TTL.exec(headers.get(H.ttl));
  return own ? Math.min(bucketEnd, storedAtMs + Number(own[1]) * 1_000) : bucketEnd;
}

/** A stored message of a bucket. */
export interface StoredValue {
  readonly key: string;
  readonly revision: number;
  readonly createdAtMs: number;
  readonly headers: MsgHdrs | undefined;
  readonly value: Uint8Array;
}

/** As the event that watches and histories give. */
export function toChange({ key, revision, createdAtMs, headers, value }: StoredValue): KvChange {
  return isRemoval(headers)
    ? { type: "delete", key, revision, createdAtMs }
    : { type: "put", key, value, revision, createdAtMs };
}
