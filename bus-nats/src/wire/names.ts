import type { ResolvedNatsConfig } from "@busbar/core";

/**
 * Every name on the server, made in one place. Plain names have no character that NATS reserves but
 * the dot, which becomes `=`: a character no plain name has, so that no two names meet. A namespace
 * has no `_`, so that no namespace reaches into another.
 */
export class WireNames {
  readonly #namespace: string;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** The namespace of all these names. */
  get namespace(): string {
    return this.#namespace;
  }

  /** Stream of published messages. */
  get messageStream(): string {
    return `BUSBAR_${this.#namespace}_MSG`;
  }

  /** What every published subject begins with. */
  get messagePrefix(): string {
    return `busbar.${this.#namespace}.msg.`;
  }

  /** What every notified subject begins with. */
  get livePrefix(): string {
    return `busbar.${this.#namespace}.live.`;
  }

  /** What every served subject begins with. */
  get rpcPrefix(): string {
    return `busbar.${this.#namespace}.rpc.`;
  }

  /** Stream of a queue's jobs. */
  jobStream(queue: string): string {
    return `BUSBAR_${this.#namespace}_JOB_${flat(queue)}`;
  }

  /** Subject of a queue's jobs of one priority; without one, of all. */
  jobSubject(queue: string, priority: number | "*"): string {
    return `busbar.${this.#namespace}.job.${flat(queue)}.${priority}`;
  }

  /** Stream of dead letters. */
  get deadStream(): string {
    return `BUSBAR_${this.#namespace}_DEAD`;
  }

  /** Subjects of the stream of dead letters. */
  get deadSubjects(): string {
    return `busbar.${this.#namespace}.dead.>`;
  }

  /** Subject of a dead letter; with `*` those of an owner. */
  deadSubject(kind: OwnerKind, owner: string, id: string): string {
    return `busbar.${this.#namespace}.dead.${kind}.${flat(owner)}.${id}`;
  }

  /** Stream of small records that steer queues: pauses, priorities in use. */
  get controlStream(): string {
    return `BUSBAR_${this.#namespace}_CTL`;
  }

  /** Subjects of the control stream. */
  get controlSubjects(): string {
    return `busbar.${this.#namespace}.ctl.>`;
  }

  /** Control subject of a queue: `pause`, or the priority that came into use. */
  controlSubject(queue: string, what: string): string {
    return `busbar.${this.#namespace}.ctl.${flat(queue)}.${what}`;
  }

  /** Control subject of the count of the server's starts: no queue has such a name. */
  get epochSubject(): string {
    return `busbar.${this.#namespace}.ctl.$epoch`;
  }

  /** Stream of the attempts that do not count, by message. */
  get ledgerStream(): string {
    return `BUSBAR_${this.#namespace}_LEDGER`;
  }

  /** Subjects of the ledger. */
  get ledgerSubjects(): string {
    return `busbar.${this.#namespace}.ledger.>`;
  }

  /** Where the ledger reads the server's time. */
  get ledgerClock(): string {
    return `busbar.${this.#namespace}.ledger.clock`;
  }

  /** Ledger subject of one message or job, or of all of an owner with `*`. */
  ledgerSubject(kind: OwnerKind, owner: string, sequence: number | "*"): string {
    return `busbar.${this.#namespace}.ledger.${kind}.${flat(owner)}.${sequence}`;
  }

  /** The name NATS tools know a bucket by. */
  bucket(bucket: string): string {
    return `busbar_${this.#namespace}_${flat(bucket)}`;
  }

  /** Stream of a bucket, by the name NATS tools know it by. */
  bucketStream(bucketName: string): string {
    return `KV_${bucketName}`;
  }

  /** What the subject of every key of a bucket begins with. */
  bucketPrefix(bucketName: string): string {
    return `$KV.${bucketName}.`;
  }

  /** Bucket of all leases of the namespace. */
  get leaseBucket(): string {
    return `busbar-leases_${this.#namespace}`;
  }

  /** Key of a lease in its bucket. */
  leaseKey(bucket: string, key: string): string {
    return `${flat(bucket)}.${key}`;
  }

  /** Key in the bucket of leases that is written to learn the server's time. */
  get leaseClockKey(): string {
    return "=clock";
  }

  /** Where the release of a lease is told, by its key in the bucket. Not stored. */
  leaseReleased(key: string): string {
    return `busbar.${this.#namespace}.lease.${key}`;
  }

  /** Where the removal of the namespace is told. Not stored. */
  get removed(): string {
    return `busbar.${this.#namespace}.removed`;
  }

  /** Name of a durable consumer. */
  consumer(durable: string): string {
    return flat(durable);
  }
}

/** What a stream is for, as its name tells. */
export interface StreamPurpose {
  readonly namespace: string;
  readonly kind: "messages" | "jobs" | "deadLetters" | "values" | "bookkeeping";
  /** Of `jobs`. */
  readonly queue?: string;
}

const KINDS: Readonly<Record<string, StreamPurpose["kind"]>> = {
  MSG: "messages",
  JOB: "jobs",
  DEAD: "deadLetters",
  CTL: "bookkeeping",
  LEDGER: "bookkeeping",
};

/** What a stream of Busbar is for; `undefined` if it is somebody else's. */
export function purposeOf(stream: string): StreamPurpose | undefined {
  // Only the last part, the name of a queue or bucket, may have a "_".
  const [first, second = "", third = "", ...rest] = stream.split("_");
  if (first === "BUSBAR") {
    const kind = KINDS[third];
    const queue = rest.join("_").replaceAll("=", ".");
    return kind && { namespace: second, kind, ...(kind === "jobs" ? { queue } : {}) };
  }
  if (first !== "KV") return undefined;
  if (second === "busbar-leases") return { namespace: third, kind: "bookkeeping" };
  return second === "busbar" ? { namespace: third, kind: "values" } : undefined;
}

/** Who owns a dead letter or a ledger entry: a durable subscription or a queue. */
export type OwnerKind = "sub" | "job";

/** A plain name as one token. */
export function flat(name: string): string {
  return name.replaceAll(".", "=");
}

/** What the subject of every message begins with: that of the bound stream, or the namespace's. */
export function messagePrefix(
  names: WireNames,
  config: Pick<ResolvedNatsConfig, "stream">,
): string {
  if (config.stream === undefined) return names.messagePrefix;
  const { subjectPrefix } = config.stream;
  return subjectPrefix === "" ? "" : `${subjectPrefix}.`;
}
