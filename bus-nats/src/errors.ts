import { BusError, type BusErrorCode, isBusError } from "@busbar/core";

/** An error that the JetStream API answered with. */
export interface ApiError {
  readonly code: number;
  readonly err_code: number;
  readonly description: string;
}

/** JetStream's own error codes that Busbar reacts to. Numbers: server/errors.json of nats-server. */
export const API = {
  notEnabledForAccount: 10_039,
  notEnabled: 10_076,
  noSuitablePeers: 10_005,
  temporarilyUnavailable: 10_008,
  consumerCreateFailed: 10_012,
  consumerNotFound: 10_014,
  consumerExists: 10_148,
  consumerNameExists: 10_013,
  messageNotFound: 10_037,
  streamCreateFailed: 10_049,
  streamClosed: 10_051,
  streamNotFound: 10_059,
  streamNameInUse: 10_058,
  subjectsOverlap: 10_065,
  wrongLastSequence: 10_071,
  wrongLastSequenceConstant: 10_164,
  wrongLastMessageId: 10_070,
  storeFailed: 10_077,
  maxConsumers: 10_026,
  messageTooLarge: 10_054,
} as const;

// The one table from the server's errors to ours.
const API_CODES: Readonly<Record<number, BusErrorCode>> = {
  10_002: "LIMIT_EXCEEDED",
  10_003: "INVALID_ARGUMENT",
  10_004: "DISCONNECTED",
  10_005: "UNSUPPORTED",
  10_008: "DISCONNECTED",
  10_009: "DISCONNECTED",
  10_013: "CONFLICT",
  10_014: "NOT_FOUND",
  10_023: "LIMIT_EXCEEDED",
  10_026: "LIMIT_EXCEEDED",
  10_027: "LIMIT_EXCEEDED",
  10_028: "LIMIT_EXCEEDED",
  10_035: "UNSUPPORTED",
  10_037: "NOT_FOUND",
  10_039: "UNSUPPORTED",
  10_047: "LIMIT_EXCEEDED",
  10_052: "CONFLICT",
  10_053: "LIMIT_EXCEEDED",
  10_054: "PAYLOAD_TOO_LARGE",
  10_058: "CONFLICT",
  10_059: "NOT_FOUND",
  10_060: "CONFLICT",
  10_065: "CONFLICT",
  10_071: "CONFLICT",
  10_074: "UNSUPPORTED",
  10_076: "UNSUPPORTED",
  10_077: "LIMIT_EXCEEDED",
  10_099: "CONFLICT",
  10_100: "CONFLICT",
  10_122: "LIMIT_EXCEEDED",
  10_148: "CONFLICT",
  10_164: "CONFLICT",
  10_165: "INVALID_ARGUMENT",
  10_166: "UNSUPPORTED",
};

/** The JetStream API error as ours; `what` says what was tried, on which stream or subject. */
export function fromApiError(error: ApiError, what: string): BusError {
  const code =
    (isPeerAway(error) ? "DISCONNECTED" : API_CODES[error.err_code]) ??
    (error.code === 503 ? "DISCONNECTED" : error.code === 404 ? "NOT_FOUND" : "INTERNAL");
  return new BusError(code, `${what}: ${error.description} (JetStream error ${error.err_code})`, {
    details: { apiCode: error.err_code, status: error.code },
  });
}

/** Too few servers for the replicas: for good, or because one of the cluster is away for now. */
function isPeerAway({ err_code, description }: ApiError): boolean {
  return err_code === API.noSuitablePeers && description.includes("offline");
}

/** The JetStream error code inside one of our errors. */
export function apiCode(error: unknown): number | undefined {
  const code = isBusError(error) ? error.details["apiCode"] : undefined;
  return typeof code === "number" ? code : undefined;
}

/** Errors of the client by their class name: the client has one class for each kind. */
const CLIENT_CODES: Readonly<Record<string, BusErrorCode>> = {
  AuthorizationError: "PERMISSION_DENIED",
  UserAuthenticationExpiredError: "PERMISSION_DENIED",
  PermissionViolationError: "PERMISSION_DENIED",
  ClosedConnectionError: "CLOSED",
  DrainingConnectionError: "CLOSED",
  ConnectionError: "DISCONNECTED",
  TimeoutError: "TIMEOUT",
  InvalidArgumentError: "INVALID_ARGUMENT",
  InvalidSubjectError: "INVALID_ARGUMENT",
  NoRespondersError: "NO_RESPONDERS",
};

/** Any error of the client as ours, with the original as cause. */
export function fromClientError(cause: unknown, what: string): BusError {
  if (isBusError(cause)) return cause;
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : undefined;
  for (const error of [inner, cause]) {
    if (!(error instanceof Error)) continue;
    const code = CLIENT_CODES[error.name] ?? CLIENT_CODES[error.constructor.name];
    if (code) return new BusError(code, `${what}: ${error.message}`, { cause });
    if (
      /ECONN|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|socket/i.test(
        `${Reflect.get(error, "code")} ${error.message}`,
      )
    ) {
      return new BusError("DISCONNECTED", `${what}: ${error.message}`, {
        cause,
        details: { outcome: "notSent" },
      });
    }
  }
  return new BusError(
    "INTERNAL",
    `${what}: ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  );
}
