import { errorCode, type Lease, toText } from "@busbar/core";
import { check, checkCode, checkEqual, iteratorOf } from "../../assert.ts";
import { type CaseContext, type ConformanceCase, needsServerFaults } from "../../case.ts";
import { deferred, ignore, outcomeOf } from "../shared.ts";
import {
  BACK_MS,
  checkAway,
  persist,
  restart,
  restartDuring,
  SURVIVES,
  untilBack,
} from "./helpers.ts";

/** Values, watches and leases over a kill of the server. */
export const valueFaultCases: readonly ConformanceCase[] = [
  {
    id: "FAULT-KV-001",
    title:
      "values, revisions, histories and deletes survive a kill; stale revisions still conflict",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 60_000,
    async run(context) {
      const { kv } = context.bus;
      await kv.ensureBucket("b", { history: 3 });
      for (let index = 0; index < 20; index++) await kv.put("b", `k${index}`, `${index}`);
      const first = await kv.put("b", "changed", "first");
      const second = await kv.put("b", "changed", "second");
      await kv.delete("b", "k7");
      await restart(context);
      await untilBack(context, context.bus);
      const entry = await kv.get("b", "changed");
      checkEqual([entry?.revision, entry && toText(entry.value)], [second, "second"], "the value");
      const revisions = (await kv.history("b", "changed")).map(({ revision }) => revision);
      checkEqual(revisions, [first, second], "the history");
      checkEqual(await kv.get("b", "k7"), undefined, "the deleted value");
      checkEqual((await kv.keys("b")).keys.length, 20, "how many keys there are");
      await checkCode(kv.cas("b", "changed", "x", first), "CONFLICT", "a stale revision");
      const third = await kv.cas("b", "changed", "third", second);
      check(third > second, `revision ${third} after ${second}`);
      // The bucket is known with its options.
      await kv.ensureBucket("b", { history: 3 });
    },
  },
  {
    id: "FAULT-KV-002",
    title: "every put that was acknowledged is there after a kill",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { kv } = context.bus;
      const { acknowledged } = await restartDuring(context, (text) => kv.put("b", text, text));
      const keys: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await kv.keys("b", after === undefined ? {} : { after });
        keys.push(...page.keys);
        after = page.next;
        if (after === undefined) break;
      }
      const there = new Set(keys);
      checkEqual(
        acknowledged.filter((text) => !there.has(text)),
        [],
        "keys that are lost",
      );
    },
  },
  {
    id: "FAULT-KV-003",
    title: "a watch goes on over a restart in the middle of writes, with no gap and in order",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const writer = await context.open();
      await context.bus.kv.put("b", "before", "v");
      const watch = await context.bus.kv.watch("b");
      const revisions: number[] = [];
      const seen = new Set<string>();
      void (async () => {
        const iterator = iteratorOf(watch);
        for (;;) {
          const { done, value } = await iterator.next();
          if (done) return;
          if (value.type === "initialDone") continue;
          revisions.push(value.revision);
          seen.add(value.key);
        }
      })();
      const { acknowledged } = await restartDuring(context, (text) =>
        writer.kv.put("b", text, text),
      );
      await context.until(
        "the watch has seen every key",
        () => acknowledged.every((text) => seen.has(text)),
        BACK_MS,
      );
      const disorder = revisions.findIndex(
        (revision, index) => revision <= (revisions[index - 1] ?? 0),
      );
      checkEqual(disorder, -1, "where the revisions do not grow");
    },
  },
  {
    id: "FAULT-KV-004",
    title: "a counter that several writers raise by cas is exact over a restart",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { kv } = context.bus;
      await kv.put("b", "n", "0");
      let unclear = 0;
      const raise = async (): Promise<void> => {
        for (;;) {
          const entry = await kv.get("b", "n");
          const next = Number(toText(entry?.value ?? new Uint8Array())) + 1;
          const outcome = await outcomeOf(context.clock, () =>
            kv.cas("b", "n", String(next), entry?.revision ?? 0),
          );
          if (outcome.ok) return;
          if (errorCode(outcome.error) === "CONFLICT") continue;
          // It may have been written all the same.
          unclear += 1;
          throw outcome.error;
        }
      };
      const { acknowledged } = await restartDuring(context, raise);
      const entry = await kv.get("b", "n");
      const total = Number(toText(entry?.value ?? new Uint8Array()));
      check(
        total >= acknowledged.length && total <= acknowledged.length + unclear,
        `the counter is ${total}, ${acknowledged.length} were acknowledged, ${unclear} unclear`,
      );
    },
  },
  {
    id: "FAULT-LEASE-001",
    title: "a holder that beats over a restart keeps its lease or learns of its end before others",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const held = await bus.kv.lease("b", "k", { ttlMs: 8_000 });
      const stop = keepBeating(context, held);
      await restart(context);
      await untilBack(context, other);
      await context.until(
        "a heartbeat is confirmed, or the lease is lost",
        async () => held.lost.aborted || (await outcomeOf(clock, () => held.heartbeat())).ok,
        BACK_MS,
      );
      const attempt = await outcomeOf(clock, () => other.kv.lease("b", "k", { ttlMs: 1_000 }));
      if (attempt.ok) {
        check(held.lost.aborted, "two hold the lease");
        check(attempt.value.fence > held.fence, "the fence has not grown");
        stop();
        return;
      }
      checkEqual(errorCode(attempt.error), "LEASE_HELD", "the code while it is held");
      stop();
      await persist(context, "release", () => held.release());
      const next = await other.kv.lease("b", "k", { ttlMs: 1_000, waitMs: 10_000 });
      check(next.fence > held.fence, "the fence has not grown");
    },
  },
  {
    id: "FAULT-LEASE-002",
    title: "a lease whose server stays away longer than its TTL is lost before the TTL is over",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus, clock } = context;
      const ttlMs = 2_000;
      const startedAt = clock.monotonic();
      const held = await bus.kv.lease("b", "k", { ttlMs });
      const grantedAt = clock.monotonic();
      const lost = deferred<number>();
      held.lost.addEventListener("abort", () => lost.resolve(clock.monotonic()));
      await context.faults.kill();
      const stop = keepBeating(context, held);
      const lostAt = await context.within("lost", lost.promise, ttlMs + 3_000);
      stop();
      const afterMs = lostAt - startedAt;
      const latestMs = ttlMs + (grantedAt - startedAt);
      check(afterMs <= latestMs, `lost after ${afterMs} ms, its TTL is ${ttlMs}`);
      checkEqual(errorCode(held.lost.reason), "LEASE_LOST", "the code of the reason");
      await checkCode(held.heartbeat(), "LEASE_LOST", "a heartbeat afterwards");
      await context.faults.start();
      const next = await persist(context, "lease", () =>
        bus.kv.lease("b", "k", { ttlMs: 1_000, waitMs: 10_000 }),
      );
      check(next.fence > held.fence, "the fence has not grown");
    },
  },
  {
    id: "FAULT-LEASE-003",
    title: "who waits for a lease over a restart gets it when it is released",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      const held = await bus.kv.lease("b", "k", { ttlMs: 20_000 });
      const waiting = outcomeOf(clock, () =>
        other.kv.lease("b", "k", { ttlMs: 5_000, waitMs: 60_000 }),
      );
      await restart(context);
      await persist(context, "heartbeat", () => held.heartbeat());
      await held.release();
      const outcome = await context.within("the lease", waiting, BACK_MS);
      if (!outcome.ok) {
        checkAway(outcome.error, "the wait");
        return;
      }
      check(outcome.value.fence > held.fence, "the fence has not grown");
    },
  },
  {
    id: "FAULT-LEASE-004",
    title: "fences grow over a restart, also when nobody held the lease",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 60_000,
    async run(context) {
      const { kv } = context.bus;
      const fences: number[] = [];
      for (let round = 0; round < 3; round++) {
        if (round > 0) await restart(context);
        const lease = await persist(context, "lease", () =>
          kv.lease("b", "k", { ttlMs: 3_000, waitMs: 10_000 }),
        );
        fences.push(lease.fence);
        await lease.release();
      }
      const grown = fences.every((fence, index) => fence > (fences[index - 1] ?? -1));
      check(grown, `the fences are ${fences.join()}`);
    },
  },
  {
    id: "FAULT-KV-005",
    title: "a bucket can be used again after a restart, whatever became of its values",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 60_000,
    async run(context) {
      const { kv } = context.bus;
      await kv.put("b", "k", "before");
      await restart(context);
      await persist(context, "put", () => kv.put("b", "k", "after"));
      const entry = await kv.get("b", "k");
      checkEqual(entry && toText(entry.value), "after", "the value");
    },
  },
];

/** Beats every 200 ms, whatever comes of it, until the result is called. */
function keepBeating(context: CaseContext, lease: Lease): () => void {
  const controller = new AbortController();
  const beat = async (): Promise<void> => {
    for (;;) {
      void lease.heartbeat().catch(ignore);
      await context.clock.sleep(200, { signal: controller.signal });
    }
  };
  void beat().catch(ignore);
  context.defer(() => controller.abort());
  return () => controller.abort();
}
