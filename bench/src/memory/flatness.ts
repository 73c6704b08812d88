import type { Bus } from "@busbar/core";
import { collectGarbage } from "../gc.ts";
import type { Row, Target } from "../report.ts";
import { median } from "../statistics.ts";
import { openMemory, PAYLOAD } from "./setup.ts";

const SIZES = [1_000, 10_000, 100_000, 1_000_000] as const;
const FLAT: Target = { of: "busbar", bound: "atMost", value: 1.5 };
const SLICE_MS = 300;
const WARM_UP_MS = 60;
const BATCH = 100;
const FILL_BATCH = 10_000;

/** Microseconds per operation. */
type Costs = Readonly<Record<string, number>>;

/** What is measured at every size: fills, then takes as long as a slice. */
type Measure = (size: number, sliceMs: number) => Promise<Costs>;

/** The cost of an operation by how much is queued: what it is, and how much it differs. */
export async function flatnessRows(rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const measure of [jobCosts, messageCosts]) rows.push(...(await flatness(measure, rounds)));
  return rows;
}

async function flatness(measure: Measure, rounds: number): Promise<Row[]> {
  const costs = new Map<string, Map<number, number[]>>();
  for (const size of SIZES) await measure(Math.min(size, 10_000), SLICE_MS);
  for (let round = 0; round < rounds; round++) {
    for (const size of SIZES) {
      for (const [name, us] of Object.entries(await measure(size, SLICE_MS))) {
        const bySize = costs.get(name) ?? new Map<number, number[]>();
        costs.set(name, bySize.set(size, [...(bySize.get(size) ?? []), us]));
      }
    }
  }
  return [...costs].flatMap(([name, bySize]) => {
    const medians = SIZES.map((size) => median(bySize.get(size) ?? []));
    const rows: Row[] = SIZES.map((size, index) => ({
      name: `${name}, ${size.toLocaleString("en-US")} queued`,
      unit: "µs each",
      busbar: medians[index] as number,
    }));
    const spread = Math.max(...medians) / Math.min(...medians);
    const summary = `${name}, dearest to cheapest size`;
    return [...rows, { name: summary, unit: "times", busbar: spread, target: FLAT }];
  });
}

/**
 * Adds up the time of one of several things that take turns: the time that this thread ran, because
 * nothing here waits for anything, and what else the machine does is not the bus's cost.
 */
class Share {
  #us = 0;
  #operations = 0;

  async time(operations: number, run: () => Promise<unknown>): Promise<void> {
    const before = process.threadCpuUsage();
    await run();
    const { user, system } = process.threadCpuUsage(before);
    this.#us += user + system;
    this.#operations += operations;
  }

  /** Forgets what was timed so far. */
  reset(): void {
    this.#us = 0;
    this.#operations = 0;
  }

  get us(): number {
    return this.#us / this.#operations;
  }
}

/** Claims and acks a batch, enqueues as many again: so many jobs stand all the time. */
async function jobCosts(size: number, sliceMs: number): Promise<Costs> {
  await using bus = await openMemory();
  const { jobs } = bus;
  const job = { payload: PAYLOAD };
  await fill(size, (count) =>
    jobs.enqueueMany(
      "bench",
      Array.from({ length: count }, () => job),
    ),
  );
  collectGarbage();
  const claims = new Share();
  const singles = new Share();
  const enqueues = new Share();
  const claim = async (max: number): Promise<void> => {
    for (const claimed of await jobs.claim("bench", { workerId: "bench", max })) {
      await claimed.ack();
    }
  };
  const turn = async (): Promise<void> => {
    await claims.time(BATCH, () => claim(BATCH));
    await singles.time(BATCH, async () => {
      for (let count = 0; count < BATCH; count++) await claim(1);
    });
    await enqueues.time(2 * BATCH, async () => {
      for (let count = 0; count < 2 * BATCH; count++) await jobs.enqueue("bench", job);
    });
  };
  await measured(turn, [claims, singles, enqueues], sliceMs);
  return {
    [`claim in batches of ${BATCH}, ack`]: claims.us,
    "claim one, ack": singles.us,
    enqueue: enqueues.us,
  };
}

/** Publishes and reads a batch on a stream that keeps so many messages: the oldest go. */
async function messageCosts(size: number, sliceMs: number): Promise<Costs> {
  await using bus = await openMemory({ maxMessages: size });
  const { pubsub } = bus;
  await fill(size, (count) => publishMany(bus, count));
  const options = { durable: "bench", from: "new", maxInFlight: BATCH } as const;
  const subscription = await pubsub.subscribe("bench.flat", options);
  const messages = subscription[Symbol.asyncIterator]();
  collectGarbage();
  const both = new Share();
  const turn = (): Promise<void> =>
    both.time(BATCH, async () => {
      await publishMany(bus, BATCH);
      for (let count = 0; count < BATCH; count++) {
        const { value } = await messages.next();
        await value?.ack();
      }
    });
  await measured(turn, [both], sliceMs);
  return { "publish, deliver, ack": both.us };
}

async function publishMany({ pubsub }: Bus, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => pubsub.publish("bench.flat", PAYLOAD)));
}

async function fill(size: number, add: (count: number) => Promise<unknown>): Promise<void> {
  for (let left = size; left > 0; left -= FILL_BATCH) await add(Math.min(left, FILL_BATCH));
}

/** Takes turns for a moment that does not count, then for a slice that does. */
async function measured(
  turn: () => Promise<void>,
  shares: readonly Share[],
  sliceMs: number,
): Promise<void> {
  await repeat(WARM_UP_MS, turn);
  for (const share of shares) share.reset();
  await repeat(sliceMs, turn);
}

async function repeat(ms: number, turn: () => Promise<void>): Promise<void> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < ms) await turn();
}
