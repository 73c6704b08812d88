import { BusError } from "./errors.ts";
import { toBytes } from "./payload.ts";

/**
 * Turns values into payloads and back.
 *
 * A codec of one's own throws a {@link BusError} `INVALID_ARGUMENT` for what it cannot take; its
 * message may name the place, never the payload.
 */
export interface Codec<In, Out = In> {
  /** The bytes of a value. */
  readonly encode: (value: In) => Uint8Array;
  /** The value of bytes. Does not keep or change the bytes. */
  readonly decode: (bytes: Uint8Array) => Out;
  /** The media type, such as `application/json`: said in errors, not sent. */
  readonly contentType: string;
}

// Fatal: a wrong byte is an error, not a replacement character.
const jsonDecoder = new TextDecoder("utf-8", { fatal: true });
const textDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * JSON in UTF-8. What JSON would change in silence is refused like what it cannot take at all:
 * `undefined` (but as an optional property it is left out), functions, symbols, BigInt, `NaN`,
 * infinities, cycles, `Map`, `Set`, promises and binary data.
 */
export const jsonCodec: Codec<unknown> = {
  contentType: "application/json",
  encode(value) {
    return toBytes(toJson(value));
  },
  decode(bytes) {
    try {
      return JSON.parse(jsonDecoder.decode(bytes));
    } catch {
      // What the parser says quotes the payload.
      throw undecodable("JSON", bytes);
    }
  },
};

/** Text in UTF-8, nothing else. */
export const textCodec: Codec<string> = {
  contentType: "text/plain; charset=utf-8",
  encode(value) {
    if (typeof value !== "string") throw unsendable("text", "", `is ${describe(value)}`);
    if (/\p{Surrogate}/u.test(value)) throw unsendable("text", "", "has half a surrogate pair");
    return toBytes(value);
  },
  decode(bytes) {
    try {
      return textDecoder.decode(bytes);
    } catch {
      throw undecodable("UTF-8 text", bytes);
    }
  },
};

/** Bytes as they are: not copied. */
export const bytesCodec: Codec<Uint8Array> = {
  contentType: "application/octet-stream",
  encode(value) {
    if (!(value instanceof Uint8Array)) throw unsendable("bytes", "", `is ${describe(value)}`);
    return value;
  },
  decode(bytes) {
    return bytes;
  },
};

function toJson(value: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
    checkJson(value, []);
  } catch (error) {
    if (error instanceof BusError) throw error;
    throw unsendable(
      "JSON",
      "",
      "has a BigInt or a cycle, is nested too deeply, or its toJSON failed",
    );
  }
  if (json === undefined) throw unsendable("JSON", "", `is ${describe(value)}`);
  return json;
}

/** Refuses what `JSON.stringify` drops or changes. It ran before: there are no cycles. */
function checkJson(value: unknown, path: (string | number)[]): void {
  if (typeof value === "function" || typeof value === "symbol" || isNotFinite(value)) {
    throw unsendable("JSON", path.join("."), `is ${describe(value)}`);
  }
  if (typeof value !== "object" || value === null) return;
  if (typeof Reflect.get(value, "toJSON") === "function") return;
  if (
    value instanceof Map ||
    value instanceof Set ||
    value instanceof Promise ||
    ArrayBuffer.isView(value) ||
    value instanceof ArrayBuffer
  ) {
    throw unsendable("JSON", path.join("."), `is ${describe(value)}`);
  }
  const isArray = Array.isArray(value);
  for (const [key, member] of isArray ? value.entries() : Object.entries(value)) {
    path.push(key);
    if (isArray && member === undefined) {
      throw unsendable("JSON", path.join("."), "is undefined");
    }
    checkJson(member, path);
    path.pop();
  }
}

function isNotFinite(value: unknown): boolean {
  return typeof value === "number" && !Number.isFinite(value);
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (isNotFinite(value)) return "not a finite number";
  if (typeof value !== "object") return `a ${typeof value}`;
  return `a ${/^\w{1,32}$/.exec(Object.prototype.toString.call(value).slice(8, -1))?.[0] ?? "object"}`;
}

function unsendable(format: string, path: string, problem: string): BusError {
  return new BusError(
    "INVALID_ARGUMENT",
    `the value cannot be sent as ${format}: ${path === "" ? "it" : path} ${problem}`,
    { details: { issues: [{ path, problem: `${problem}, which is not ${format}` }] } },
  );
}

function undecodable(format: string, bytes: Uint8Array): BusError {
  const problem = bytes.byteLength === 0 ? "is empty" : `has ${bytes.byteLength} bytes`;
  return new BusError("INVALID_ARGUMENT", `the payload ${problem} and is not ${format}`, {
    details: { issues: [{ path: "", problem: `not ${format} (${bytes.byteLength} bytes)` }] },
  });
}
