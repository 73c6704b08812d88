import type { Reply } from "@busbar/core";
import { remoteError, type RpcOutcome } from "@busbar/core/adapter";
import type { Msg, PublishOptions } from "@nats-io/transport-node";
import { ownBytes } from "./bytes.ts";
import { encodeHeaders, field, H, userHeaders } from "./headers.ts";

/** Code of an error whose sender gave none. */
const NO_CODE = "INTERNAL";

/** A reply as ours. @throws BusError `REMOTE` if it carries an error, as NATS services send them */
export function parseReply(message: Msg, subject: string): Reply {
  const { headers } = message;
  if (headers?.has(H.serviceErrorCode) || headers?.has(H.serviceError)) {
    const code = field(headers, H.serviceErrorCode) ?? NO_CODE;
    throw remoteError(subject, code, field(headers, H.serviceError) ?? "");
  }
  return { payload: ownBytes(message.data), headers: userHeaders(headers) };
}

/** An outcome as payload and options for `NatsConnection.publish`. */
export function encodeOutcome(outcome: RpcOutcome): readonly [Uint8Array, PublishOptions] {
  if (!outcome.ok) {
    const headers = encodeHeaders({}, [
      [H.serviceErrorCode, outcome.code],
      [H.serviceError, outcome.message],
    ]);
    return [NOTHING, headers ? { headers } : {}];
  }
  const headers = encodeHeaders(outcome.headers);
  return [outcome.payload, headers ? { headers } : {}];
}

const NOTHING = new Uint8Array(0);
