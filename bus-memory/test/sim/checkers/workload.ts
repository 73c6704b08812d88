import type { Bus, ClaimedJob, Message } from "@busbar/core";
import { errorCode } from "@busbar/core";
import type { ProcessContext, World } from "../../../src/index.ts";

/** How much of everything; small numbers keep a run at some milliseconds. */
export interface WorkloadSize {
  readonly jobs: number;
  readonly messages: number;
  readonly writes: number;
  /** How long the scenario lasts, in milliseconds of virtual time. */
  readonly forMs: number;
}

export const SMALL: WorkloadSize = { jobs: 30, messages: 30, writes: 30, forMs: 60_000 };
/** So much that every crash of the server falls upon something. */
export const DENSE: WorkloadSize = { ...SMALL, jobs: 400, messages: 400 };

const BUGS: ReadonlySet<unknown> = new Set([undefined, "INVALID_ARGUMENT"]);

/** Errors that a program has to live with where there are faults. */
export async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    // What is none of the bus, or not allowed, is a bug of the scenario.
    if (BUGS.has(errorCode(error))) throw error;
    return undefined;
  }
}

/** Claims jobs until it is stopped; settles them in every way, some too late, some never. */
export async function worker(context: ProcessContext, queue = "mail"): Promise<void> {
  const { bus, signal, clock, name, random } = context;
  while (!signal.aborted) {
    const options = { workerId: name, leaseMs: 2_000, max: 3, waitMs: 1_000 };
    const jobs = (await attempt(() => bus.jobs.claim(queue, options))) ?? [];
    for (const job of jobs) {
      await clock.sleep(random.next() * 300);
      await attempt(() => settleJob(job, random.next(), () => clock.sleep(2_500)));
    }
    await clock.sleep(1);
  }
}

async function settleJob(job: ClaimedJob, chance: number, tooLong: () => Promise<void>) {
  if (chance < 0.3) await job.ack();
  else if (chance < 0.7) await job.ack({ confirm: true });
  else if (chance < 0.76) await job.nak({ delayMs: chance < 0.73 ? 0 : 500 });
  else if (chance < 0.8) await job.giveBack({ delayMs: chance < 0.78 ? 0 : 500 });
  else if (chance < 0.83) await job.deadLetter("bad");
  else if (chance < 0.93) {
    await job.heartbeat();
    await job.ack({ confirm: true });
  } else {
    await tooLong();
    await job.ack();
  }
}

/** Reads a durable, or an ephemeral subscription, until it is stopped. */
export async function reader(context: ProcessContext, durable: string | undefined): Promise<void> {
  const { bus, signal, clock, random } = context;
  while (!signal.aborted) {
    const options = durable === undefined ? {} : { durable, ackWaitMs: 2_000 };
    const subscription = await attempt(() => bus.pubsub.subscribe("orders.>", options));
    if (subscription === undefined) {
      await clock.sleep(100);
      continue;
    }
    for await (const message of subscription) {
      await clock.sleep(random.next() * 20);
      await attempt(() => settleMessage(message, random.next(), () => clock.sleep(2_500)));
      // Now and then it begins anew, with something in its buffer.
      if (durable !== undefined && random.next() < 0.03) break;
    }
  }
}

async function settleMessage(message: Message, chance: number, tooLong: () => Promise<void>) {
  if (chance < 0.4) await message.ack();
  else if (chance < 0.8) await message.ack({ confirm: true });
  else if (chance < 0.87) await message.nak();
  else if (chance < 0.9) await message.term();
  else if (chance < 0.95) {
    await message.extend();
    await message.ack();
  } else {
    await tooLong();
    await message.ack();
  }
}

/** Takes a lease again and again, and writes with its fence to a resource that is guarded. */
export async function holder(context: ProcessContext, guard: Guard): Promise<void> {
  const { bus, signal, clock, name, random, note } = context;
  while (!signal.aborted) {
    const options = { ttlMs: 1_000, waitMs: 2_000, owner: name };
    const lease = await attempt(() => bus.kv.lease("locks", "leader", options));
    if (lease === undefined) {
      await clock.sleep(50);
      continue;
    }
    for (let turn = 0; turn < 5 && !lease.lost.aborted && !signal.aborted; turn += 1) {
      await clock.sleep(random.next() * 300);
      if (guard.accepts(lease.fence)) note("guarded", { resource: "ledger", fence: lease.fence });
      await attempt(() => lease.heartbeat());
    }
    if (random.next() < 0.7) await attempt(() => lease.release());
    else await clock.sleep(1_500);
  }
}

/** A resource that refuses fences smaller than one that it has seen. */
export class Guard {
  #highest = 0;

  accepts(fence: number): boolean {
    if (fence < this.#highest) return false;
    this.#highest = fence;
    return true;
  }
}

/** Reads and writes a few keys in every way. */
export async function clerk(context: ProcessContext, writes: number): Promise<void> {
  const { bus, clock, name, random } = context;
  for (let count = 0; count < writes; count += 1) {
    const key = `key-${Math.floor(random.next() * 3)}`;
    await attempt(() => oneWrite(bus, key, `${name} ${count}`, random.next()));
    await clock.sleep(random.next() * 1_000);
  }
}

async function oneWrite(bus: Bus, key: string, value: string, chance: number): Promise<void> {
  if (chance < 0.3) await bus.kv.put("stock", key, value);
  else if (chance < 0.4) await bus.kv.create("stock", key, value);
  else if (chance < 0.5) await bus.kv.delete("stock", key);
  else {
    const entry = await bus.kv.get("stock", key);
    const revision = entry?.revision ?? 0;
    if (chance < 0.8) await bus.kv.cas("stock", key, value, revision);
    else if (chance < 0.9) await bus.kv.delete("stock", key, { expectedRevision: revision });
  }
}

/** Everything at once: queues, durables, leases and keys, each with several processes. */
export async function workload(world: World, size: WorkloadSize = SMALL): Promise<void> {
  const { jobs, messages, writes, forMs } = size;
  for (const name of ["w1", "w2", "w3"]) world.process(name, (context) => worker(context));
  world.process("r1", (context) => reader(context, "billing"));
  world.process("r2", (context) => reader(context, "billing"));
  world.process("r3", (context) => reader(context, "audit"));
  world.process("r4", (context) => reader(context, undefined));
  const guard = new Guard();
  for (const name of ["h1", "h2"]) world.process(name, (context) => holder(context, guard));
  for (const name of ["k1", "k2", "k3"]) world.process(name, (context) => clerk(context, writes));
  const { bus, clock } = world.process("producer");
  const { random } = world;
  const most = Math.max(jobs, messages);
  for (let count = 0; count < most; count += 1) {
    if (count < jobs) {
      const dedupKey = count % 3 === 0 ? { dedupKey: `job-${count}` } : {};
      const headers = count % 4 === 0 ? { headers: { tenant: `t${count % 5}` } } : {};
      const job = { payload: `job ${count}`, ...dedupKey, ...headers };
      const queued = await attempt(() => bus.jobs.enqueue("mail", job));
      // A program that does not know tries again.
      if (queued === undefined) await attempt(() => bus.jobs.enqueue("mail", job));
      else if (count % 7 === 0) await attempt(() => bus.jobs.remove("mail", queued.id));
    }
    if (count < messages) {
      const messageId = count % 3 === 0 ? { messageId: `message-${count}` } : {};
      const publish = () =>
        bus.pubsub.publish(`orders.${count % 3}`, `message ${count}`, messageId);
      if ((await attempt(publish)) === undefined) await attempt(publish);
    }
    await clock.sleep((random.next() * 2 * forMs) / most);
  }
  await world.sleep(5_000);
}
