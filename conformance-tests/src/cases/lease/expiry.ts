import { errorCode } from "@busbar/core";
import { check, checkCode, checkEqual, checkRange } from "../../assert.ts";
import { type ConformanceCase, needsVirtualTime, type Requirement } from "../../case.ts";
import { checkDue, later, lateness, range, timed } from "../jobs/timing.ts";
import { acquire, acquireTimed, checkFree, checkHeld, LONG_MS } from "./helpers.ts";

const TTL_MS = 400;

const needsRealTime: Requirement = {
  reason: "needs the machine's clock: it blocks the process",
  met: ({ harness }) => harness.time === undefined,
};

/** How a lease ends without release. */
export const expiryCases: readonly ConformanceCase[] = [
  {
    id: "LS-EXP-001",
    title: "Without a heartbeat the lease is free after its ttlMs, not before",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const { lease, span } = await acquireTimed(context, bus, { ttlMs: TTL_MS });
      const next = await acquire(other, LONG_MS, { waitMs: LONG_MS });
      checkDue(context, span, TTL_MS, "the hand-over");
      checkEqual(lease.lost.aborted, true, "lost of the first holder");
      check(next.fence > lease.fence, `fence ${next.fence} comes after ${lease.fence}`);
    },
  },
  {
    id: "LS-EXP-002",
    title: "Who does not wait gets it after the time too, though nobody watched it end",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      await acquire(bus, TTL_MS);
      await checkHeld(other, "right after the grant");
      await clock.sleep(TTL_MS + lateness(context));
      const third = await context.open();
      await checkFree(third);
    },
  },
  {
    id: "LS-EXP-003",
    title: "Heartbeats keep a lease far beyond its ttlMs; the last one counts for its end",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const ttlMs = 800;
      const lease = await acquire(bus, ttlMs);
      const waiting = later(acquireTimed(context, other, { ttlMs: LONG_MS, waitMs: LONG_MS }));
      let last = { from: clock.monotonic(), to: clock.monotonic() };
      for (const _beat of range(12)) {
        await clock.sleep(200);
        const before = lease.expiresAtMs;
        const beat = await timed(clock, () => lease.heartbeat());
        last = beat.span;
        check(lease.expiresAtMs >= before, "a heartbeat made the lease shorter");
        checkRange(lease.expiresAtMs - clock.now(), ttlMs / 2, ttlMs, "the time that is left");
      }
      checkEqual(lease.lost.aborted, false, "lost");
      const next = await waiting;
      checkDue(context, last, ttlMs, "the hand-over after the last heartbeat");
      check(next.lease.fence > lease.fence, "the fence did not grow");
    },
  },
  {
    id: "LS-EXP-004",
    title: "A heartbeat after the end fails with LEASE_LOST, whether somebody else has it or not",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const lease = await acquire(bus, TTL_MS);
      await clock.sleep(TTL_MS + lateness(context));
      await checkCode(lease.heartbeat(), "LEASE_LOST", "a heartbeat while it is free");
      const next = await acquire(other, LONG_MS);
      await checkCode(lease.heartbeat(), "LEASE_LOST", "a heartbeat while another one has it");
      // Nothing of the first holder touches the second one.
      await lease.release();
      await checkHeld(bus, "after the release by the first holder");
      await next.heartbeat();
      checkEqual(next.lost.aborted, false, "lost of the second holder");
    },
  },
  {
    id: "LS-EXP-005",
    title:
      "lost fires before the time is over by the holder's clock, and before anybody else has it",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const ttlMs = 1_000;
      const { lease, span } = await acquireTimed(context, bus, { ttlMs });
      let lostAt: number | undefined;
      lease.lost.addEventListener("abort", () => {
        lostAt = clock.monotonic();
      });
      await acquire(other, LONG_MS, { waitMs: LONG_MS });
      check(lostAt !== undefined, "somebody else has the lease, and lost did not fire");
      // A machine that is busy may run timers late; `lost`, when it is read, is never late.
      const latestMs = context.virtual ? ttlMs : ttlMs + context.toleranceMs;
      checkRange(lostAt - span.from, ttlMs / 2, latestMs, "when lost fired, in milliseconds");
      checkEqual(errorCode(lease.lost.reason), "LEASE_LOST", "the reason");
    },
  },
  {
    id: "LS-EXP-006",
    title: "A ttlMs of 100 is a tenth of a second, for holder and waiter",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      for (const waiter of [other, bus]) {
        const { lease, span } = await acquireTimed(context, bus, { ttlMs: 100 });
        const next = await acquire(waiter, LONG_MS, { waitMs: LONG_MS });
        checkDue(context, span, 100, "the hand-over");
        checkEqual(lease.lost.aborted, true, "lost");
        await next.release();
      }
    },
  },
  {
    id: "LS-EXP-007",
    title: "A holder whose process stood still finds the lease lost before any timer has run",
    contract: "lease",
    level: "L2",
    requires: [needsRealTime],
    async run({ bus, clock }) {
      const { value: lease, span } = await timed(clock, () => acquire(bus, 100));
      const { lost } = lease;
      while (clock.monotonic() < span.to + 100) {
        // The process stands still.
      }
      checkEqual(lease.lost.aborted, true, "lost, read in the same turn");
      checkEqual(lost.aborted, true, "the signal that was read before");
      await checkCode(lease.heartbeat(), "LEASE_LOST", "a heartbeat");
    },
  },
  {
    id: "LS-EXP-008",
    title: "A lease of an hour stands for an hour, and with heartbeats for half a day",
    contract: "lease",
    level: "L2",
    requires: [needsVirtualTime],
    timeoutMs: 80_000_000,
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const hourMs = 3_600_000;
      const lease = await acquire(bus, hourMs);
      for (const _beat of range(24)) {
        await clock.sleep(hourMs / 2);
        await checkHeld(other, "between two heartbeats");
        await lease.heartbeat();
      }
      const from = clock.monotonic();
      await acquire(other, hourMs, { waitMs: 2 * hourMs });
      checkDue(context, { from, to: from }, hourMs, "the hand-over");
      checkEqual(lease.lost.aborted, true, "lost");
    },
  },
];
