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
      checkEqual(life.problems(), [], "problems");
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
  const jobs = await claimNow(bus, max, { leaseMs: LEASE_MS, waitMs: 20 });
  const held = jobs.map((job) => life.claimed(job));
  for (const [index, job] of jobs.entries()) {
    const holding = held[index] as Holding;
    const chance = random.next();
    try {
      if (chance < 0.2) await clock.sleep(random.next() * 10);
      if (chance < 0.1) {
        await job.heartbeat();
        holding.endsAtMs = job.lease.expiresAtMs;
      }
      // From here on it may be somebody else's, before this worker hears that it was taken back.
      if (chance < 0.85) holding.endsAtMs = Math.min(holding.endsAtMs, clock.now());
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

/** One hand-out of a job. */
interface Holding {
  readonly attempt: number;
  readonly fence: number;
  readonly fromMs: number;
  /** When the worker settles it, or its lease is over. */
  endsAtMs: number;
}

/**
 * What workers saw. It is judged when all is over: on a slow machine a claim may return with a job whose
 * lease is over, after somebody else got the job.
 */
class Life {
  readonly acked: string[] = [];
  readonly #context: CaseContext;
  readonly #holdings = new Map<string, Holding[]>();

  constructor(context: CaseContext) {
    this.#context = context;
  }

  /** Notes a hand-out. */
  claimed({ id, attempt, fence, lease }: ClaimedJob): Holding {
    const fromMs = this.#context.clock.now();
    const holding = { attempt, fence, fromMs, endsAtMs: lease.expiresAtMs };
    this.#holdings.set(id, [...(this.#holdings.get(id) ?? []), holding]);
    return holding;
  }

  /** What must not be. */
  problems(): string[] {
    return [...this.#holdings].flatMap(([id, holdings]) => [...problemsOf(id, holdings)]);
  }
}

function* problemsOf(id: string, holdings: readonly Holding[]): Generator<string> {
  let last: Holding | undefined;
  for (const holding of holdings.toSorted((a, b) => a.attempt - b.attempt)) {
    const { attempt, fence, fromMs } = holding;
    if (attempt !== (last?.attempt ?? 0) + 1) {
      yield `attempt ${attempt} of ${id} comes after ${last?.attempt ?? 0}`;
    }
    if (last && fence <= last.fence) yield `fence ${fence} of ${id} comes after ${last.fence}`;
    // Two clocks of one machine, each rounded.
    if (last && last.endsAtMs > fromMs + 2) yield `job ${id} has two workers`;
    if (attempt > MAX_ATTEMPTS) yield `attempt ${attempt} of ${id}`;
    last = holding;
  }
}
