import { BusError } from "./errors.ts";

/** What can be sent: bytes, or text that is sent as UTF-8. Empty is allowed. */
export type Payload = Uint8Array | string;

/**
 * Headers of a message. A name with one value has a string, one with several has an array.
 *
 * Names are case-sensitive: printable ASCII without space and `:`, 1 to 128 characters. Names that
 * begin with `Nats-` or `Busbar-` (in any case) are reserved. Values are Unicode text without
 * control characters and without white space at either end. All of them together have at most
 * 8 KiB as UTF-8, with 4 bytes more for each value.
 */
export type Headers = Readonly<Record<string, string | readonly string[]>>;

/** No headers. */
export const NO_HEADERS: Headers = Object.freeze({});

/** Most bytes of all headers of a message: names, values, and 4 bytes more for each value. */
export const MAX_HEADER_BYTES = 8_192;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Text as UTF-8 bytes. */
export function toBytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** UTF-8 bytes as text. */
export function toText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/**
 * The bytes of a payload; not a copy if they were bytes already.
 * @throws {@link BusError} `INVALID_ARGUMENT` if it is neither, `PAYLOAD_TOO_LARGE` over `maxBytes`
 */
export function payloadBytes(payload: Payload, maxBytes: number, what: string): Uint8Array {
  const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
  if (!(bytes instanceof Uint8Array)) {
    throw new BusError(
      "INVALID_ARGUMENT",
      `payload for ${what} must be a Uint8Array or a string, got ${payload === null ? "null" : typeof payload}`,
      { details: { field: "payload" } },
    );
  }
  if (bytes.byteLength > maxBytes) {
    throw new BusError(
      "PAYLOAD_TOO_LARGE",
      `payload for ${what} has ${bytes.byteLength} bytes, the limit is ${maxBytes}`,
      { details: { bytes: bytes.byteLength, maxBytes } },
    );
  }
  return bytes;
}

const HEADER_NAME = /^[!-9;-~]{1,128}$/;
const RESERVED = /^(?:nats|busbar)-/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
const BAD_VALUE = /[\u0000-\u001f\u007f\p{Surrogate}]|^\s|\s$/u;

/**
 * Checks headers and gives them back as a frozen copy.
 * @throws {@link BusError} `INVALID_ARGUMENT` naming the header
 */
export function checkHeaders(headers: Headers | undefined): Headers {
  if (headers === undefined) return NO_HEADERS;
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) {
    throw new BusError("INVALID_ARGUMENT", "headers must be an object of strings", {
      details: { field: "headers" },
    });
  }
  const names = Object.keys(headers);
  if (names.length === 0) return NO_HEADERS;
  const copy: Record<string, string | readonly string[]> = Object.create(null);
  for (const name of names) {
    if (!HEADER_NAME.test(name)) {
      refuse(name, "a name is 1 to 128 printable ASCII characters without space and ':'");
    }
    if (RESERVED.test(name)) refuse(name, "names that begin with Nats- or Busbar- are reserved");
    copy[name] = checkValue(name, headers[name]);
  }
  checkSize(copy);
  return Object.freeze(copy);
}

/** Beside the payload there is room for so much and no more on every backend. */
function checkSize(headers: Headers): void {
  let bytes = 0;
  for (const name in headers) {
    const value = headers[name] as string | readonly string[];
    for (const one of typeof value === "string" ? [value] : value) {
      bytes += name.length + utf8Length(one) + 4;
    }
  }
  if (bytes <= MAX_HEADER_BYTES) return;
  throw new BusError(
    "INVALID_ARGUMENT",
    `headers have ${bytes} bytes, the limit is ${MAX_HEADER_BYTES}: put large data into the payload`,
    { details: { field: "headers", bytes, maxBytes: MAX_HEADER_BYTES } },
  );
}

/** Bytes of a text as UTF-8; a lone surrogate counts as the replacement character it becomes. */
function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x80) continue;
    // A pair has two units and four bytes: one more for each half.
    const pair = code >= 0xd8_00 && code <= 0xdb_ff && isLowSurrogate(text.charCodeAt(index + 1));
    if (pair) index += 1;
    bytes += pair ? 2 : code < 0x8_00 ? 1 : 2;
  }
  return bytes;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc_00 && code <= 0xdf_ff;
}

function checkValue(name: string, value: unknown): string | readonly string[] {
  if (typeof value === "string") {
    if (BAD_VALUE.test(value)) {
      refuse(name, "a value is Unicode without control characters, no white space at either end");
    }
    return value;
  }
  if (!Array.isArray(value) || value.length === 0) {
    return refuse(name, "a value is a string or an array of at least one string");
  }
  const values = value.map((one) => {
    if (typeof one !== "string") refuse(name, "a value is a string or an array of strings");
    return checkValue(name, one) as string;
  });
  return values.length === 1 ? (values[0] as string) : Object.freeze(values);
}

function refuse(name: string, why: string): never {
  throw new BusError("INVALID_ARGUMENT", `header ${JSON.stringify(name.slice(0, 64))}: ${why}`, {
    details: { field: "headers", header: name.slice(0, 64) },
  });
}
