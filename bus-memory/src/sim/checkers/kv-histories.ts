import type { TraceEvent } from "../trace.ts";
import { isRefused } from "./facts.ts";
import type { KvOperation } from "./kv-model.ts";

/** The operations on one key. */
export interface KeyHistory {
  /** `bucket/key`. */
  readonly key: string;
  /** Whether values may go by themselves, or with their bucket. */
  readonly isSkipped: boolean;
  /** Cut at each crash that lost writes. */
  readonly parts: readonly (readonly KvOperation[])[];
}

interface OpenOperation {
  readonly kind: KvOperation["kind"];
  readonly event: TraceEvent;
  readonly called: number;
  /** How many crashes lost writes before. */
  readonly part: number;
  /** The greatest revision that was answered in the bucket before. */
  readonly floor: number;
}

interface Ended {
  readonly operation: KvOperation;
  readonly firstPart: number;
  readonly lastPart: number;
}

interface Bucket {
  readonly revisions: Set<number>;
  highest: number;
}

const KINDS: ReadonlyMap<string, KvOperation["kind"]> = new Map([
  ["kv.get", "get"],
  ["kv.put", "put"],
  ["kv.create", "create"],
  ["kv.cas", "cas"],
  ["kv.delete", "delete"],
]);

/** Collects what processes do with keys. */
export class KvHistories {
  readonly #open = new Map<number, OpenOperation>();
  readonly #keys = new Map<string, Ended[]>();
  readonly #skippedKeys = new Set<string>();
  readonly #skippedBuckets = new Set<string>();
  readonly #buckets = new Map<string, Bucket>();
  #now = 0;
  #part = 0;

  /** Looks at every event. @returns what is wrong with a revision */
  event(event: TraceEvent): string | undefined {
    const { type, op, data } = event;
    if (type === "fault") {
      if (op === "serverCrash" && Number(data["lostWritesMs"] ?? 0) > 0) {
        this.#part += 1;
        this.#buckets.clear();
      }
      return undefined;
    }
    if (!op.startsWith("kv.")) return undefined;
    this.#now += 1;
    if (type === "call") this.#called(event);
    else if (type === "result" || type === "error") return this.#ended(event);
    return undefined;
  }

  /** All keys; what was not answered is of unknown outcome. */
  *keys(): Iterable<KeyHistory> {
    for (const open of this.#open.values()) this.#unknown(open);
    this.#open.clear();
    for (const [key, ended] of this.#keys) {
      const isSkipped = this.#skippedKeys.has(key) || this.#skippedBuckets.has(bucketOf(key));
      const parts = Array.from({ length: this.#part + 1 }, (): KvOperation[] => []);
      for (const one of ended) addTo(parts, one);
      yield { key, isSkipped, parts };
    }
  }

  #called(event: TraceEvent): void {
    const { op, about, call, data } = event;
    const kind = KINDS.get(op);
    if (kind !== undefined) {
      if (data["ttlMs"] !== undefined) this.#skippedKeys.add(about);
      const floor = this.#bucket(bucketOf(about)).highest;
      this.#open.set(call, { kind, event, called: this.#now, part: this.#part, floor });
    } else if (op === "kv.deleteBucket" || (op === "kv.ensureBucket" && data["ttlMs"])) {
      this.#skippedBuckets.add(about);
    }
  }

  #ended(event: TraceEvent): string | undefined {
    const open = this.#open.get(event.call);
    if (open === undefined) return undefined;
    this.#open.delete(event.call);
    const { kind } = open;
    const isConflict = event.data["code"] === "CONFLICT";
    if (event.type === "error" && !isConflict) {
      if (kind !== "get" && !isRefused(event)) this.#unknown(open);
      return undefined;
    }
    const { process, atMs, data, about } = open.event;
    const revision = event.data["revision"] as number | undefined;
    const operation: KvOperation = {
      kind,
      process,
      atMs,
      called: open.called,
      returned: this.#now,
      outcome: isConflict ? "conflict" : "done",
      value: (kind === "get" ? event.data["value"] : data["value"]) as string | undefined,
      expected: data["expectedRevision"] as number | undefined,
      revision,
    };
    this.#add(about, { operation, firstPart: open.part, lastPart: this.#part });
    if (isConflict || kind === "get" || kind === "delete" || revision === undefined) {
      return undefined;
    }
    return open.part === this.#part ? this.#checkRevision(open, revision) : undefined;
  }

  #checkRevision({ event, floor }: OpenOperation, revision: number): string | undefined {
    const { about, process } = event;
    const bucket = this.#bucket(bucketOf(about));
    const isNew = !bucket.revisions.has(revision);
    bucket.revisions.add(revision);
    bucket.highest = Math.max(bucket.highest, revision);
    if (!isNew) return `${about}: two writes of its bucket have revision ${revision}`;
    if (revision > floor) return undefined;
    return `${about}: a write of ${process} got revision ${revision}, but one that was answered before has ${floor}`;
  }

  #unknown({ kind, event, called, part }: OpenOperation): void {
    if (kind === "get") return;
    const operation: KvOperation = {
      kind,
      process: event.process,
      atMs: event.atMs,
      called,
      returned: Number.POSITIVE_INFINITY,
      outcome: "unknown",
      value: event.data["value"] as string | undefined,
      expected: event.data["expectedRevision"] as number | undefined,
      revision: undefined,
    };
    this.#add(event.about, { operation, firstPart: part, lastPart: Number.POSITIVE_INFINITY });
  }

  #add(key: string, ended: Ended): void {
    const history = this.#keys.get(key);
    if (history) history.push(ended);
    else this.#keys.set(key, [ended]);
  }

  #bucket(name: string): Bucket {
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      bucket = { revisions: new Set(), highest: 0 };
      this.#buckets.set(name, bucket);
    }
    return bucket;
  }
}

/** What was under way in a crash that lost writes took effect before it, after it, or never. */
function addTo(parts: KvOperation[][], { operation, firstPart, lastPart }: Ended): void {
  if (firstPart === lastPart) {
    parts[firstPart]?.push(operation);
    return;
  }
  const { kind, outcome } = operation;
  if (kind === "get" || outcome === "conflict") return;
  const returned = Number.POSITIVE_INFINITY;
  const unknown: KvOperation = { ...operation, outcome: "unknown", returned, revision: undefined };
  const last = Math.min(lastPart, parts.length - 1);
  for (let part = firstPart; part <= last; part += 1) parts[part]?.push(unknown);
}

function bucketOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}
