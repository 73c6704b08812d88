import type { Headers, StartFrom } from "@busbar/core";

// A script is plain data: it can be printed, stored, shrunk and run again. All its times are in
// units, whose length in milliseconds belongs to a run.

/** Options of a durable or ephemeral subscription, times in units. */
export interface ReaderOptions {
  /** `sequence` and `time` are told by a publish of the script: the n-th one, counted from 0. */
  readonly from?: Exclude<StartFrom, object> | { readonly publish: number } | { readonly tick: 0 };
  readonly ackWait?: number;
  readonly backoff?: readonly number[];
  /** 0 stands for `Infinity`. */
  readonly maxDeliveries?: number;
  readonly maxInFlight?: number;
}

/** Options of a job, times in units. */
export interface JobSpec {
  readonly dedupKey?: string;
  readonly priority?: number;
  readonly delay?: number;
  /** The delay is given as a time of the wall clock. */
  readonly runAt?: boolean;
  readonly maxAttempts?: number;
  readonly headers?: Headers;
}

/** How a job or message is settled; `extend` and `heartbeat` do not settle. */
export type Settle = "ack" | "confirm" | "nak" | "term" | "extend";
/** See {@link Settle}. */
export type JobSettle = "ack" | "confirm" | "nak" | "deadLetter" | "heartbeat";
/** Which revision or sequence an operation expects. */
export type Expected = "current" | "stale" | "future" | "none";
/** What is done to dead letters. */
export type DeadVerb = "list" | "count" | "get" | "replay" | "discard" | "purge";
/** What a handler of requests does. */
export type Behaviour = "echo" | "headers" | "empty" | "throw" | "code" | "slow" | "never";

type OnBus = { readonly bus: number };

/** Steps that have nothing to do with a contract. */
export type WorldStep =
  | { readonly op: "wait"; readonly ticks: number }
  | ({ readonly op: "openBus" } & OnBus)
  | ({ readonly op: "closeBus" } & OnBus)
  | { readonly op: "restartServer" }
  /** The outcome, by now, of a step that was started with a name. */
  | { readonly op: "join"; readonly name: string }
  /** A call that is not allowed: an index into the table of them. */
  | ({ readonly op: "bad"; readonly which: number } & OnBus);

/** Steps of pubsub. */
export type PubsubStep =
  | ({
      readonly op: "publish";
      readonly subject: string;
      readonly headers?: Headers;
      readonly messageId?: string;
      readonly expect?: Expected;
      readonly size?: "empty" | "large" | "over";
    } & OnBus)
  | ({ readonly op: "notify"; readonly subject: string; readonly headers?: Headers } & OnBus)
  | ({
      readonly op: "listen";
      readonly name: string;
      readonly subject: string;
      readonly group?: string;
      readonly maxBuffered?: number;
    } & OnBus)
  | { readonly op: "hear"; readonly name: string }
  | { readonly op: "unlisten"; readonly name: string }
  /** Subscribes, takes what comes (at most `max`), and closes. */
  | ({
      readonly op: "poll";
      readonly durable: string;
      readonly subject: string;
      readonly options: ReaderOptions;
      readonly max?: number;
    } & OnBus)
  /** Subscribes for long: `members` subscriptions on alternating buses, which take at once. */
  | ({
      readonly op: "subscribe";
      readonly name: string;
      readonly durable?: string;
      readonly subject: string;
      readonly options: ReaderOptions;
      readonly members?: number;
    } & OnBus)
  | { readonly op: "take"; readonly name: string }
  | { readonly op: "unsubscribe"; readonly name: string }
  /** Settles a delivery that a durable or subscription (`owner`) gave; the last one has pick 0. */
  | {
      readonly op: "settle";
      readonly owner: string;
      readonly pick: number;
      readonly how: Settle;
      readonly delay?: number;
      readonly reason?: string;
    }
  | ({ readonly op: "deleteDurable"; readonly durable: string } & OnBus)
  | ({
      readonly op: "dead";
      readonly kind: "durable" | "queue";
      readonly owner: string;
      readonly verb: DeadVerb;
      readonly pick?: number;
      readonly limit?: number;
    } & OnBus);

type OnKey = { readonly bucket: string; readonly key: string } & OnBus;

/** Steps of values and leases. */
export type KvStep =
  | ({
      readonly op: "ensureBucket";
      readonly bucket: string;
      readonly history?: number;
      readonly ttl?: number;
      readonly maxBytes?: number;
    } & OnBus)
  | ({ readonly op: "deleteBucket"; readonly bucket: string } & OnBus)
  | ({ readonly op: "put" | "create"; readonly ttl?: number; readonly size?: "over" } & OnKey)
  | ({ readonly op: "cas"; readonly expect: Expected } & OnKey)
  | ({ readonly op: "delete"; readonly expect?: Expected } & OnKey)
  | ({ readonly op: "get" | "history" } & OnKey)
  | ({
      readonly op: "keys";
      readonly bucket: string;
      readonly pattern?: string;
      readonly limit?: number;
    } & OnBus)
  | ({
      readonly op: "watch";
      readonly name: string;
      readonly bucket: string;
      readonly pattern?: string;
      readonly after?: "start" | "last";
    } & OnBus)
  | { readonly op: "watched"; readonly name: string }
  | { readonly op: "unwatch"; readonly name: string }
  /** Several writers at the same time, on all buses. */
  | {
      readonly op: "race";
      readonly kind: "create" | "cas" | "delete";
      readonly bucket: string;
      readonly key: string;
      readonly writers: number;
    }
  | ({
      readonly op: "lease";
      readonly name: string;
      readonly ttl: number;
      readonly owner?: string;
      readonly wait?: number;
    } & OnKey)
  | {
      readonly op: "leaseCall";
      readonly name: string;
      readonly call: "heartbeat" | "release" | "lost";
    };

type OnQueue = { readonly queue: string } & OnBus;

/** Steps of jobs. */
export type JobStep =
  | ({ readonly op: "enqueue"; readonly job: JobSpec; readonly size?: "over" } & OnQueue)
  | ({ readonly op: "enqueueMany"; readonly jobs: readonly JobSpec[] } & OnQueue)
  /** With a name the claim waits in the background, and `join` tells what became of it. */
  | ({
      readonly op: "claim";
      readonly max?: number;
      readonly lease?: number;
      readonly wait?: number;
      readonly name?: string;
    } & OnQueue)
  /** Settles a job that was claimed from the queue; the last one has pick 0. */
  | {
      readonly op: "job";
      readonly queue: string;
      readonly pick: number;
      readonly how: JobSettle;
      readonly delay?: number;
      readonly lease?: number;
      readonly reason?: string;
    }
  | ({ readonly op: "stats" | "pause" | "resume" | "purge" | "deleteQueue" } & OnQueue);

/** Steps of requests. */
export type RpcStep =
  | ({
      readonly op: "serve";
      readonly name: string;
      readonly subject: string;
      readonly behaviour: Behaviour;
      readonly group?: string | false;
      readonly concurrency?: number;
      readonly maxQueued?: number;
    } & OnBus)
  | { readonly op: "unserve"; readonly name: string }
  | ({
      readonly op: "request";
      readonly subject: string;
      readonly timeout: number;
      readonly headers?: Headers;
      readonly size?: "over";
      readonly name?: string;
    } & OnBus)
  | ({
      readonly op: "requestMany";
      readonly subject: string;
      readonly timeout: number;
      readonly maxReplies?: number;
      readonly name?: string;
    } & OnBus);

/** One step; what it publishes, writes or enqueues carries its id. */
export type Step = { readonly id: number } & (WorldStep | PubsubStep | KvStep | JobStep | RpcStep);

/** What a step does. */
export type Op = Step["op"];
/** The step of an operation. */
export type StepOf<O extends Op> = Step extends infer S
  ? S extends { readonly op: infer P }
    ? [O & P] extends [never]
      ? never
      : S
    : never
  : never;

/** A whole run of one program on one namespace. */
export interface Script {
  readonly seed: number;
  /** How long message ids and dedup keys are remembered, in units; default: the product's. */
  readonly dedupWindow?: number;
  /** Its server is restarted, so it needs one of its own. */
  readonly restarts?: true;
  readonly steps: readonly Step[];
}
