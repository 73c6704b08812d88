import { toBytes } from "@busbar/core";
import type { Run } from "../run.ts";

/** A payload that is neither small nor near the limit. */
const LARGE = 20_000;

/** What a step sends: its number, and the bus it uses. */
export function bodyFrom(step: { readonly id: number; readonly bus: number }): string {
  return `s${step.id}@${step.bus}`;
}

/** The body as bytes, made as large as wanted; `over` is one byte more than allowed. */
export function payloadOf(
  run: Run,
  body: string,
  size: "empty" | "large" | "over" | undefined,
): Uint8Array {
  const bytes = toBytes(body);
  if (size === undefined) return bytes;
  if (size === "empty") return new Uint8Array(0);
  const length = size === "large" ? LARGE : run.traits.maxPayloadBytes + 1;
  const padded = new Uint8Array(length).fill(46);
  padded.set(bytes);
  return padded;
}
