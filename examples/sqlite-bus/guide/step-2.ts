import {
  type BusBackend,
  type KvEntry,
  type KvStore,
  type Payload,
  systemClock,
} from "@busbar/core";
import {
  checkExpected,
  checkKey,
  checkName,
  type Lifecycle,
  payloadBytes,
  revisionConflict,
} from "@busbar/core/adapter";
import { makeBus, partOf } from "./step-1.ts";

/** As declared in `capabilities`. */
const MAX_PAYLOAD_BYTES = 1_048_576;

/** What all buses of one namespace share: here a map, for you a server, a file, a database. */
export class Values {
  readonly entries: Map<string, KvEntry> = new Map();
  #revision = 0;

  /** Writes if the revision is the expected one. Reading and writing must be one step. */
  write(bucket: string, key: string, value: Uint8Array | undefined, expected?: number): number {
    const id = `${bucket}/${key}`;
    const current = this.entries.get(id)?.revision ?? 0;
    if (expected !== undefined && expected !== current) {
      throw revisionConflict(bucket, key, expected, current);
    }
    // The revision grows with deletes as well: who holds an old one must not match a new value.
    const revision = ++this.#revision;
    if (value === undefined) this.entries.delete(id);
    // Bytes are copied when they come in and when they go out: nobody shares them.
    else
      this.entries.set(id, { key, value: value.slice(), revision, createdAtMs: systemClock.now() });
    return revision;
  }
}

const namespaces = new Map<string, Values>();

/** The values of a namespace. */
export function valuesOf(namespace: string): Values {
  const values = namespaces.get(namespace) ?? new Values();
  namespaces.set(namespace, values);
  return values;
}

/** The part of the contract that this step has. */
export function makeKv(
  lifecycle: Lifecycle,
  values: Values,
): Pick<KvStore, "get" | "put" | "create" | "cas" | "delete"> {
  // The same three lines begin every operation, in this order.
  const enter = (bucket: string, key: string): void => {
    lifecycle.checkOpen();
    checkName("bucket", bucket);
    checkKey(key);
  };
  const bytes = (bucket: string, key: string, value: Payload): Uint8Array =>
    payloadBytes(value, MAX_PAYLOAD_BYTES, `${bucket}/${key}`);
  return {
    async get(bucket, key) {
      enter(bucket, key);
      const entry = values.entries.get(`${bucket}/${key}`);
      return entry && { ...entry, value: entry.value.slice() };
    },
    async put(bucket, key, value) {
      enter(bucket, key);
      return values.write(bucket, key, bytes(bucket, key, value));
    },
    async create(bucket, key, value) {
      enter(bucket, key);
      return values.write(bucket, key, bytes(bucket, key, value), 0);
    },
    async cas(bucket, key, value, expected) {
      enter(bucket, key);
      checkExpected("expectedRevision", expected);
      return values.write(bucket, key, bytes(bucket, key, value), expected);
    },
    async delete(bucket, key, options) {
      enter(bucket, key);
      const isThere = values.entries.has(`${bucket}/${key}`);
      const expected = options?.expectedRevision;
      if (expected !== undefined) checkExpected("expectedRevision", expected);
      if (isThere || expected !== undefined) values.write(bucket, key, undefined, expected);
    },
  };
}

/** What `openBus` looks for. */
export const busBackend: BusBackend<{ readonly namespace: string }> = {
  name: "mine",
  open: async ({ namespace }) =>
    makeBus((lifecycle) => ({ kv: partOf<KvStore>("kv", makeKv(lifecycle, valuesOf(namespace))) })),
};
