import {
  type Bus,
  type ClaimedJob,
  type ClaimOptions,
  type DeadLetter,
  type EnqueueResult,
  type Job,
  type QueueStats,
  toText,
} from "@busbar/core";
import { check, checkEqual } from "../../assert.ts";
import type { CaseContext } from "../../case.ts";
import { bounded, lateness, type Span, timed } from "./timing.ts";

/** The queue of most cases. */
export const QUEUE = "mail";
/** A lease that no case outlasts. */
export const LONG_MS = 60_000;
/** A queue with nothing in it. */
export const EMPTY: QueueStats = { ready: 0, delayed: 0, leased: 0, dead: 0, paused: false };

/** Options of a claim without what the helpers set. */
export type Claiming = Partial<Omit<ClaimOptions, "max">>;

/** Enqueues one job for each text, one after the other. */
export async function enqueueTexts(
  bus: Bus,
  texts: readonly string[],
  job: Partial<Omit<Job, "payload">> = {},
  queue: string = QUEUE,
): Promise<EnqueueResult[]> {
  const results: EnqueueResult[] = [];
  for (const text of texts) results.push(await bus.jobs.enqueue(queue, { ...job, payload: text }));
  return results;
}

/** Takes one job; waits for it, but not for ever. */
export async function claimOne(
  bus: Bus,
  options: Claiming = {},
  queue: string = QUEUE,
): Promise<ClaimedJob> {
  const jobs = await bus.jobs.claim(queue, {
    workerId: "worker",
    leaseMs: LONG_MS,
    waitMs: 10_000,
    ...options,
  });
  const [job] = jobs;
  check(job, "no job was handed out");
  checkEqual(jobs.length, 1, "jobs of a claim of one");
  return job;
}

/** Takes one job and tells when: its lease began between the call and the answer. */
export async function claimTimed(
  context: CaseContext,
  bus: Bus,
  options: Claiming = {},
): Promise<{ readonly job: ClaimedJob; readonly span: Span }> {
  const { value, span } = await timed(context.clock, () => claimOne(bus, options));
  return { job: value, span };
}

/** Takes what is ready now. */
export function claimNow(
  bus: Bus,
  max: number = 100,
  options: Claiming = {},
  queue: string = QUEUE,
): Promise<ClaimedJob[]> {
  return bus.jobs.claim(queue, { workerId: "worker", leaseMs: LONG_MS, ...options, max });
}

/** Fails if anything can be claimed. */
export async function checkNothing(bus: Bus, what: string, queue: string = QUEUE): Promise<void> {
  checkEqual(textsOf(await claimNow(bus, 100, {}, queue)), [], what);
}

/** Takes one job after the other until none is left, acks them, and gives their texts. */
export async function drain(bus: Bus, queue: string = QUEUE): Promise<string[]> {
  const texts: string[] = [];
  const next = bounded("jobs of the queue");
  for (;;) {
    next();
    const [job] = await claimNow(bus, 1, {}, queue);
    if (!job) return texts;
    texts.push(toText(job.payload));
    await job.ack();
  }
}

/** The payloads as text. */
export function textsOf(jobs: readonly { readonly payload: Uint8Array }[]): string[] {
  return jobs.map(({ payload }) => toText(payload));
}

/** Waits until the counts are these. A settle is sent, not awaited: the counts may follow it. */
export async function statsBecome(
  context: CaseContext,
  bus: Bus,
  expected: Partial<QueueStats>,
  queue: string = QUEUE,
): Promise<void> {
  const names = Object.keys(expected) as (keyof QueueStats)[];
  await context.until(`the stats of ${queue} are ${JSON.stringify(expected)}`, async () => {
    const stats = await bus.jobs.stats(queue);
    return names.every((name) => stats[name] === expected[name]);
  });
}

/** All dead letters of a queue, oldest first. */
export async function deadLettersOf(bus: Bus, queue: string = QUEUE): Promise<DeadLetter[]> {
  const entries: DeadLetter[] = [];
  const nextPage = bounded("pages of dead letters");
  let after: string | undefined;
  do {
    nextPage();
    const page = await bus.jobs.deadLetters.list(queue, after === undefined ? {} : { after });
    entries.push(...page.entries);
    after = page.next;
  } while (after !== undefined);
  return entries;
}

/** Waits until a queue has this many dead letters, and gives them. */
export async function deadLettersBecome(
  context: CaseContext,
  bus: Bus,
  count: number,
  queue: string = QUEUE,
): Promise<DeadLetter[]> {
  await context.until(
    `${count} dead letters`,
    async () => (await bus.jobs.deadLetters.count(queue)) === count,
  );
  return deadLettersOf(bus, queue);
}

/** Lets the time of a lease pass, and what a backend may be late. */
export function pass(context: CaseContext, ms: number): Promise<void> {
  return context.clock.sleep(ms + lateness(context));
}

/** Takes `count` jobs, with as many claims as that takes, and gives them by their texts. */
export async function claimAll(bus: Bus, count: number): Promise<Map<string, ClaimedJob>> {
  const jobs = new Map<string, ClaimedJob>();
  while (jobs.size < count) {
    const job = await claimOne(bus);
    const text = toText(job.payload);
    check(!jobs.has(text), `${text} was handed out twice`);
    jobs.set(text, job);
  }
  return jobs;
}

/** A copy that is a plain `Uint8Array`: what comes may be of a class that has it as a parent. */
export function plain(bytes: Uint8Array): Uint8Array {
  check(bytes instanceof Uint8Array, "it is not a Uint8Array");
  return Uint8Array.from(bytes);
}

/** How often each text occurs, for those that do not occur once. */
export function notOnce(texts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 1));
}
