import { errorCode, isBusError } from "@busbar/core";

/** What a step told: plain data, the same on every backend. */
export type Outcome =
  | null
  | boolean
  | number
  | string
  | readonly Outcome[]
  | { readonly [field: string]: Outcome | undefined };

/** What was met at one step. */
export interface TraceEntry {
  /** When the step was run. */
  readonly tick: number;
  readonly outcome: Outcome;
}

/** Whether two outcomes are the same: fields are written in one order by construction. */
export function isSame(a: Outcome, b: Outcome): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Of a result its view, of an error its code and what is stable of its details. */
export async function outcomeOf<T>(
  work: () => Promise<T>,
  view: (result: T) => Outcome | Promise<Outcome> = () => "ok",
  revisionName: (revision: number) => string = String,
): Promise<Outcome> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    return errorView(error, revisionName);
  }
  return view(result);
}

const STABLE = ["field", "code", "outcome", "owner", "header", "differences", "maxBytes", "bytes"];

/** The stable part of an error. Messages are not promised, but those of option checks are ours. */
export function errorView(
  error: unknown,
  revisionName: (revision: number) => string = String,
): Outcome {
  const code = errorCode(error);
  if (isBusError(error) && code !== undefined) {
    const details: Record<string, Outcome> = {};
    for (const field of STABLE) {
      const value = error.details[field];
      if (value !== undefined) details[field] = inOrder(plainView(value, revisionName));
    }
    const { revision, sequence } = error.details;
    const current = code === "CONFLICT" ? (revision ?? sequence) : undefined;
    if (typeof current === "number") details["current"] = revisionName(current);
    if (code === "REMOTE") details["message"] = String(error.details["message"]);
    return { error: code, ...details };
  }
  if (error instanceof TypeError || error instanceof RangeError) {
    return { error: error.name, message: error.message };
  }
  return { error: "other", message: String(error) };
}

/** The value as plain data, sequences by their names; a wall clock's time says nothing. */
function plainView(value: unknown, revisionName: (revision: number) => string): Outcome {
  return JSON.parse(JSON.stringify(value), (name, inner: unknown) => {
    if (name === "timeMs") return "a time";
    return name === "sequence" && typeof inner === "number" ? revisionName(inner) : inner;
  }) as Outcome;
}

/** Lists in details are sets. */
function inOrder(value: Outcome): Outcome {
  if (!Array.isArray(value)) return value;
  return [...value].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
}
