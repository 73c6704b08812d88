import { setImmediate as nextTurn } from "node:timers/promises";
import type { Bus } from "@busbar/core";
import { collectGarbage } from "../gc.ts";
import { inFlight, sequentially, type Slice } from "../measure.ts";
import type { Row, Target } from "../report.ts";
import { median } from "../statistics.ts";
import { openMemory, PAYLOAD } from "./setup.ts";

const SLICE_MS = 500;
const BATCH = 100;
const IN_FLIGHT = 256;

/** A rate of the embedded bus; each round has a bus of its own. */
interface RateRow {
  readonly name: string;
  readonly target?: Target;
  readonly note?: string;
  /** Makes what is needed and gives what does a slice of so many milliseconds. */
  prepare(bus: Bus): Promise<(ms: number) => Promise<Slice>>;
}

/** Measures one row. */
export async function rateRow(row: RateRow, rounds: number): Promise<Row> {
  const rates: number[] = [];
  for (let round = -1; round < rounds; round++) {
    await using bus = await openMemory();
    const run = await row.prepare(bus);
    await run(SLICE_MS / 5);
    collectGarbage();
    const { operations, ms } = await run(SLICE_MS);
    // The first round warms up.
    if (round >= 0) rates.push((operations * 1_000) / ms);
  }
  const { name, target, note } = row;
  return { name, unit: "per second", busbar: median(rates), target, note };
}

const atLeast = (value: number): Target => ({ of: "busbar", bound: "atLeast", value });

const publishInFlight: RateRow = {
  name: `publish, deliver, ack, ${IN_FLIGHT} in flight`,
  target: atLeast(300_000),
  prepare: async (bus) => {
    const subject = "bench.publish";
    const options = { durable: "bench", maxInFlight: IN_FLIGHT };
    const subscription = await bus.pubsub.subscribe(subject, options);
    let acked = 0;
    const loop = async (): Promise<void> => {
      for await (const message of subscription) {
        await message.ack();
        acked += 1;
      }
    };
    void loop();
    return async (ms) => {
      const startedAt = performance.now();
      const before = acked;
      const sent = await inFlight(ms, IN_FLIGHT, () => bus.pubsub.publish(subject, PAYLOAD));
      while (acked - before < sent.operations) await nextTurn();
      return { operations: sent.operations, ms: performance.now() - startedAt };
    };
  },
};

const publishOneByOne: RateRow = {
  name: "publish, deliver, ack, one after another",
  prepare: async (bus) => {
    const subject = "bench.publish";
    const subscription = await bus.pubsub.subscribe(subject, { durable: "bench" });
    const messages = subscription[Symbol.asyncIterator]();
    return (ms) =>
      sequentially(ms, async () => {
        await bus.pubsub.publish(subject, PAYLOAD);
        const { value } = await messages.next();
        await value?.ack();
      });
  },
};

const jobsInBatches: RateRow = {
  name: `enqueueMany, claim, ack, batches of ${BATCH}`,
  target: atLeast(150_000),
  prepare: async ({ jobs }) => {
    const many = Array.from({ length: BATCH }, () => ({ payload: PAYLOAD }));
    return async (ms) => {
      const slice = await sequentially(ms, async () => {
        await jobs.enqueueMany("bench", many);
        const claimed = await jobs.claim("bench", { workerId: "bench", max: BATCH });
        for (const job of claimed) await job.ack();
      });
      return { ...slice, operations: slice.operations * BATCH };
    };
  },
};

const jobsOneByOne: RateRow = {
  name: "enqueue, claim, ack, one after another",
  target: atLeast(150_000),
  prepare: async ({ jobs }) => {
    return (ms) =>
      sequentially(ms, async () => {
        await jobs.enqueue("bench", { payload: PAYLOAD });
        const [job] = await jobs.claim("bench", { workerId: "bench" });
        await job?.ack();
      });
  },
};

const kvPut: RateRow = {
  name: "kv put",
  prepare: async ({ kv }) => {
    let next = 0;
    return (ms) => sequentially(ms, () => kv.put("bench", `key.${next++ % 1_000}`, PAYLOAD));
  },
};

const kvGet: RateRow = {
  name: "kv get",
  prepare: async ({ kv }) => {
    for (let key = 0; key < 1_000; key++) await kv.put("bench", `key.${key}`, PAYLOAD);
    let next = 0;
    return (ms) => sequentially(ms, () => kv.get("bench", `key.${next++ % 1_000}`));
  },
};

const kvCas: RateRow = {
  name: "kv compare-and-set",
  prepare: async ({ kv }) => {
    let revision = await kv.put("bench", "cas", PAYLOAD);
    return (ms) =>
      sequentially(ms, async () => {
        revision = await kv.cas("bench", "cas", PAYLOAD, revision);
      });
  },
};

const request: RateRow = {
  name: "request, one after another",
  prepare: async ({ rpc }) => {
    await rpc.serve("bench.echo", ({ payload }) => payload);
    return (ms) => sequentially(ms, () => rpc.request("bench.echo", PAYLOAD));
  },
};

const requestInFlight: RateRow = {
  name: "request, 64 in flight",
  prepare: async ({ rpc }) => {
    await rpc.serve("bench.echo", ({ payload }) => payload);
    return (ms) => inFlight(ms, 64, () => rpc.request("bench.echo", PAYLOAD));
  },
};

/** All rates of the embedded bus. */
export const rateRows: readonly RateRow[] = [
  publishInFlight,
  publishOneByOne,
  jobsInBatches,
  jobsOneByOne,
  kvPut,
  kvGet,
  kvCas,
  request,
  requestInFlight,
];
