import { type ClaimedJob, errorCode, toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import {
  type CaseContext,
  type ConformanceCase,
  needsServerFaults,
  type Requirement,
} from "../../case.ts";
import { outcomeOf } from "../shared.ts";
import { AWAY, BACK_MS, persist, restart, restartDuring, SURVIVES, untilBack } from "./helpers.ts";

const keepsSettles: Requirement = {
  reason: 'needs capabilities.settleDurability.jobs "kept"',
  met: ({ capabilities }) => capabilities.settleDurability.jobs === "kept",
};

const mayForgetSettles: Requirement = {
  reason: 'is about capabilities.settleDurability.jobs "window"',
  met: ({ capabilities }) => capabilities.settleDurability.jobs === "window",
};

const FINISHED = 60;

/** Jobs over a kill of the server. */
export const jobFaultCases: readonly ConformanceCase[] = [
  {
    id: "FAULT-ENQUEUE-001",
    title: "every enqueue that was acknowledged is there after a kill, once",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      const { acknowledged, unclear } = await restartDuring(context, (text) =>
        bus.jobs.enqueue("q", { payload: text }, { timeoutMs: 2_000 }),
      );
      const counts = await drain(context, "q");
      const wrong = acknowledged.filter((text) => counts.get(text) !== 1);
      checkEqual(wrong, [], "acknowledged jobs that are not there once");
      for (const text of unclear) check((counts.get(text) ?? 0) <= 1, `${text} is there twice`);
    },
  },
  {
    id: "FAULT-ENQUEUE-002",
    title: "an enqueue that is repeated with its dedup key over a restart makes one job",
    contract: "faults",
    level: "L4",
    requires: [
      ...SURVIVES,
      {
        reason: 'needs capabilities.dedupDurability.jobs "kept" or "unconsumed"',
        met: ({ capabilities }) => capabilities.dedupDurability.jobs !== "none",
      },
    ],
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      const { acknowledged, unclear } = await restartDuring(context, (text) =>
        bus.jobs.enqueue("q", { payload: text, dedupKey: text }, { timeoutMs: 2_000 }),
      );
      for (const text of unclear) {
        await persist(context, "enqueue", () =>
          bus.jobs.enqueue("q", { payload: text, dedupKey: text }),
        );
      }
      const counts = await drain(context, "q");
      const wrong = [...acknowledged, ...unclear].filter((text) => counts.get(text) !== 1);
      checkEqual(wrong, [], "jobs that are not there once");
    },
  },
  {
    id: "FAULT-CLAIM-001",
    title: "a claim that waits over a restart gets a job that is enqueued after it",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      const enqueuer = await context.open();
      await enqueuer.jobs.enqueue("q", { payload: "before" });
      const [before] = await bus.jobs.claim("q", { workerId: "w" });
      await before?.ack({ confirm: true });
      const claiming = bus.jobs.claim("q", { workerId: "w", waitMs: 60_000 });
      const claimed = outcomeOf(context.clock, () => claiming);
      await restart(context);
      await persist(context, "enqueue", () =>
        enqueuer.jobs.enqueue("q", { payload: "after", dedupKey: "after" }),
      );
      const outcome = await context.within("the claim gets the job", claimed, BACK_MS);
      check(outcome.ok, `the claim rejected: ${outcome.ok ? "" : String(outcome.error)}`);
      // An ack that was forgotten gives the first job once more, which is another case's matter.
      const texts = outcome.value.map(({ payload }) => toText(payload));
      check(texts[0] === "after" || texts[0] === "before", `claimed ${texts.join()}`);
      for (const job of outcome.value) await job.ack({ confirm: true });
    },
  },
  {
    id: "FAULT-CLAIM-002",
    title: "a job in the hands of a worker over a restart is done once it says so, or comes again",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus, clock } = context;
      for (let index = 0; index < 10; index++)
        await bus.jobs.enqueue("q", { payload: `m${index}` });
      const held = await bus.jobs.claim("q", { workerId: "w", max: 10, leaseMs: 4_000 });
      checkEqual(held.length, 10, "claimed jobs");
      await restart(context);
      await untilBack(context, bus);
      const done = new Set<string>();
      for (const job of held) {
        const settling = await outcomeOf(clock, () => job.ack({ confirm: true }));
        if (settling.ok) done.add(job.id);
        else checkSettleError(settling.error);
      }
      const expected = held.filter(({ id }) => !done.has(id));
      const again = await claimAll(context, expected.length);
      const lost = expected.filter(({ id }) => !again.some((job) => job.id === id));
      checkEqual(
        lost.map(({ payload }) => toText(payload)),
        [],
        "jobs that are lost",
      );
      for (const job of again) {
        check(
          !done.has(job.id),
          `${toText(job.payload)} came again although its ack was confirmed`,
        );
        const first = held.find(({ id }) => id === job.id);
        check(!first || job.fence > first.fence, "the fence has not grown");
        await job.ack({ confirm: true });
      }
    },
  },
  {
    id: "FAULT-CLAIM-003",
    title: "a worker that beats over a restart keeps its job, or learns that it lost it",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      await bus.jobs.enqueue("q", { payload: "v" });
      const [job] = await bus.jobs.claim("q", { workerId: "w", leaseMs: 8_000 });
      check(job, "no job");
      await restart(context);
      const lost = await persist(context, "heartbeat", () =>
        job.heartbeat().then(
          () => false,
          (error: unknown) => {
            if (errorCode(error) === "LEASE_LOST") return true;
            throw error;
          },
        ),
      );
      if (lost) return;
      await untilBack(context, other);
      checkEqual(await other.jobs.claim("q", { workerId: "x" }), [], "what another one can claim");
      await job.ack({ confirm: true });
    },
  },
  {
    id: "FAULT-CLAIM-004",
    title: "jobs that nobody settled over a restart come again, with a fence that has grown",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus } = context;
      for (let index = 0; index < 10; index++)
        await bus.jobs.enqueue("q", { payload: `m${index}` });
      const held = await bus.jobs.claim("q", { workerId: "w", max: 10, leaseMs: 2_000 });
      checkEqual(held.length, 10, "claimed jobs");
      await restart(context);
      await untilBack(context, bus);
      const again = await claimAll(context, 10);
      for (const first of held) {
        const second = again.find(({ id }) => id === first.id);
        check(second, `${toText(first.payload)} is lost`);
        check(second.fence > first.fence, `fence ${second.fence} after ${first.fence}`);
        await second.ack({ confirm: true });
      }
    },
  },
  {
    id: "FAULT-CLAIM-005",
    title: "a job that is handed to another worker after a restart is lost to the one before",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus, clock } = context;
      const other = await context.open();
      for (let index = 0; index < 10; index++)
        await bus.jobs.enqueue("q", { payload: `m${index}` });
      const held = await bus.jobs.claim("q", { workerId: "w", max: 10, leaseMs: 20_000 });
      checkEqual(held.length, 10, "claimed jobs");
      await restart(context);
      await untilBack(context, other);
      await other.jobs.enqueue("q", { payload: "sentinel" });
      const claimed = await other.jobs.claim("q", { workerId: "x", max: 20, waitMs: 5_000 });
      check(
        claimed.some(({ payload }) => toText(payload) === "sentinel"),
        "a fresh job cannot be claimed",
      );
      const taken = new Set(claimed.map(({ id }) => id));
      for (const job of held) {
        if (taken.has(job.id)) {
          check(job.lease.lost.aborted, `job ${job.id} has two workers`);
          await checkCode(job.ack(), "LEASE_LOST", "an ack of the first worker");
          continue;
        }
        const settling = await outcomeOf(clock, () => job.ack({ confirm: true }));
        if (!settling.ok) checkSettleError(settling.error);
      }
    },
  },
  {
    id: "FAULT-SETTLE-004",
    title: "finished jobs whose settles are kept do not run again after a kill",
    contract: "faults",
    level: "L4",
    requires: [...SURVIVES, keepsSettles],
    timeoutMs: 90_000,
    async run(context) {
      const again = await finishAndKill(context);
      checkEqual(again, [], "finished jobs that came again");
    },
  },
  {
    id: "FAULT-SETTLE-005",
    title: "where settles may be forgotten, finished jobs come again at most, and can be finished",
    contract: "faults",
    level: "L4",
    requires: [...SURVIVES, mayForgetSettles],
    timeoutMs: 90_000,
    async run(context) {
      const again = await finishAndKill(context);
      checkEqual(new Set(again).size, again.length, "jobs that came again twice");
    },
  },
  {
    id: "FAULT-QUEUE-001",
    title: "delays, priorities, attempts and dead letters survive a kill",
    contract: "faults",
    level: "L4",
    requires: SURVIVES,
    timeoutMs: 90_000,
    async run(context) {
      const { bus, clock } = context;
      await bus.jobs.enqueue("dead", { payload: "no good", headers: { trace: "t" } });
      const [doomed] = await bus.jobs.claim("dead", { workerId: "w" });
      await doomed?.deadLetter("broken");
      for (const priority of [0, 9, 5]) {
        await bus.jobs.enqueue("q", { payload: `p${priority}`, priority });
      }
      const enqueuedAt = clock.monotonic();
      await bus.jobs.enqueue("later", { payload: "later", delayMs: 5_000 });
      await restart(context);
      await untilBack(context, bus);
      const { entries } = await bus.jobs.deadLetters.list("dead");
      const kept = entries.map(({ payload, reason, headers }) => [
        toText(payload),
        reason,
        headers,
      ]);
      checkEqual(kept, [["no good", "broken", { trace: "t" }]], "dead letters");
      const claimed = await bus.jobs.claim("q", { workerId: "w", max: 10, waitMs: 5_000 });
      checkEqual(
        claimed.map(({ payload }) => toText(payload)),
        ["p9", "p5", "p0"],
        "the order",
      );
      for (const job of claimed) await job.ack();
      const [late] = await bus.jobs.claim("later", { workerId: "w", waitMs: 20_000 });
      checkEqual(late && toText(late.payload), "later", "the delayed job");
      const waitedMs = clock.monotonic() - enqueuedAt;
      check(waitedMs >= 4_990, `the delayed job came after ${waitedMs} ms`);
      await late?.ack();
    },
  },
  {
    id: "FAULT-DEDUP-002",
    title: "dedup keys survive a kill as far as declared",
    contract: "faults",
    level: "L4",
    requires: [needsServerFaults],
    timeoutMs: 60_000,
    async run(context) {
      const { jobs, capabilities } = context.bus;
      const declared = capabilities.dedupDurability.jobs;
      const waiting = await jobs.enqueue("waiting", { payload: "v", dedupKey: "k" });
      const done = await jobs.enqueue("done", { payload: "v", dedupKey: "k" });
      const [job] = await jobs.claim("done", { workerId: "w" });
      await job?.ack({ confirm: true });
      await restart(context);
      const again = await persist(context, "enqueue", () =>
        jobs.enqueue("waiting", { payload: "v", dedupKey: "k" }),
      );
      const after = await jobs.enqueue("done", { payload: "v", dedupKey: "k" });
      if (declared === "none") return;
      checkEqual(again, { id: waiting.id, duplicate: true }, "the answer while the job is there");
      if (declared === "kept") {
        checkEqual(after, { id: done.id, duplicate: true }, "the answer when the job is done");
      }
    },
  },
];

function checkSettleError(error: unknown): void {
  const code = errorCode(error) ?? String(error);
  check([...AWAY, "LEASE_LOST"].includes(code), `a settle after a restart rejects with ${code}`);
}

/** Claims until `count` jobs have come, and whatever is ready then; none may come twice. */
async function claimAll(context: CaseContext, count: number): Promise<ClaimedJob[]> {
  const jobs = new Map<string, ClaimedJob>();
  const deadline = context.clock.monotonic() + BACK_MS;
  for (;;) {
    const waitMs = jobs.size < count ? 500 : 0;
    const options = { workerId: "again", max: 100, waitMs, leaseMs: 60_000 };
    const claimed = await context.bus.jobs.claim("q", options);
    for (const job of claimed) {
      check(!jobs.has(job.id), `${toText(job.payload)} was handed out twice within one lease`);
      jobs.set(job.id, job);
    }
    if (claimed.length > 0) continue;
    if (jobs.size >= count || context.clock.monotonic() > deadline) return [...jobs.values()];
  }
}

/** Finishes jobs with confirmation, kills at once; gives what comes again. */
async function finishAndKill(context: CaseContext): Promise<string[]> {
  const { jobs } = context.bus;
  const payloads = Array.from({ length: FINISHED }, (_, index) => ({ payload: `m${index}` }));
  await jobs.enqueueMany("q", payloads);
  const claimed = await jobs.claim("q", { workerId: "w", max: FINISHED, leaseMs: 2_000 });
  checkEqual(claimed.length, FINISHED, "claimed jobs");
  await Promise.all(claimed.map((job) => job.ack({ confirm: true })));
  await restart(context);
  await untilBack(context, context.bus);
  // Past the lease whatever was forgotten can be claimed again.
  await context.clock.sleep(2_000 + context.toleranceMs);
  await persist(context, "enqueue", () =>
    jobs.enqueue("q", { payload: "sentinel", dedupKey: "sentinel" }),
  );
  const texts: string[] = [];
  let sentinels = 0;
  while (sentinels === 0) {
    const batch = await jobs.claim("q", { workerId: "w", max: 100, waitMs: 5_000 });
    check(batch.length > 0, "the sentinel does not come");
    for (const job of batch) {
      const text = toText(job.payload);
      if (text === "sentinel") sentinels += 1;
      else texts.push(text);
      await job.ack({ confirm: true });
    }
  }
  const { ready, leased } = await jobs.stats("q");
  checkEqual([ready, leased], [0, 0], "jobs that are left");
  return texts;
}

/** Claims and finishes everything that is in a queue; how often each text came. */
async function drain(context: CaseContext, queue: string): Promise<Map<string, number>> {
  const { jobs } = context.bus;
  const counts = new Map<string, number>();
  await jobs.enqueue(queue, { payload: "sentinel" });
  for (let done = false; !done; ) {
    const batch = await jobs.claim(queue, { workerId: "w", max: 100, waitMs: 5_000 });
    check(batch.length > 0, "the sentinel does not come");
    for (const job of batch) {
      const text = toText(job.payload);
      counts.set(text, (counts.get(text) ?? 0) + 1);
      done ||= text === "sentinel";
    }
    await Promise.all(batch.map((job) => job.ack({ confirm: true })));
  }
  return counts;
}
