import { describeThrown } from "@busbar/core/adapter";
import type { JsonValue } from "../tenants/tenant.ts";
import { DiscardTask } from "./task-errors.ts";

/** What a handler returned, as JSON. @throws DiscardTask if it is none */
export function toJson(value: unknown): JsonValue {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" || typeof value === "boolean") return value;
  try {
    const text = JSON.stringify(value);
    if (text !== undefined) return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new DiscardTask(`its result is no JSON: ${describeThrown(error).message}`, "invalid");
  }
  throw new DiscardTask(`its result is no JSON: ${typeof value}`, "invalid");
}
