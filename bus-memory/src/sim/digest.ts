import type { Headers, Payload } from "@busbar/core";
import { hashText } from "./draws.ts";
import type { Link } from "./link.ts";

/** A payload in a trace: short ones as text, others as length and hash. */
export function digest(payload: Payload): string {
  const text = typeof payload === "string" ? payload : DECODER.decode(payload);
  if (text.length <= MAX_TEXT) return text;
  return `${text.slice(0, MAX_TEXT)}… (${text.length}, ${hashText(text).toString(16)})`;
}

/** Headers in a trace; nothing if there are none. */
export function shown(headers: Headers | undefined): string | undefined {
  if (headers === undefined) return undefined;
  const pairs = Object.entries(headers);
  if (pairs.length === 0) return undefined;
  return JSON.stringify(pairs.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** The payload as it is now: its owner may change it while it is under way. */
export function owned(link: Link, payload: Payload): Payload {
  const isSafe = !(payload instanceof Uint8Array) || (link.isInstant && !link.isDown);
  return isSafe ? payload : new Uint8Array(payload);
}

const MAX_TEXT = 64;
const DECODER = new TextDecoder();
