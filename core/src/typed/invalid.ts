import { BusError, isBusError } from "../errors.ts";
import { oneLine } from "../failures.ts";
import type { StandardSchemaIssue } from "./standard-schema.ts";

/** One problem of a value, as in `details.issues` of `INVALID_ARGUMENT`. */
export interface PayloadIssue {
  /** Where: property names and indexes joined by `.`; empty for the value as a whole. */
  readonly path: string;
  /** What is wrong, in the words of the schema. */
  readonly problem: string;
}

/**
 * Told of a payload that came in and was refused. What it throws is an uncaught error of the
 * program, as with any listener.
 */
export type OnInvalid<Item> = (error: BusError, item: Item) => void;

/** For how long a message or job is given back whose check could not be made. */
export const RETRY_MS = 1_000;

const MAX_ISSUES = 20;

/** The issues of a schema, cut to what an error should carry. */
export function schemaIssues(issues: readonly StandardSchemaIssue[]): PayloadIssue[] {
  return issues.slice(0, MAX_ISSUES).map(({ message, path = [] }) => {
    const keys = path.map((part) => (typeof part === "object" ? part.key : part));
    return { path: oneLine(keys.map(String).join(".")), problem: oneLine(message).slice(0, 200) };
  });
}

/** The issues of what a codec threw. Words of others than a {@link BusError} may quote the payload. */
export function codecIssues(thrown: unknown, verb: string, contentType: string): PayloadIssue[] {
  const issues: unknown = isBusError(thrown) ? thrown.details["issues"] : undefined;
  if (Array.isArray(issues)) return issues as PayloadIssue[];
  const problem = isBusError(thrown) ? oneLine(thrown.message).slice(0, 200) : undefined;
  return [{ path: "", problem: problem ?? `cannot be ${verb} as ${contentType}` }];
}

/** `INVALID_ARGUMENT` of a value or payload: `what` names it. */
export function invalidPayload(what: string, issues: readonly PayloadIssue[]): BusError {
  return new BusError("INVALID_ARGUMENT", `${what} is not allowed: ${issueText(issues)}`, {
    details: { issues },
  });
}

/** The reason with which a message is termed or a job dead-lettered: up to 256 characters. */
export function invalidReason(error: BusError): string {
  const issues = error.details["issues"] as readonly PayloadIssue[];
  return `invalid payload: ${issueText(issues)}`.slice(0, 256).trim();
}

/** Tells the program. */
export function report<Item>(
  onInvalid: OnInvalid<Item> | undefined,
  error: BusError,
  item: Item,
): void {
  try {
    onInvalid?.(error, item);
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}

function issueText(issues: readonly PayloadIssue[]): string {
  return issues
    .map(({ path, problem }) => (path === "" ? problem : `${path}: ${problem}`))
    .join("; ");
}
