import type { ProcessContext } from "@busbar/bus-memory";
import { type ClaimedJob, errorCode, type KvStore, toText } from "@busbar/core";

// The programs of the demo scenario. All of them are written to be run again at any point: they may
// be killed, and what they do may come to them twice.

/** A job: so many points for a colour, or poison. */
export interface Job {
  readonly colour: string;
  readonly points: number;
  readonly workMs: number;
  readonly poison: boolean;
}

/** The points of a colour, and the jobs in it: both change in one write. */
export interface Total {
  readonly points: number;
  readonly jobs: readonly string[];
}

const LEASE_MS = 5_000;

/** Tries until it works: the server may be away, or somebody else was faster. */
export async function insist<T>(
  { clock }: Pick<ProcessContext, "clock">,
  work: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch {
      await clock.sleep(300);
    }
  }
}

/** Claims jobs and does them. */
export async function worker(context: ProcessContext): Promise<void> {
  const { bus, name, signal, note } = context;
  while (!signal.aborted) {
    const jobs = await insist(context, () =>
      bus.jobs.claim("paint", { workerId: name, leaseMs: LEASE_MS, max: 2, waitMs: 3_000 }),
    );
    for (const job of jobs) {
      try {
        await paint(context, job);
      } catch (error) {
        // Somebody else has the job now, or will have it: it comes again.
        if (errorCode(error) === "LEASE_LOST") note("reached: a lease was lost");
      }
    }
  }
}

async function paint({ bus, clock }: ProcessContext, claimed: ClaimedJob): Promise<void> {
  const job = JSON.parse(toText(claimed.payload)) as Job;
  if (job.poison) return claimed.nak({ delayMs: 200 });
  await clock.sleep(job.workMs / 2);
  await claimed.heartbeat();
  await clock.sleep(job.workMs / 2);
  await addPoints(bus.kv, job, claimed.id);
  await bus.pubsub.publish("paint.done", claimed.id, { messageId: `done-${claimed.id}` });
  await claimed.ack();
}

/** All workers write the same few keys: who comes second reads again. */
async function addPoints(kv: KvStore, { colour, points }: Job, id: string): Promise<void> {
  for (;;) {
    const entry = await kv.get("totals", colour);
    const total = totalOf(entry?.value);
    if (total.jobs.includes(id)) return;
    const next: Total = { points: total.points + points, jobs: [...total.jobs, id] };
    try {
      await kv.cas("totals", colour, JSON.stringify(next), entry?.revision ?? 0);
      return;
    } catch (error) {
      if (errorCode(error) !== "CONFLICT") throw error;
    }
  }
}

export function totalOf(value: Uint8Array | undefined): Total {
  return value === undefined ? { points: 0, jobs: [] } : (JSON.parse(toText(value)) as Total);
}

/** Follows what was done, with a durable. */
export async function follower(context: ProcessContext): Promise<void> {
  const { bus, note } = context;
  for (;;) {
    try {
      const options = { durable: "follower", ackWaitMs: 5_000, maxDeliveries: Infinity };
      for await (const message of await bus.pubsub.subscribe("paint.done", options)) {
        if (message.deliveryCount > 1) note("reached: a message came again");
        await bus.kv.put("followed", toText(message.payload), "yes");
        await message.ack();
      }
    } catch {
      await context.clock.sleep(300);
    }
  }
}

/** Answers how many points a colour has. */
export async function answerer(context: ProcessContext): Promise<void> {
  const { bus, signal, clock } = context;
  await insist(context, () =>
    bus.rpc.serve("points", async (request) => {
      const entry = await bus.kv.get("totals", toText(request.payload));
      return `${totalOf(entry?.value).points}`;
    }),
  );
  await clock.sleep(Number.MAX_SAFE_INTEGER, { signal });
}

/** Two of these share one lock. Who has it writes its fence; what has an older one is refused. */
export async function keeper(context: ProcessContext): Promise<void> {
  const { bus, name, clock, signal, note } = context;
  while (!signal.aborted) {
    const lease = await insist(context, () =>
      bus.kv.lease("locks", "book", { ttlMs: 4_000, waitMs: 10_000, owner: name }),
    );
    for (let entries = 0; entries < 3 && !lease.lost.aborted; entries += 1) {
      try {
        await lease.heartbeat();
        await clock.sleep(1_000);
        // Whoever stood still until now may have lost the lock: the fence refuses what comes too late.
        if (await writeEntry(bus.kv, lease.fence)) continue;
        note("reached: an old fence was refused");
        break;
      } catch {
        // The next round finds out whether the lease is still there.
      }
    }
    if (lease.lost.aborted) note("reached: a lock was lost");
    await lease.release().catch(() => undefined);
    await clock.sleep(2_000);
  }
}

/** The book: how many entries, and the fence of the last one. */
export interface Book {
  readonly entries: number;
  readonly fence: number;
}

async function writeEntry(kv: KvStore, fence: number): Promise<boolean> {
  const entry = await kv.get("book", "page");
  const book =
    entry === undefined ? { entries: 0, fence: 0 } : (JSON.parse(toText(entry.value)) as Book);
  if (book.fence > fence) return false;
  const next: Book = { entries: book.entries + 1, fence };
  await kv.cas("book", "page", JSON.stringify(next), entry?.revision ?? 0);
  return true;
}
