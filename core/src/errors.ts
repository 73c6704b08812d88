/**
 * Every code a {@link BusError} can carry. Codes are the semver promise; messages are not.
 *
 * | code | meaning | retryable |
 * |---|---|---|
 * | `INVALID_ARGUMENT` | a name, header, payload or typed value is not allowed | no |
 * | `INVALID_CONFIG` | the bus configuration is not allowed; `details.issues` names every field | no |
 * | `NOT_FOUND` | the bucket, queue, durable, dead letter or stream does not exist | no |
 * | `CONFLICT` | a compare-and-set lost, or something exists with other options | no |
 * | `ALREADY_SETTLED` | it was acked, naked, given back, termed or dead-lettered before | no |
 * | `LEASE_HELD` | somebody else holds the lease | yes |
 * | `LEASE_LOST` | the lease of the caller is over; nothing was changed | no |
 * | `TIMEOUT` | no answer in time; for a write the outcome is unknown | yes |
 * | `NO_RESPONDERS` | nobody serves the subject | yes |
 * | `REMOTE` | the handler of a request failed; `details.code` is its code | no |
 * | `CLOSED` | the bus, subscription, watch or lease was closed | no |
 * | `DISCONNECTED` | the server is away; `details.outcome` says `notSent` or `unknown` | yes |
 * | `PAYLOAD_TOO_LARGE` | over the limit; `details` has `bytes` and `maxBytes` | no |
 * | `LIMIT_EXCEEDED` | a stream, bucket, queue or buffer is full | yes |
 * | `PERMISSION_DENIED` | wrong credentials, or the server refuses the operation | no |
 * | `UNSUPPORTED` | this backend or server version cannot do it; see `capabilities` | no |
 * | `INTERNAL` | something that should not happen; `cause` has the original | no |
 */
export type BusErrorCode =
  | "INVALID_ARGUMENT"
  | "INVALID_CONFIG"
  | "NOT_FOUND"
  | "CONFLICT"
  | "ALREADY_SETTLED"
  | "LEASE_HELD"
  | "LEASE_LOST"
  | "TIMEOUT"
  | "NO_RESPONDERS"
  | "REMOTE"
  | "CLOSED"
  | "DISCONNECTED"
  | "PAYLOAD_TOO_LARGE"
  | "LIMIT_EXCEEDED"
  | "PERMISSION_DENIED"
  | "UNSUPPORTED"
  | "INTERNAL";

/** Facts that belong to an error: plain data, never payloads or secrets. */
export type BusErrorDetails = Readonly<Record<string, unknown>>;

/** What a {@link BusError} is made of besides its code and message. */
export interface BusErrorOptions {
  /** Machine-readable facts, such as `{ revision: 7 }` on `CONFLICT`. */
  readonly details?: BusErrorDetails;
  /** The error that led to this one, such as the vendor's own. */
  readonly cause?: unknown;
}

const RETRYABLE: ReadonlySet<BusErrorCode> = new Set<BusErrorCode>([
  "LEASE_HELD",
  "TIMEOUT",
  "NO_RESPONDERS",
  "DISCONNECTED",
  "LIMIT_EXCEEDED",
]);

// A registered symbol, so that two copies of this package recognise each other's errors.
const BRAND = Symbol.for("busbar.BusError");

/**
 * The only error class that operations of a bus reject with. Mistakes in an options object
 * (a negative timeout, say) are `TypeError` or `RangeError` instead: they are bugs of the program.
 */
export class BusError extends Error {
  override readonly name = "BusError";
  /** What happened, stable over versions. */
  readonly code: BusErrorCode;
  /** True if the same call may succeed later without any change. */
  readonly retryable: boolean;
  /** Machine-readable facts; which ones, is said per code in {@link BusErrorCode}. */
  readonly details: BusErrorDetails;

  constructor(code: BusErrorCode, message: string, options: BusErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = RETRYABLE.has(code);
    this.details = options.details ?? {};
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Whether `value` is a {@link BusError}, also one of another copy of this package. */
export function isBusError(value: unknown): value is BusError {
  return typeof value === "object" && value !== null && BRAND in value;
}

/** The code of `error` if it is a {@link BusError}, else `undefined`. */
export function errorCode(error: unknown): BusErrorCode | undefined {
  return isBusError(error) ? error.code : undefined;
}
