import { BusError, type BusErrorCode, isBusError } from "@busbar/core";

// The one place where SQLite's errors become ours. https://sqlite.org/rescode.html

const CODES: Readonly<Record<number, BusErrorCode>> = {
  // perm, busy, locked, readonly, full, cannot open, auth, no database
  3: "PERMISSION_DENIED",
  5: "DISCONNECTED",
  6: "DISCONNECTED",
  8: "PERMISSION_DENIED",
  13: "LIMIT_EXCEEDED",
  14: "DISCONNECTED",
  23: "PERMISSION_DENIED",
  26: "INVALID_CONFIG",
};

/** What `file` answered, as a {@link BusError}; every transaction was rolled back by then. */
export function toBusError(error: unknown, file: string): unknown {
  const errcode: unknown =
    typeof error === "object" && error !== null ? Reflect.get(error, "errcode") : undefined;
  // What is not SQLite's (ours, or a mistake in the options) is right as it is.
  if (typeof errcode !== "number" || isBusError(error)) return error;
  const code = CODES[errcode & 0xff] ?? "INTERNAL";
  const text = error instanceof Error ? error.message : String(error);
  return new BusError(code, `SQLite file ${file}: ${text}`, {
    cause: error,
    details: { file, errcode, ...(code === "DISCONNECTED" ? { outcome: "notSent" } : {}) },
  });
}
