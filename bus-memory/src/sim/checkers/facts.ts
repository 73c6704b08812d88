import type { TraceEvent } from "../trace.ts";

/** What a trace says of an enqueued job. */
export interface EnqueueFacts {
  readonly payload: string;
  readonly headers?: string;
  readonly dedupKey?: string;
  readonly maxAttempts?: number;
}

/** What a trace says of an answer to an enqueue. */
export interface EnqueuedFacts {
  readonly id: string;
  readonly duplicate: boolean;
}

/** What a trace says of a job that a worker gets. */
export interface JobFacts {
  readonly id: string;
  readonly attempt: number;
  readonly fence: number;
  readonly maxAttempts?: number;
  readonly leaseMs: number;
  /** What is left of the lease, by the clock of the worker. */
  readonly leftMs?: number;
  readonly payload: string;
  readonly headers?: string;
}

/** What a trace says of a settle or heartbeat of a job. */
export interface JobSettleFacts {
  readonly id: string;
  readonly fence: number;
  readonly confirm?: boolean;
  readonly leaseMs?: number;
}

/** What a trace says of a publish. */
export interface PublishFacts {
  readonly payload: string;
  readonly headers?: string;
  readonly messageId?: string;
}

/** What a trace says of an acknowledged publish. */
export interface PublishedFacts {
  readonly sequence: number;
  readonly duplicate: boolean;
}

/** What a trace says of a subscription. */
export interface SubscribeFacts {
  readonly consumer: string;
  readonly member: string;
  readonly durable: boolean;
  readonly from: string | { readonly sequence?: number; readonly timeMs?: number };
  readonly ackWaitMs?: number | readonly number[];
  readonly maxDeliveries?: number;
}

/** What a trace says of a delivery. */
export interface MessageFacts {
  readonly consumer: string;
  readonly member: string;
  readonly sequence: number;
  readonly deliveryCount: number;
  readonly payload: string;
  readonly headers?: string;
}

/** What a trace says of a settle of a message. */
export interface MessageSettleFacts {
  readonly consumer: string;
  readonly sequence: number;
  readonly deliveryCount: number;
  readonly confirm?: boolean;
}

const REFUSALS: ReadonlySet<unknown> = new Set([
  "INVALID_ARGUMENT",
  "PAYLOAD_TOO_LARGE",
  "CONFLICT",
  "LIMIT_EXCEEDED",
  "UNSUPPORTED",
  "PERMISSION_DENIED",
  "NOT_FOUND",
  "LEASE_HELD",
  "LEASE_LOST",
  "ALREADY_SETTLED",
]);

/**
 * Whether an operation that failed has changed nothing for sure. `TIMEOUT`, a `DISCONNECTED` after
 * it was sent, and every error that is not known leave it open.
 */
export function isRefused({ data }: TraceEvent): boolean {
  const { code, outcome } = data;
  return code === "DISCONNECTED" ? outcome === "notSent" : REFUSALS.has(code);
}

/** What must be the same where something is sent and where it arrives. */
export function contentOf(
  where: string,
  { payload, headers }: { readonly payload: string; readonly headers?: string | undefined },
): string {
  return `${where}\n${payload}\n${headers ?? ""}`;
}

/** The first few of many, for messages. */
export function few(names: readonly (string | number)[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
