// What is allowed as a name and what is not: the table in core's names.ts, spelled out.

/** Refused wherever a name, a key or a subject stands. */
const BAD_ANYWHERE: readonly unknown[] = [
  "",
  " ",
  "a b",
  " a",
  "a ",
  "a\tb",
  "a\nb",
  "a\r\nPUB x 0\r\n",
  "a\u0000b",
  "a\u0007",
  "a\u007f",
  "a\u00a0b",
  "\ufeffa",
  ".",
  "..",
  ".a",
  "a.",
  "a..b",
  "../x",
  "größe",
  "名前",
  "a😀",
  "\ud800",
  undefined,
  null,
  42,
  {},
  ["a"],
];

const BAD_WILDCARDS: readonly string[] = ["*", ">", "a.*", "a.>", "a.*.b", "a*", "*a", "a>", ">a"];

/** Not a subject to publish on. */
export const BAD_SUBJECTS: readonly unknown[] = [
  ...BAD_ANYWHERE,
  ...BAD_WILDCARDS,
  "s".repeat(257),
  `${"a.".repeat(128)}a`,
];

/** Not a pattern of subjects. */
export const BAD_PATTERNS: readonly unknown[] = [
  ...BAD_ANYWHERE,
  "a.>.b",
  ">.a",
  "a.**",
  "a*",
  "*a",
  "a.b>",
  "a.>b",
  ".>",
  "*.",
  "a..*",
  "s".repeat(257),
];

/** Not a name of a queue, bucket, durable, group, worker or owner. */
export const BAD_NAMES: readonly unknown[] = [
  ...BAD_ANYWHERE,
  ...BAD_WILDCARDS,
  "a/b",
  "a\\b",
  "a=b",
  "a:b",
  "a@b",
  "a,b",
  "a#b",
  "a%b",
  "$JS.API.STREAM.NAMES",
  "$KV",
  "n".repeat(129),
];

/** Not a key. */
export const BAD_KEYS: readonly unknown[] = [
  ...BAD_ANYWHERE,
  ...BAD_WILDCARDS,
  "a\\b",
  "a:b",
  "a@b",
  "a,b",
  "a#b",
  "a%b",
  "$KV.b.k",
  "k".repeat(257),
];

/** Not a pattern of keys. */
export const BAD_KEY_PATTERNS: readonly unknown[] = [
  ...BAD_ANYWHERE,
  "a.>.b",
  ">.a",
  "a*",
  "*a",
  "a.b>",
  "a:b",
  "$KV.>",
  "k".repeat(257),
];

/** Not a namespace. */
export const BAD_NAMESPACES: readonly string[] = [
  "",
  "a.b",
  "a_b",
  "a b",
  "a*",
  ">",
  "ä",
  "a\n",
  "n".repeat(65),
];

/** Subjects that are allowed, however odd; some look like a server's own. */
export const GOOD_SUBJECTS: readonly string[] = [
  "a",
  "A",
  "a.b.c",
  "$JS.API.STREAM.NAMES",
  "$JS.API.INFO",
  "$SYS.REQ.SERVER.PING",
  "$KV.b.k",
  "_INBOX.abc",
  "_R_.x",
  "deadletters",
  "jobs.q",
  "a/b",
  "-",
  "_",
  "x=1",
  "a:b",
  "back\\slash",
  "\"quoted\".'single'",
  "{}.[].()",
  "~!@#%^&+,;?`|",
  "s".repeat(256),
  `${"a.".repeat(127)}a`,
];

/** Names that are allowed; every one must be kept apart from all others. */
export const GOOD_NAMES: readonly string[] = [
  "a",
  "A",
  "a.b",
  "a_b",
  "a-b",
  "a.b.c",
  "a__b",
  "a_2Eb",
  "a-2eb",
  "0",
  "-",
  "_",
  "_INBOX",
  "KV",
  "default",
  "dead",
  "__proto__",
  "constructor",
  "toString",
  "n".repeat(128),
  `${"n".repeat(127)}N`,
  `${"n.".repeat(63)}nn`,
];

/** Keys that are allowed; every one must be kept apart from all others. */
export const GOOD_KEYS: readonly string[] = [
  ...GOOD_NAMES,
  "/",
  "=",
  "a/b",
  "a=b",
  "a/b=c.d",
  "-a",
  "k".repeat(256),
  `${"k".repeat(255)}K`,
];

/** Not a message id and not a dedup key. */
export const BAD_IDS: readonly unknown[] = [
  "",
  " ",
  "a b",
  "a\r\nb",
  "a\tb",
  "ä",
  "i".repeat(257),
  42,
  null,
];

/** Allowed ids. */
export const GOOD_IDS: readonly string[] = ["a", "A", "~!@#$%^&*()_+", "a.b>c*", "i".repeat(256)];

/** A name in a message of the suite. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 40 ? `${text.slice(0, 40)}... (${text.length})` : text;
}
