import type { JobQueue } from "@busbar/core";
import type { Consumer, JsMsg } from "@nats-io/jetstream";
import { forEachInFlight, type Side, type Sides, timed } from "../measure.ts";
import { AS_FAST, type ComparisonRow, FASTER } from "./comparison-row.ts";
import { durable, fill, type RawClient, streamLike } from "./raw-client.ts";
import { busbarNames, checkPayload, type NatsSetup, PAYLOAD } from "./setup.ts";

const QUEUE = "bench";
const BATCH = 100;
/** Jobs of one slice. */
const JOBS = 20_000;
const DOUBLE_ACK_JOBS = 5_000;

/** A work-queue stream of the raw client with its one consumer. */
export interface RawQueue {
  readonly client: RawClient;
  readonly stream: string;
  readonly subject: string;
  readonly consumer: Consumer;
}

async function openRawQueue(client: RawClient, name: string): Promise<RawQueue> {
  const stream = `jobs-${name}`;
  const subject = `raw.${stream}`;
  await client.jsm.streams.delete(stream).catch(() => false);
  await streamLike(client, busbarNames.jobs(QUEUE), { name: stream, subject });
  return { client, stream, subject, consumer: await durable(client, stream, "p0", subject) };
}

/** The queues of all sides, empty. */
export async function openQueues({
  bus,
  best,
  plain,
}: NatsSetup): Promise<readonly [RawQueue, RawQueue]> {
  await bus.jobs.deleteQueue(QUEUE);
  await bus.jobs.enqueue(QUEUE, { payload: PAYLOAD });
  await bus.jobs.purge(QUEUE);
  return [await openRawQueue(best, "best"), await openRawQueue(plain, "default")];
}

const enqueueRow: ComparisonRow = {
  name: "enqueueMany",
  target: FASTER,
  note: "raw: js.publish of the same payloads with 256 in flight",
  slices: 3,
  open: async (setup): Promise<Sides> => {
    const { jobs } = setup.bus;
    const [best, plain] = await openQueues(setup);
    const many = Array.from({ length: JOBS }, () => ({ payload: PAYLOAD }));
    return {
      busbar: {
        prepare: async () => {
          await jobs.purge(QUEUE);
        },
        run: () => timed(many.length, () => jobs.enqueueMany(QUEUE, many)),
      },
      raw: rawEnqueue(best, many),
      rawDefault: rawEnqueue(plain, many),
    };
  },
};

function rawEnqueue(queue: RawQueue, many: readonly { payload: Uint8Array }[]): Side {
  const { client, stream, subject } = queue;
  return {
    prepare: async () => {
      await client.jsm.streams.purge(stream);
    },
    run: () =>
      timed(many.length, () =>
        forEachInFlight(many, 256, ({ payload }) => client.js.publish(subject, payload)),
      ),
  };
}

interface Drains {
  busbar(jobs: JobQueue, count: number): Promise<void>;
  raw(consumer: Consumer, count: number): Promise<void>;
}

function claimRow(
  about: Pick<ComparisonRow, "name" | "target" | "note">,
  count: number,
  drains: Drains,
): ComparisonRow {
  return {
    ...about,
    // A row without a target is for information: a rougher figure will do.
    slices: about.target ? 3 : 1,
    open: async (setup): Promise<Sides> => {
      const { jobs } = setup.bus;
      const [best, plain] = await openQueues(setup);
      const many = Array.from({ length: count }, () => ({ payload: PAYLOAD }));
      const rawSide = ({ client, stream, subject, consumer }: RawQueue): Side => ({
        prepare: () => fill(client, { stream, subject, messages: count }, PAYLOAD),
        run: () => timed(count, () => drains.raw(consumer, count)),
      });
      return {
        busbar: {
          prepare: async () => {
            await jobs.enqueueMany(QUEUE, many);
          },
          run: () => timed(count, () => drains.busbar(jobs, count)),
        },
        raw: rawSide(best),
        rawDefault: rawSide(plain),
      };
    },
  };
}

/** The last ack is confirmed: the clock stops when the server has all of them. */
const singleAck: Drains = {
  busbar: async (jobs, count) => {
    for (let done = 0; done < count; ) {
      for (const job of await jobs.claim(QUEUE, { workerId: "bench", max: BATCH })) {
        done += 1;
        checkPayload(job.payload);
        await job.ack({ confirm: done === count });
      }
    }
  },
  raw: async (consumer, count) => {
    for (let done = 0; done < count; ) {
      for await (const message of await consumer.fetch({ max_messages: BATCH })) {
        done += 1;
        checkPayload(message.data);
        if (done === count) await message.ackAck();
        else message.ack();
      }
    }
  },
};

const doubleAck: Drains = {
  busbar: async (jobs, count) => {
    for (let done = 0; done < count; ) {
      const claimed = await jobs.claim(QUEUE, { workerId: "bench", max: BATCH });
      for (const job of claimed) checkPayload(job.payload);
      await Promise.all(claimed.map((job) => job.ack({ confirm: true })));
      done += claimed.length;
    }
  },
  raw: async (consumer, count) => {
    for (let done = 0; done < count; ) {
      const batch: JsMsg[] = [];
      for await (const message of await consumer.fetch({ max_messages: BATCH })) {
        checkPayload(message.data);
        batch.push(message);
      }
      await Promise.all(batch.map((message) => message.ackAck()));
      done += batch.length;
    }
  },
};

/** Filling and emptying a work queue. */
export const jobRows: readonly ComparisonRow[] = [
  enqueueRow,
  claimRow(
    {
      name: "claim in batches of 100, ack",
      target: AS_FAST,
      note: `raw: fetch({ max_messages: 100 }); ${JOBS} jobs waiting on either side`,
    },
    JOBS,
    singleAck,
  ),
  claimRow(
    {
      name: "claim in batches of 100, confirmed ack",
      note: "raw: ackAck; the acks of a batch under way together",
    },
    DOUBLE_ACK_JOBS,
    doubleAck,
  ),
];
