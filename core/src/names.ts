import { BusError } from "./errors.ts";

/**
 * The one place where names are checked. Every rule here is narrow enough that a valid name needs
 * no escaping on any backend, apart from the dot in a plain name.
 *
 * | what | allowed | longest |
 * |---|---|---|
 * | subject | tokens joined by `.`; a token is printable ASCII without space, `.`, `*`, `>` | 256 |
 * | subject pattern | as a subject; a token may be `*` (one token), the last may be `>` (one or more) | 256 |
 * | name (queue, bucket, durable, worker id, group, tenant) | `A-Z a-z 0-9 _ -`, words joined by `.` | 128 |
 * | key | `A-Z a-z 0-9 _ - / =`, words joined by `.` | 256 |
 * | key pattern | as a key; a word may be `*`, the last may be `>` | 256 |
 * | namespace | `A-Z a-z 0-9 -`; `--` stands between a namespace and one below it | 64 |
 *
 * Headers are checked in `payload.ts`; all headers of a message have at most 8,192 bytes.
 */
export const MAX_SUBJECT_LENGTH = 256;
/** Longest queue, bucket, durable, worker id, group or tenant name. */
export const MAX_NAME_LENGTH = 128;
/** Longest key of a bucket. */
export const MAX_KEY_LENGTH = 256;
/** Longest namespace. */
export const MAX_NAMESPACE_LENGTH = 64;

/** What kind of plain name is checked: said in the error. */
export type NameKind = "queue" | "bucket" | "durable" | "workerId" | "group" | "tenant" | "owner";

const SUBJECT = /^[!-)+-\-/-=?-~]+(?:\.[!-)+-\-/-=?-~]+)*$/;
const PATTERN = /^(?:\*|[!-)+-\-/-=?-~]+)(?:\.(?:\*|[!-)+-\-/-=?-~]+))*(?:\.>)?$|^>$/;
const NAME = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;
const KEY = /^[A-Za-z0-9_/=-]+(?:\.[A-Za-z0-9_/=-]+)*$/;
const KEY_PATTERN = /^(?:\*|[A-Za-z0-9_/=-]+)(?:\.(?:\*|[A-Za-z0-9_/=-]+))*(?:\.>)?$|^>$/;
const NAMESPACE = /^[A-Za-z0-9-]+$/;

/** Checks a subject to publish on. @throws {@link BusError} `INVALID_ARGUMENT` */
export function checkSubject(subject: string, field = "subject"): void {
  // The common case costs one test of one regular expression and one comparison.
  if (
    typeof subject === "string" &&
    subject.length <= MAX_SUBJECT_LENGTH &&
    SUBJECT.test(subject)
  ) {
    return;
  }
  refuse(field, subject, MAX_SUBJECT_LENGTH, "printable ASCII tokens joined by '.', no wildcards");
}

/** Checks a subject to subscribe to, which may have wildcards. @throws {@link BusError} `INVALID_ARGUMENT` */
export function checkSubjectPattern(pattern: string, field = "subject"): void {
  if (
    typeof pattern === "string" &&
    pattern.length <= MAX_SUBJECT_LENGTH &&
    PATTERN.test(pattern)
  ) {
    return;
  }
  refuse(
    field,
    pattern,
    MAX_SUBJECT_LENGTH,
    "printable ASCII tokens joined by '.'; a token may be '*', the last may be '>'",
  );
}

/** Checks a plain name. @throws {@link BusError} `INVALID_ARGUMENT` */
export function checkName(kind: NameKind, name: string): void {
  if (typeof name === "string" && name.length <= MAX_NAME_LENGTH && NAME.test(name)) return;
  refuse(kind, name, MAX_NAME_LENGTH, "letters, digits, '_' and '-', words joined by '.'");
}

/** Checks a key of a bucket. @throws {@link BusError} `INVALID_ARGUMENT` */
export function checkKey(key: string, field = "key"): void {
  if (typeof key === "string" && key.length <= MAX_KEY_LENGTH && KEY.test(key)) return;
  refuse(field, key, MAX_KEY_LENGTH, "letters, digits, '_', '-', '/' and '=', words joined by '.'");
}

/** Checks a pattern of keys. @throws {@link BusError} `INVALID_ARGUMENT` */
export function checkKeyPattern(pattern: string, field = "key"): void {
  if (
    typeof pattern === "string" &&
    pattern.length <= MAX_KEY_LENGTH &&
    KEY_PATTERN.test(pattern)
  ) {
    return;
  }
  refuse(
    field,
    pattern,
    MAX_KEY_LENGTH,
    "letters, digits, '_', '-', '/' and '=', words joined by '.'; a word may be '*', the last may be '>'",
  );
}

/** Checks a namespace. @throws {@link BusError} `INVALID_ARGUMENT` */
export function checkNamespace(namespace: string): void {
  if (
    typeof namespace === "string" &&
    namespace.length <= MAX_NAMESPACE_LENGTH &&
    NAMESPACE.test(namespace)
  ) {
    return;
  }
  refuse("namespace", namespace, MAX_NAMESPACE_LENGTH, "letters, digits and '-'");
}

/**
 * The namespace that a view of `parent` has: `<parent>--<name>`. No other parent makes the same one,
 * because the name does not begin with `-`.
 * @throws {@link BusError} `INVALID_ARGUMENT`
 */
export function namespaceBelow(parent: string, name: string): string {
  checkNamespace(name);
  if (name.startsWith("-")) {
    refuse("namespace", name, MAX_NAMESPACE_LENGTH, "letters, digits and '-', the first no '-'");
  }
  const namespace = `${parent}--${name}`;
  checkNamespace(namespace);
  return namespace;
}

/** Whether a namespace is `parent`, or below it: made by {@link namespaceBelow}, once or more often. */
export function isNamespaceWithin(namespace: string, parent: string): boolean {
  if (namespace === parent) return true;
  const below = `${parent}--`;
  return namespace.startsWith(below) && !/^-?$/.test(namespace.charAt(below.length));
}

function refuse(field: string, value: unknown, maxLength: number, allowed: string): never {
  throw new BusError(
    "INVALID_ARGUMENT",
    `${field} ${describe(value, maxLength)}: allowed are 1 to ${maxLength} characters, ${allowed}`,
    { details: { field, value: shorten(value), allowed, maxLength } },
  );
}

function describe(value: unknown, maxLength: number): string {
  if (typeof value !== "string") return `must be a string, got ${typeof value}`;
  if (value === "") return "must not be empty";
  if (value.length > maxLength) return `is too long (${value.length} characters)`;
  return `${JSON.stringify(value)} is not allowed`;
}

function shorten(value: unknown): unknown {
  return typeof value === "string" && value.length > 64 ? `${value.slice(0, 64)}...` : value;
}
