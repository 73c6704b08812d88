import { BusError } from "./errors.ts";

// The errors that every backend raises for the same reason, worded once.

/** `ALREADY_SETTLED`: `what` names the delivery. */
export function alreadySettled(what: string): BusError {
  return new BusError(
    "ALREADY_SETTLED",
    `${what} was settled before: exactly one of ack, nak and term or deadLetter settles a delivery`,
  );
}

/** `LEASE_LOST` for a claimed job. */
export function jobLeaseLost(queue: string, id: string, attempt: number): BusError {
  return new BusError(
    "LEASE_LOST",
    `the lease on job ${id} of queue ${queue} (attempt ${attempt}) is over: nothing was changed`,
    { details: { queue, id, attempt } },
  );
}

/** `CLOSED`. */
export function closedError(what: string): BusError {
  return new BusError("CLOSED", `${what} is closed`);
}

/** `CONFLICT` of a compare-and-set; `revision` is the current one, 0 if there is no value. */
export function revisionConflict(
  bucket: string,
  key: string,
  expected: number,
  revision: number,
): BusError {
  return new BusError(
    "CONFLICT",
    `key ${key} of bucket ${bucket} has revision ${revision}, expected was ${expected}`,
    { details: { bucket, key, expected, revision } },
  );
}

/** `CONFLICT` of an expected last sequence. */
export function sequenceConflict(subject: string, expected: number, sequence: number): BusError {
  return new BusError(
    "CONFLICT",
    `the last message on ${subject} has sequence ${sequence}, expected was ${expected}`,
    { details: { subject, expected, sequence } },
  );
}

/** `CONFLICT`: `what` exists with other options. Each difference is `[option, existing, wanted]`. */
export function optionsConflict(
  what: string,
  differences: readonly (readonly [option: string, existing: unknown, wanted: unknown])[],
): BusError {
  const shown = differences.map(([option, existing, wanted]) => {
    return `${option} is ${JSON.stringify(existing)}, wanted ${JSON.stringify(wanted)}`;
  });
  return new BusError("CONFLICT", `${what} exists with other options: ${shown.join("; ")}`, {
    details: {
      differences: differences.map(([option, existing, wanted]) => ({ option, existing, wanted })),
    },
  });
}

/** `NO_RESPONDERS`. */
export function noResponders(subject: string): BusError {
  return new BusError("NO_RESPONDERS", `nobody serves ${subject}`, { details: { subject } });
}

/** `TIMEOUT`. */
export function timeoutError(what: string, timeoutMs: number): BusError {
  return new BusError("TIMEOUT", `${what}: no answer within ${timeoutMs} ms`, {
    details: { timeoutMs },
  });
}

/** `REMOTE` from what came over the wire. */
export function remoteError(subject: string, code: string, message: string): BusError {
  return new BusError("REMOTE", `the handler of ${subject} failed with ${code}: ${message}`, {
    details: { subject, code, message },
  });
}

/** The code and message of what a handler threw: what may go over the wire. Never the stack. */
export function describeThrown(thrown: unknown): {
  readonly code: string;
  readonly message: string;
} {
  if (typeof thrown === "object" && thrown !== null) {
    const code: unknown = Reflect.get(thrown, "code");
    const message: unknown = Reflect.get(thrown, "message");
    return {
      code: typeof code === "string" && /^[\w.-]{1,64}$/.test(code) ? code : "INTERNAL",
      message: oneLine(typeof message === "string" ? message : "the handler threw an object"),
    };
  }
  return { code: "INTERNAL", message: oneLine(String(thrown)) };
}

/** Text as it may stand in a header or a reason: without control characters, 512 long at most. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not get into a header.
  return text
    .replace(/[\u0000-\u001f\u007f]+/g, " ")
    .trim()
    .slice(0, 512);
}
