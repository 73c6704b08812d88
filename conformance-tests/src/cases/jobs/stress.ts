import { type Bus, type ClaimedJob, errorCode, toText } from "@busbar/core";
import { checkEqual } from "../../assert.ts";
import { type CaseContext, type ConformanceCase, needsSoundRedelivery } from "../../case.ts";
import { claimNow, deadLettersOf, EMPTY, notOnce, QUEUE, statsBecome, textsOf } from "./helpers.ts";
import { later, range } from "./timing.ts";

const JOBS = 150;
const WORKERS = 6;
const MAX_ATTEMPTS = 3;
const LEASE_MS = 250;

/** Random lives of jobs. */
export const stressCases: readonly ConformanceCase[] = [
  {
    id: "JQ-LIFE-001",
    title:
      "Whatever workers do, each job ends once, held by one worker at a time, attempts in order",
    contract: "jobs",
    level: "L3",
    requires: [needsSoundRedelivery],
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const texts = range(JOBS).map((index) => `${index}`);
      await bus.jobs.enqueueMany(
        QUEUE,
        texts.map((payload, index) => ({
          payload,
          maxAttempts: MAX_ATTEMPTS,
          priority: index % 3,
        })),
      );
      const life = new Life(context);
      let over = false;
      const worker = async (index: number): Promise<void> => {
        while (!over) await work(context, buses[index % 2] as Bus, life);
      };
      const workers = later(Promise.all(range(WORKERS).map(worker)));
      await context.until(
        "every job is done or dead",
        async () => {
          const { ready, delayed, leased } = await bus.jobs.stats(QUEUE);
          return ready + delayed + leased === 0;
        },
        20_000,
      );
      over = true;
      await workers;
      const dead = textsOf(await deadLettersOf(bus));
      checkEqual(life.problems, [], "problems");
      checkEqual(notOnce([...life.acked, ...dead]), {}, "jobs that ended not once");
      checkEqual(
        [...life.acked, ...dead].toSorted(),
        texts.toSorted(),
        "the jobs that are done or dead",
      );
      await statsBecome(context, bus, { ...EMPTY, dead: dead.length });
    },
  },
];

/** One claim, and a random end for each of its jobs. */
async function work(context: CaseContext, bus: Bus, life: Life): Promise<void> {
  const { random, clock } = context;
  const max = 1 + Math.floor(random.next() * 4);
  for (const job of await claimNow(bus, max, { leaseMs: LEASE_MS, waitMs: 20 })) {
    life.claimed(job);
    const chance = random.next();
    try {
      if (chance < 0.2) await clock.sleep(random.next() * 10);
      if (chance < 0.1) await job.heartbeat();
      // From here on it may be somebody else's, before this worker hears that it was taken back.
      if (chance < 0.85) life.settling(job);
      if (chance < 0.55) {
        await job.ack({ confirm: true });
        life.acked.push(toText(job.payload));
      } else if (chance < 0.7) {
        await job.nak();
      } else if (chance < 0.8) {
        await job.nak({ delayMs: random.next() * 30 });
      } else if (chance < 0.85) {
        await job.deadLetter("no use");
      }
      // Else it is left to its lease.
    } catch (error) {
      // A slow machine may be too late; then the job is somebody else's, and nothing happened.
      if (errorCode(error) !== "LEASE_LOST") throw error;
    }
  }
}

/** What workers saw. */
class Life {
  readonly acked: string[] = [];
  readonly problems: string[] = [];
  readonly #context: CaseContext;
  readonly #held = new Map<string, ClaimedJob>();
  readonly #last = new Map<string, ClaimedJob>();

  constructor(context: CaseContext) {
    this.#context = context;
  }

  /** Notes a hand-out. The worker before must have settled, or its lease must be over. */
  claimed(job: ClaimedJob): void {
    const before = this.#held.get(job.id);
    // Two clocks of one machine, each rounded.
    if (before && before.lease.expiresAtMs > this.#context.clock.now() + 2) {
      this.problems.push(`job ${job.id} has two workers`);
    }
    const last = this.#last.get(job.id);
    if (job.attempt !== (last?.attempt ?? 0) + 1) {
      this.problems.push(`attempt ${job.attempt} of ${job.id} comes after ${last?.attempt ?? 0}`);
    }
    if (last && job.fence <= last.fence) {
      this.problems.push(`fence ${job.fence} of ${job.id} comes after ${last.fence}`);
    }
    if (job.attempt > MAX_ATTEMPTS) this.problems.push(`attempt ${job.attempt} of ${job.id}`);
    this.#held.set(job.id, job);
    this.#last.set(job.id, job);
  }

  /** Notes that a worker is about to settle. */
  settling(job: ClaimedJob): void {
    if (this.#held.get(job.id) === job) this.#held.delete(job.id);
  }
}
