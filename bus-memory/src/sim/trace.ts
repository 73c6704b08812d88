/** What kind of thing happened. */
export type TraceType =
  /** A process began an operation. */
  | "call"
  /** The operation gave its result. */
  | "result"
  /** The operation failed. */
  | "error"
  /** Something arrived that the process waited for: a message, an event, a request. */
  | "deliver"
  /** A fault. */
  | "fault"
  /** A process or the server started, paused, went on, ended; or the scenario said something. */
  | "note";

/**
 * One thing that happened in a simulation, as plain data. Events come in one order, which is the
 * same in every run of one seed.
 */
export interface TraceEvent {
  /** The world's time since its start, in milliseconds. */
  readonly atMs: number;
  readonly type: TraceType;
  /** Who: the name of a process, `server`, or `world`. */
  readonly process: string;
  /**
   * What: for calls and their ends the operation, such as `pubsub.publish`, `message.ack`,
   * `jobs.claim`, `job.nak`, `kv.cas`, `lease.heartbeat`, `rpc.request`; for deliveries `message`,
   * `kv.event`, `live`, `request`, `reply`; for faults such as `dropReply`; for notes free text.
   */
  readonly op: string;
  /** What it is about: a subject, a queue, `bucket/key`. */
  readonly about: string;
  /** Joins a call with its result or error; 0 where there is none. */
  readonly call: number;
  /** Facts: sequences, revisions, attempts, fences, error codes, a hash of the payload. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** One event as a line for people. */
export function formatEvent(event: TraceEvent): string {
  const { atMs, type, process, op, about, call, data } = event;
  const number = call === 0 ? "" : ` #${call}`;
  const facts = Object.entries(data)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${plain(value)}`)
    .join(" ");
  const sign = SIGNS[type];
  return `${`+${atMs.toFixed(1)}`.padStart(12)}  ${process.padEnd(12)} ${sign} ${[op + number, about, facts].filter((part) => part !== "").join("  ")}`;
}

const SIGNS: Readonly<Record<TraceType, string>> = {
  call: "->",
  result: "<-",
  error: "<!",
  deliver: "=>",
  fault: "**",
  note: "--",
};

function plain(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
