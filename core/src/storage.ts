import { checkName } from "./names.ts";

/** What {@link Bus.storage} looks at. */
export interface StorageOptions {
  /** Only these queues of this namespace, and the buckets that are named. Default: everything. */
  readonly queues?: readonly string[] | undefined;
  /** Only these buckets of this namespace, and the queues that are named. Default: everything. */
  readonly buckets?: readonly string[] | undefined;
}

/** What is stored, each object counted once. */
export interface StorageStats {
  /**
   * Messages, jobs, dead letters, and values with what is kept of their past. A key that was deleted
   * leaves one object as long as the bucket keeps its past. What the backend notes down for itself
   * (leases, pauses, positions of durables) is no object.
   */
  readonly objects: number;
  /**
   * What the backend stores for them, in bytes: the payloads at least; names, headers and the
   * backend's own overhead as far as it counts them.
   */
  readonly bytes: number;
}

/** {@link StorageOptions} that were checked, each name once. */
export interface ResolvedStorageOptions {
  readonly queues: readonly string[];
  readonly buckets: readonly string[];
}

/** Checks the options; `undefined` is everything. @throws BusError `INVALID_ARGUMENT` */
export function resolveStorageOptions(
  options: StorageOptions = {},
): ResolvedStorageOptions | undefined {
  const { queues, buckets } = options;
  if (queues === undefined && buckets === undefined) return undefined;
  const names = (kind: "queue" | "bucket", given: readonly string[] = []): string[] => {
    const once = [...new Set(given)];
    for (const name of once) checkName(kind, name);
    return once;
  };
  return { queues: names("queue", queues), buckets: names("bucket", buckets) };
}

/** Adds up. */
export function sumStorage(parts: Iterable<StorageStats>): StorageStats {
  let objects = 0;
  let bytes = 0;
  for (const part of parts) {
    objects += part.objects;
    bytes += part.bytes;
  }
  return { objects, bytes };
}
