import fc from "fast-check";

/** Consumers of the property test, with how many messages a program may have of each. */
export const DURABLES = {
  all: { subject: ">", room: 3 },
  one: { subject: "s.a", room: 2 },
} as const;
export type Durable = keyof typeof DURABLES;
export const durables = Object.keys(DURABLES) as Durable[];
export const KEYS = ["k", "l", "m"] as const;
/** How far back the server can lose something. */
export const UNSYNCED_MS = 4_000;

const index = fc.nat({ max: 40 });
const id = fc.option(fc.constantFrom("x", "y"), { nil: undefined, freq: 3 });
const windowMs = fc.constantFrom(0, 1, 700, 1_600, UNSYNCED_MS);
const delayMs = fc.constantFrom(0, 0, 900);
const key = fc.constantFrom(...KEYS);
const byMs = fc.constantFrom(1, 300, 700, 2_000);

const publish = fc.record({
  do: fc.constant("publish"),
  subject: fc.constantFrom("s.a", "s.b"),
  id,
});
const take = fc.record({ do: fc.constant("take"), durable: fc.constantFrom(...durables) });
const settle = fc.record({
  do: fc.constant("settle"),
  index,
  how: fc.constantFrom("ack", "term", "nak"),
  delayMs,
});
const enqueue = fc.record({
  do: fc.constant("enqueue"),
  id,
  delayMs,
  priority: fc.constantFrom(3, 5),
});
const claim = fc.record({ do: fc.constant("claim"), max: fc.integer({ min: 1, max: 3 }) });
const end = fc.record({
  do: fc.constant("end"),
  index,
  how: fc.constantFrom("ack", "ack", "nak", "die"),
  delayMs,
});
const replay = fc.record({ do: fc.constant("replay"), index });
const put = fc.record({ do: fc.constant("put"), key, ttlMs: fc.constantFrom(0, 0, 500, 3_000) });
const create = fc.record({ do: fc.constant("create"), key });
const remove = fc.record({ do: fc.constant("remove"), key });
const advance = fc.record({ do: fc.constant("advance"), byMs });
const crash = fc.record({ do: fc.constant("crash"), settlesMs: windowMs, writesMs: windowMs });
const clear = fc.record({ do: fc.constantFrom("purge", "deleteBucket") });

/** One thing that a program, the time or the server does. */
export const step = fc.oneof(
  fc.oneof(publish, take, take, settle, settle),
  fc.oneof(enqueue, claim, claim, end, end),
  fc.oneof(put, put, create, remove, clear, replay),
  fc.oneof(advance, advance, crash),
);
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
