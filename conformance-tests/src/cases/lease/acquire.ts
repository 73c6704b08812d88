import { check, checkCode, checkEqual, checkOptionRefused, checkRange } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { brief, takeInitial, takeUntilKey } from "../kv/helpers.ts";
import { checkAtOnce, checkDue, later, timed } from "../jobs/timing.ts";
import { acquire, acquireTimed, BUCKET, checkFree, checkHeld, KEY, LONG_MS } from "./helpers.ts";

/** Taking a lease, and not getting it. */
export const acquireCases: readonly ConformanceCase[] = [
  {
    id: "LS-ACQ-001",
    title: "A free lease is granted with key, owner, fence and the time until when it stands",
    contract: "lease",
    level: "L0",
    async run(context) {
      const { bus, clock } = context;
      const sentAt = clock.now();
      const lease = await acquire(bus, 10_000, { owner: "worker-1" });
      checkEqual(lease.key, KEY, "key");
      checkEqual(lease.owner, "worker-1", "owner");
      check(Number.isSafeInteger(lease.fence) && lease.fence > 0, `the fence is ${lease.fence}`);
      checkEqual(lease.lost.aborted, false, "lost");
      // A holder may keep a margin, but not most of the lease.
      checkRange(lease.expiresAtMs, sentAt + 7_500, clock.now() + 10_000, "expiresAtMs");
      await lease.release();
    },
  },
  {
    id: "LS-ACQ-002",
    title: "A held lease is refused at once with LEASE_HELD and the holder's name",
    contract: "lease",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const lease = await acquire(bus, LONG_MS, { owner: "first" });
      for (const one of [bus, other]) {
        const { value: error, span } = await timed(context.clock, () =>
          checkCode(acquire(one, LONG_MS, { owner: "second" }), "LEASE_HELD", "a second holder"),
        );
        checkAtOnce(context, span, "the refusal");
        checkEqual(error.details.owner, "first", "details.owner");
        checkEqual(error.retryable, true, "retryable");
      }
      checkEqual(lease.lost.aborted, false, "lost");
      await lease.heartbeat();
    },
  },
  {
    id: "LS-ACQ-003",
    title: "The same owner is no exception, and without a name everybody is somebody else",
    contract: "lease",
    level: "L1",
    async run({ bus }) {
      const named = await acquire(bus, LONG_MS, { owner: "same" });
      await checkCode(acquire(bus, LONG_MS, { owner: "same" }), "LEASE_HELD", "the same owner");
      await named.release();
      const first = await acquire(bus, LONG_MS);
      await first.release();
      const second = await acquire(bus, LONG_MS);
      check(first.owner !== "" && first.owner !== second.owner, "the default names are equal");
    },
  },
  {
    id: "LS-ACQ-004",
    title: "Leases on other keys, and on the same key of other buckets, are independent",
    contract: "lease",
    level: "L1",
    async run({ bus }) {
      const places = [
        [BUCKET, "a"],
        [BUCKET, "b"],
        [BUCKET, "a.b"],
        [BUCKET, "a/b"],
        ["other", "a"],
        ["locks.a", "b"],
        ["locks_a", "b"],
      ] as const;
      const leases = [];
      for (const [bucket, key] of places) {
        leases.push(await bus.kv.lease(bucket, key, { ttlMs: LONG_MS }));
      }
      await leases[0]?.release();
      for (const [bucket, key] of places.slice(1)) {
        await checkCode(
          bus.kv.lease(bucket, key, { ttlMs: LONG_MS }),
          "LEASE_HELD",
          `${key} of ${bucket}`,
        );
      }
    },
  },
  {
    id: "LS-ACQ-005",
    title: "A ttlMs below 50, and an owner that is no plain name, are refused",
    contract: "lease",
    level: "L1",
    async run({ bus }) {
      for (const ttlMs of [0, 10, 49, -1, Number.NaN]) {
        await checkOptionRefused(() => acquire(bus, ttlMs), "ttlMs");
      }
      await checkOptionRefused(() => acquire(bus, 1_000, { waitMs: -1 }), "waitMs");
      for (const owner of ["", "two words", "a*", "x".repeat(129)]) {
        await checkCode(() => acquire(bus, 1_000, { owner }), "INVALID_ARGUMENT", `owner ${owner}`);
      }
      await checkFree(bus);
    },
  },
  {
    id: "LS-ACQ-006",
    title: "A value and a lease of one key do not touch each other",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const watch = await bus.kv.watch(BUCKET);
      checkEqual(await takeInitial(context, watch), [], "initial values");
      const lease = await acquire(bus, LONG_MS);
      checkEqual(await bus.kv.get(BUCKET, KEY), undefined, "the value of a leased key");
      checkEqual((await bus.kv.keys(BUCKET)).keys, [], "the keys");
      checkEqual(await bus.kv.history(BUCKET, KEY), [], "the history");
      const revision = await bus.kv.create(BUCKET, KEY, "1");
      await lease.heartbeat();
      await bus.kv.cas(BUCKET, KEY, "2", revision);
      checkEqual((await bus.kv.keys(BUCKET)).keys, [KEY], "the keys with a value");
      await bus.kv.delete(BUCKET, KEY);
      await checkHeld(bus, "after the value was deleted");
      await lease.heartbeat();
      await bus.kv.put(BUCKET, KEY, "3");
      const kept = await bus.kv.get(BUCKET, KEY);
      await lease.release();
      const after = await bus.kv.get(BUCKET, KEY);
      checkEqual(after?.revision, kept?.revision, "the revision after the release");
      await bus.kv.put(BUCKET, "end", "");
      const seen = (await takeUntilKey(context, watch, "end")).map(brief);
      const foreign = seen.filter((text) => !/^(?:put leader=[123]|delete leader)$/.test(text));
      checkEqual(foreign, [], "events that are none of a value");
      const [past] = await bus.kv.history(BUCKET, KEY);
      checkEqual(past && brief(past), `put ${KEY}=3`, "the history");
    },
  },
  {
    id: "LS-ACQ-007",
    title: "Who waits in vain gets LEASE_HELD when waitMs is over, not before",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const lease = await acquire(bus, LONG_MS, { owner: "holder" });
      const from = context.clock.monotonic();
      const error = await checkCode(
        acquire(other, LONG_MS, { waitMs: 300 }),
        "LEASE_HELD",
        "waiting",
      );
      checkDue(context, { from, to: from }, 300, "the end of the wait");
      checkEqual(error.details.owner, "holder", "details.owner");
      await lease.release();
      await checkFree(bus);
    },
  },
  {
    id: "LS-ACQ-008",
    title: "Giving up while waiting rejects with the signal's reason and leaves no ghost",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const lease = await acquire(bus, LONG_MS);
      const control = new AbortController();
      const reason = new Error("changed my mind");
      const waiting = later(
        acquire(other, LONG_MS, { waitMs: LONG_MS, signal: control.signal }).catch(
          (error: unknown) => error,
        ),
      );
      await context.clock.sleep(50);
      const { value, span } = await timed(context.clock, () => {
        control.abort(reason);
        return waiting;
      });
      check(value === reason, `the waiter got ${String(value)}`);
      checkAtOnce(context, span, "the end of the wait");
      checkEqual(lease.lost.aborted, false, "lost");
      await lease.release();
      // Somebody who had got it in secret would hold it for a minute.
      for (const one of [bus, other, bus]) await checkFree(one);
    },
  },
  {
    id: "LS-ACQ-009",
    title: "A signal that was aborted before refuses at once; one aborted later releases nothing",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const reason = new Error("too late");
      const refused = await acquire(bus, LONG_MS, { signal: AbortSignal.abort(reason) }).catch(
        (error: unknown) => error,
      );
      check(refused === reason, `the caller got ${String(refused)}`);
      const control = new AbortController();
      const { lease } = await acquireTimed(context, bus, {
        ttlMs: LONG_MS,
        signal: control.signal,
      });
      control.abort(reason);
      await lease.heartbeat();
      checkEqual(lease.lost.aborted, false, "lost");
      await checkHeld(bus, "after the abort");
    },
  },
];
