import { errorCode } from "@busbar/core";
import { checkCode, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { checkAtOnce, later, range } from "../jobs/timing.ts";
import {
  acquire,
  acquireTimed,
  BUCKET,
  checkFencesGrow,
  checkFree,
  checkHeld,
  LONG_MS,
} from "./helpers.ts";

/** Giving a lease up. */
export const releaseCases: readonly ConformanceCase[] = [
  {
    id: "LS-REL-001",
    title: "Release hands the lease over to a waiter at once, long before its time is over",
    contract: "lease",
    level: "L0",
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      for (const [holder, waiter] of [
        [bus, other],
        [bus, bus],
      ] as const) {
        const lease = await acquire(holder, LONG_MS);
        const waiting = later(acquireTimed(context, waiter, { ttlMs: LONG_MS, waitMs: LONG_MS }));
        await clock.sleep(100);
        const from = clock.monotonic();
        await lease.release();
        const next = await waiting;
        checkAtOnce(context, { from, to: next.span.to }, "the hand-over");
        checkFencesGrow([lease.fence, next.lease.fence], "fences");
        await next.lease.release();
      }
    },
  },
  {
    id: "LS-REL-002",
    title: "Release is idempotent, is the same as dispose, and does not fire lost",
    contract: "lease",
    level: "L1",
    async run({ bus }) {
      const lease = await acquire(bus, LONG_MS);
      const { lost } = lease;
      await Promise.all([lease.release(), lease.release()]);
      await lease.release();
      await lease[Symbol.asyncDispose]();
      checkEqual(lost.aborted, false, "lost");
      const disposed = await acquire(bus, LONG_MS);
      await disposed[Symbol.asyncDispose]();
      // The first holder's later calls are not the second one's.
      const second = await acquire(bus, LONG_MS);
      await lease.release();
      await disposed.release();
      await checkHeld(bus, "after a second release by the one before");
      await second.heartbeat();
    },
  },
  {
    id: "LS-REL-003",
    title: "A heartbeat after release fails with CLOSED and does not take the lease back",
    contract: "lease",
    level: "L1",
    async run({ bus }) {
      const lease = await acquire(bus, LONG_MS);
      await lease.release();
      await checkCode(lease.heartbeat(), "CLOSED", "a heartbeat after release");
      checkEqual(lease.lost.aborted, false, "lost");
      await checkFree(bus);
    },
  },
  {
    id: "LS-REL-004",
    title: "A release while a heartbeat is under way frees the lease",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      for (const _round of range(10)) {
        const lease = await acquire(bus, LONG_MS);
        const beating = later(lease.heartbeat());
        await lease.release();
        await beating.catch(() => undefined);
        await checkFree(other);
      }
    },
  },
  {
    id: "LS-REL-005",
    title: "All who wait are served one after the other as each releases",
    contract: "lease",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const lease = await acquire(bus, LONG_MS);
      const fences: number[] = [lease.fence];
      const waiting = range(8).map((index) =>
        later(
          (async () => {
            const mine = await acquire(index % 2 === 0 ? bus : other, LONG_MS, {
              waitMs: LONG_MS,
            });
            fences.push(mine.fence);
            await mine.release();
          })(),
        ),
      );
      await context.clock.sleep(50);
      const from = context.clock.monotonic();
      await lease.release();
      await Promise.all(waiting);
      const { toleranceMs } = context;
      const elapsedMs = context.clock.monotonic() - from;
      checkEqual(elapsedMs <= 8 * toleranceMs, true, `eight hand-overs took ${elapsedMs} ms`);
      checkFencesGrow(fences, "fences");
      checkEqual(fences.length, 9, "grants");
    },
  },
  {
    id: "LS-REL-006",
    title: "A bus that closes aborts `lost` of what it gives back; a release does not",
    contract: "lease",
    level: "L1",
    async run(context) {
      const other = await context.open();
      const given = await other.kv.lease(BUCKET, "given", { ttlMs: LONG_MS });
      const signals = { given: given.lost, held: (await acquire(other, LONG_MS)).lost };
      await given.release();
      await other.close({ drainMs: 0 });
      checkEqual(signals.given.aborted, false, "lost of the one that was released");
      checkEqual(signals.held.aborted, true, "lost of the one that the bus gave back");
      checkEqual(errorCode(signals.held.reason), "CLOSED", "the code of its reason");
    },
  },
];
