import type { Expected } from "../script.ts";
import type { Draft } from "./draft.ts";

const KEYS = ["k", "k.one", "k.two", "other", "x/y=1"];
const PATTERNS = [undefined, undefined, ">", "k.*", "k.>", "k", "*"];

/** A lease that is lost to its holder a tenth before its end. */
const LEASE = 1.6;
/** Somebody who waits for a lease gives up before one ends. */
const LEASE_WAIT = 0.4;
/** A lease that outlives the script. */
const LONG_LEASE = 100.45;
/** Where values have a TTL of their own, it is a second: 2.5 units. */
const KEY_TTL = 2.5;

/** One step of writing, reading or watching values. */
export function kvStep(draft: Draft): void {
  draft.dice.weighted<(draft: Draft) => void>([
    [6, write],
    [4, cas],
    [3, remove],
    [4, read],
    [1.5, keys],
    [1.5, watch],
    [3, watched],
    [0.4, unwatch],
    [1.5, race],
    [1, ensureBucket],
    [0.4, deleteBucket],
  ])(draft);
}

/** One step with a lease. */
export function leaseStep(draft: Draft): void {
  const { dice, leases } = draft;
  if (leases.length === 0 || dice.chance(0.45)) {
    const name = draft.name("lease");
    const wait = draft.mayEnd(0.3, () => dice.int(0, 2) + LEASE_WAIT);
    const owner = dice.maybe(0.7, () => `owner-${dice.int(1, 3)}`);
    leases.push(name);
    if (wait !== undefined) draft.begun.push(name);
    draft.add({
      op: "lease",
      bus: draft.bus(),
      name,
      bucket: dice.pick(draft.buckets).bucket,
      key: dice.pick(KEYS.slice(0, 2)),
      ttl: !draft.isCalm && dice.chance(0.6) ? LEASE : LONG_LEASE,
      ...(owner !== undefined && { owner }),
      ...(wait !== undefined && { wait }),
    });
    return;
  }
  const call = dice.pick(["heartbeat", "heartbeat", "release", "release", "lost"] as const);
  draft.add({ op: "leaseCall", name: dice.pick(leases), call });
}

function target(draft: Draft): {
  readonly bus: number;
  readonly bucket: string;
  readonly key: string;
} {
  const { dice } = draft;
  return { bus: draft.bus(), bucket: dice.pick(draft.buckets).bucket, key: dice.pick(KEYS) };
}

function write(draft: Draft): void {
  const { dice } = draft;
  const op = dice.chance(0.7) ? "put" : "create";
  const ttl = draft.mayEnd(0.08, () => KEY_TTL);
  const over = ttl === undefined && dice.chance(0.01);
  draft.add({
    op,
    ...target(draft),
    ...(ttl !== undefined && { ttl }),
    ...(over && { size: "over" }),
  });
}

function cas(draft: Draft): void {
  const expect = draft.dice.weighted<Expected>([
    [4, "current"],
    [2, "stale"],
    [1, "none"],
    [1, "future"],
  ]);
  draft.add({ op: "cas", ...target(draft), expect });
}

function remove(draft: Draft): void {
  const { dice } = draft;
  const expect = dice.maybe(0.5, () =>
    dice.pick<Expected>(["current", "current", "stale", "none"]),
  );
  draft.add({ op: "delete", ...target(draft), ...(expect && { expect }) });
}

function read(draft: Draft): void {
  draft.add({ op: draft.dice.chance(0.6) ? "get" : "history", ...target(draft) });
}

function keys(draft: Draft): void {
  const { dice } = draft;
  const { bus, bucket } = target(draft);
  const pattern = dice.pick(PATTERNS);
  const limit = dice.maybe(0.4, () => dice.int(1, 3));
  draft.add({
    op: "keys",
    bus,
    bucket,
    ...(pattern !== undefined && { pattern }),
    ...(limit !== undefined && { limit }),
  });
}

function watch(draft: Draft): void {
  const { dice, watches } = draft;
  if (watches.length >= 3) return watched(draft);
  const name = draft.name("watch");
  const { bus, bucket } = target(draft);
  const pattern = dice.pick(PATTERNS);
  const after = dice.maybe(0.4, () => dice.pick(["start", "last"] as const));
  watches.push(name);
  draft.add({
    op: "watch",
    bus,
    name,
    bucket,
    ...(pattern !== undefined && { pattern }),
    ...(after && { after }),
  });
}

function watched(draft: Draft): void {
  if (draft.watches.length === 0) return watch(draft);
  draft.add({ op: "watched", name: draft.dice.pick(draft.watches) });
}

function unwatch(draft: Draft): void {
  if (draft.watches.length === 0) return;
  draft.add({ op: "unwatch", name: draft.dice.pick(draft.watches) });
}

function race(draft: Draft): void {
  const { dice } = draft;
  const { bucket, key } = target(draft);
  const kind = dice.pick(["create", "cas", "cas", "delete"] as const);
  draft.add({ op: "race", kind, bucket, key, writers: dice.int(2, 5) });
}

function ensureBucket(draft: Draft): void {
  const { dice } = draft;
  const plan = dice.pick(draft.buckets);
  const history = dice.chance(0.3) ? dice.int(1, 4) : plan.history;
  draft.add({
    op: "ensureBucket",
    bus: draft.bus(),
    bucket: plan.bucket,
    ...(history !== undefined && { history }),
    ...(plan.ttl !== undefined && { ttl: plan.ttl }),
  });
}

function deleteBucket(draft: Draft): void {
  const { bus, bucket } = target(draft);
  draft.add({ op: "deleteBucket", bus, bucket });
}
