import type { ClaimedJob, ClaimOptions, Job } from "@busbar/core";
import { type Outcome, outcomeOf } from "../outcome.ts";
import { LEFT_OUT, type Run } from "../run.ts";
import type { JobSpec, StepOf } from "../script.ts";
import { bodyFrom, payloadOf } from "./payload.ts";
import { bodyOf, byBody, jobView } from "./views.ts";

/** As many as any script has. */
const ALL = 200;

export function enqueue(run: Run, step: StepOf<"enqueue">): Promise<Outcome> {
  // What a waiting claim is given if something else falls due at the same time is not promised.
  const isLuck = step.job.delay !== undefined && run.waitingClaims.has(step.queue);
  if (run.leavesOut(isLuck)) return Promise.resolve(LEFT_OUT);
  const body = bodyFrom(step);
  const job = toJob(run, step.job, payloadOf(run, body, step.size));
  return outcomeOf(
    () => run.bus(step.bus).jobs.enqueue(step.queue, job),
    ({ id, duplicate }) => enqueued(run, step.queue, { id, duplicate, body, spec: step.job }),
  );
}

export function enqueueMany(run: Run, step: StepOf<"enqueueMany">): Promise<Outcome> {
  const { queue, jobs } = step;
  // Which of them a waiting claim is given is not promised.
  if (run.leavesOut(run.waitingClaims.has(queue))) return Promise.resolve(LEFT_OUT);
  const body = (index: number): string => `${bodyFrom(step)}.${index}`;
  return outcomeOf(
    () =>
      run.bus(step.bus).jobs.enqueueMany(
        queue,
        jobs.map((spec, index) => toJob(run, spec, payloadOf(run, body(index), undefined))),
      ),
    (results) =>
      results.map(({ id, duplicate }, index) =>
        enqueued(run, queue, { id, duplicate, body: body(index), spec: jobs[index] as JobSpec }),
      ),
  );
}

export async function claim(run: Run, step: StepOf<"claim">): Promise<Outcome> {
  const { queue, lease, wait, name } = step;
  const uncertain = run.openJobs(queue).size > 1;
  const waits = name !== undefined && wait !== undefined;
  const isLuck =
    run.waitingClaims.has(queue) || (waits && (uncertain || run.pausedQueues.has(queue)));
  if (run.leavesOut(isLuck)) return LEFT_OUT;
  // Among several that come back no order is promised: then all are taken.
  const max = waits ? 1 : uncertain ? ALL : step.max;
  const options: ClaimOptions = {
    workerId: `worker-${step.bus}`,
    ...(lease !== undefined && { leaseMs: run.ms(lease) }),
    ...(max !== undefined && { max }),
    ...(waits && { waitMs: run.ms(wait) }),
  };
  const work = outcomeOf(
    () => run.bus(step.bus).jobs.claim(queue, options),
    (jobs) => hold(run, queue, { jobs, lease }),
  );
  if (!waits) return work;
  run.waitingClaims.set(queue, name);
  const ended = work.finally(() => run.waitingClaims.delete(queue));
  return run.begin(name, step.bus, ended);
}

export function settleJob(run: Run, step: StepOf<"job">): Promise<Outcome> {
  const { queue, how, delay, lease, reason = "given up" } = step;
  const job = run.pickJob(queue, step.pick);
  if (job === undefined) return Promise.resolve("absent");
  const body = bodyOf(job.payload);
  const settled = (): Promise<void> => {
    if (how === "ack" || how === "confirm") return job.ack({ confirm: how === "confirm" });
    if (how === "deadLetter") return job.deadLetter(reason);
    if (how === "heartbeat") {
      return job.heartbeat({ ...(lease !== undefined && { leaseMs: run.ms(lease) }) });
    }
    return job.nak({
      ...(delay !== undefined && { delayMs: run.ms(delay) }),
      ...(step.reason !== undefined && { reason: step.reason }),
    });
  };
  return outcomeOf(settled, () => {
    if (how === "ack" || how === "confirm" || how === "deadLetter") {
      run.openJobs(queue).delete(body);
    }
    return { ok: `${body}#${job.attempt}` };
  });
}

export function stats(run: Run, step: StepOf<"stats">): Promise<Outcome> {
  return run.eventually(() =>
    outcomeOf(
      () => run.bus(step.bus).jobs.stats(step.queue),
      ({ ready, delayed, leased, dead, paused }) => ({ ready, delayed, leased, dead, paused }),
    ),
  );
}

export function pause(run: Run, step: StepOf<"pause" | "resume">): Promise<Outcome> {
  const { queue } = step;
  const op = step.op as "pause" | "resume";
  if (run.leavesOut(run.waitingClaims.has(queue))) return Promise.resolve(LEFT_OUT);
  return outcomeOf(
    () => run.bus(step.bus).jobs[op](queue),
    () => {
      if (op === "pause") run.pausedQueues.add(queue);
      else run.pausedQueues.delete(queue);
      return "ok";
    },
  );
}

export function purge(run: Run, step: StepOf<"purge" | "deleteQueue">): Promise<Outcome> {
  const { queue } = step;
  const op = step.op as "purge" | "deleteQueue";
  return outcomeOf(
    (): Promise<number | boolean> => run.bus(step.bus).jobs[op](queue),
    (result) => {
      run.openJobs(queue).clear();
      if (op === "deleteQueue") {
        run.pausedQueues.delete(queue);
        run.jobs.delete(queue);
        // Ids may begin again, and so do fences.
        run.facts.forgetFences(`job ${queue}/`);
      }
      return result;
    },
  );
}

function toJob(run: Run, spec: JobSpec, payload: Uint8Array): Job {
  const { dedupKey, priority, delay, runAt, maxAttempts, headers } = spec;
  return {
    payload,
    ...(dedupKey !== undefined && { dedupKey }),
    ...(priority !== undefined && { priority }),
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(headers && { headers }),
    ...(delay !== undefined &&
      (runAt === true
        ? { runAtMs: run.startAtMs + run.ms(run.tick + delay) }
        : { delayMs: run.ms(delay) })),
  };
}

function enqueued(
  run: Run,
  queue: string,
  made: {
    readonly id: string;
    readonly duplicate: boolean;
    readonly body: string;
    readonly spec: JobSpec;
  },
): Outcome {
  const { id, duplicate, body, spec } = made;
  const names = run.jobNames(queue);
  if (duplicate) return { duplicateOf: names.get(id) ?? "unnamed" };
  names.set(id, body);
  // A delayed one that was met before its time comes back like one that was given back.
  if (spec.delay !== undefined) run.openJobs(queue).add(body);
  return { made: true };
}

/** What a lease's end is early by, for the way to the server, in units. */
const MARGIN = 0.6;

function hold(
  run: Run,
  queue: string,
  claimed: { readonly jobs: readonly ClaimedJob[]; readonly lease: number | undefined },
): Outcome {
  const { jobs, lease } = claimed;
  const bodies = run.openJobs(queue);
  const ordered = jobs.some((job) => bodies.has(bodyOf(job.payload)))
    ? [...jobs].sort(
        (a, b) => b.priority - a.priority || byBody(bodyOf(a.payload), bodyOf(b.payload)),
      )
    : [...jobs];
  for (const job of ordered) bodies.add(bodyOf(job.payload));
  run.jobs.set(queue, [...(run.jobs.get(queue) ?? []), ...ordered]);
  return ordered.map((job) => ({
    ...(jobView(run, job) as object),
    // The default is a whole number of units: less the margin it would be the tick before.
    until: run.atTick(job.lease.expiresAtMs + (lease === undefined ? run.ms(MARGIN) : 0)),
    grows: run.facts.grows(`job ${queue}/${job.id}`, job.fence),
  }));
}
