import type { Headers } from "@busbar/core";
import { headers as emptyHeaders, type MsgHdrs } from "@nats-io/transport-node";

/** Names of the headers that Busbar and the server put on messages. See docs/wire-format.md. */
export const H = {
  msgId: "Nats-Msg-Id",
  expectedLastSubjectSequence: "Nats-Expected-Last-Subject-Sequence",
  expectedLastMsgId: "Nats-Expected-Last-Msg-Id",
  stream: "Nats-Stream",
  subject: "Nats-Subject",
  sequence: "Nats-Sequence",
  timeStamp: "Nats-Time-Stamp",
  ttl: "Nats-TTL",
  markerReason: "Nats-Marker-Reason",
  rollup: "Nats-Rollup",
  pendingMessages: "Nats-Pending-Messages",
  serviceError: "Nats-Service-Error",
  serviceErrorCode: "Nats-Service-Error-Code",
  kvOperation: "KV-Operation",
  maxAttempts: "Busbar-Max-Attempts",
  runAt: "Busbar-Run-At",
  delay: "Busbar-Delay-Ms",
  dedupKey: "Busbar-Dedup-Key",
  reason: "Busbar-Reason",
  attempts: "Busbar-Attempts",
  publishedAt: "Busbar-Published-At",
  deadSubject: "Busbar-Subject",
  priority: "Busbar-Priority",
  replayFor: "Busbar-Replay-For",
  filler: "Busbar-Filler",
} as const;

/** Header fields as they go over the wire, in order. */
export type Fields = readonly (readonly [name: string, value: string | number])[];

/**
 * Encodes headers for `NatsConnection.publish`. The client's own header class checks and
 * canonicalises every field again; ours were checked at the edge, so this is text and nothing else.
 */
export function encodeHeaders(headers: Headers, fields: Fields = []): MsgHdrs | undefined {
  let text = "";
  for (const [name, value] of fields) text += `${name}: ${value}\r\n`;
  for (const name in headers) {
    const value = headers[name] as string | readonly string[];
    if (typeof value === "string") text += `${name}: ${value}\r\n`;
    else for (const one of value) text += `${name}: ${one}\r\n`;
  }
  if (text === "") return undefined;
  const bytes = Buffer.from(`NATS/1.0\r\n${text}\r\n`);
  // The connection calls nothing but `encode`.
  return { encode: () => bytes } as unknown as MsgHdrs;
}

/** Headers as the JSON API gives them: the bytes that were stored. */
export function decodeHeaders(bytes: Buffer): MsgHdrs {
  const decoded = emptyHeaders();
  for (const line of bytes.toString("utf8").split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) decoded.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return decoded;
}

/** The user's headers of a message: everything but what Busbar and the server added. */
export function userHeaders(headers: MsgHdrs | undefined): Headers {
  if (!headers) return NONE;
  const copy: Record<string, string | readonly string[]> = Object.create(null);
  let count = 0;
  for (const [name, values] of headers) {
    if (INTERNAL.test(name)) continue;
    copy[name] = values.length === 1 ? (values[0] as string) : values;
    count += 1;
  }
  return count === 0 ? NONE : copy;
}

/** One field, or `undefined`. */
export function field(headers: MsgHdrs | undefined, name: string): string | undefined {
  if (!headers) return undefined;
  const value = headers.get(name);
  return value === "" ? undefined : value;
}

/** A whole number in a field, or `undefined`. */
export function numberField(headers: MsgHdrs | undefined, name: string): number | undefined {
  const value = field(headers, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

const INTERNAL = /^(?:nats-|busbar-|kv-operation$)/i;
const NONE: Headers = Object.freeze({});
