import type { Bus } from "@busbar/core";
import type { Consumer, ConsumerMessages, JsMsg } from "@nats-io/jetstream";
import type { Side, Sides, Slice } from "../measure.ts";
import { AS_FAST, type ComparisonRow } from "./comparison-row.ts";
import { durable, fill, type RawClient, streamLike } from "./raw-client.ts";
import { busbarNames, checkPayload, PAYLOAD } from "./setup.ts";

const SUBJECT = "bench.subscribe";
const PREFETCH = 256;
const MESSAGES = 20_000;
const DOUBLE_ACK_MESSAGES = 10_000;

/**
 * Each slice is a durable of its own over the same stored messages. The clock runs from the first
 * delivery, so that making the consumer is no part of it, until the server has the last ack.
 */
interface Reads {
  readonly busbar: (bus: Bus, name: string, count: number) => Promise<Slice>;
  readonly raw: (consumer: Consumer, count: number) => Promise<Slice>;
}

function subscribeRow(
  about: Pick<ComparisonRow, "name" | "target" | "note">,
  count: number,
  reads: Reads,
): ComparisonRow {
  return {
    ...about,
    // A row without a target is for information: a rougher figure will do.
    slices: about.target ? 4 : 1,
    open: async ({ bus, best, plain }): Promise<Sides> => {
      await bus.pubsub.publish(SUBJECT, PAYLOAD);
      await best.jsm.streams.purge(busbarNames.messages);
      const busbarSubject = `busbar.bench.msg.${SUBJECT}`;
      const stored = { stream: busbarNames.messages, subject: busbarSubject, messages: count };
      await fill(best, stored, PAYLOAD);
      let durables = 0;
      return {
        busbar: {
          run: async () => {
            const name = `${about.name.replaceAll(/\W+/g, "-")}-${durables++}`;
            const slice = await reads.busbar(bus, name, count);
            await bus.pubsub.deleteDurable(name);
            return slice;
          },
        },
        raw: await rawSide(best, "best", count, reads),
        rawDefault: await rawSide(plain, "default", count, reads),
      };
    },
  };
}

async function rawSide(
  client: RawClient,
  name: string,
  count: number,
  reads: Reads,
): Promise<Side> {
  const stream = `subscribe-${name}`;
  const subject = `raw.${stream}`;
  await client.jsm.streams.delete(stream).catch(() => false);
  await streamLike(client, busbarNames.messages, { name: stream, subject });
  await fill(client, { stream, subject, messages: count }, PAYLOAD);
  return {
    run: async () => {
      const consumer = await durable(client, stream, "reader", subject);
      const slice = await reads.raw(consumer, count);
      await consumer.delete();
      return slice;
    },
  };
}

const singleAck: Reads = {
  busbar: async (bus, name, count) => {
    const options = { durable: name, maxInFlight: PREFETCH };
    const clock = new Stopwatch(count);
    for await (const message of await bus.pubsub.subscribe(SUBJECT, options)) {
      const last = clock.delivered();
      checkPayload(message.payload);
      await message.ack({ confirm: last });
      if (!last) continue;
      clock.stop();
      break;
    }
    return clock.slice();
  },
  raw: async (consumer, count) => {
    const clock = new Stopwatch(count);
    for await (const message of await consumer.consume({ max_messages: PREFETCH })) {
      const last = clock.delivered();
      checkPayload(message.data);
      if (!last) message.ack();
      else {
        await message.ackAck();
        clock.stop();
        break;
      }
    }
    return clock.slice();
  },
};

/** The raw client's other way, a callback instead of a loop. */
const rawCallback: Reads = {
  busbar: singleAck.busbar,
  raw: async (consumer, count) => {
    const clock = new Stopwatch(count);
    let messages: ConsumerMessages | undefined;
    const last = await new Promise<JsMsg>((resolve, reject) => {
      const callback = (message: JsMsg): void => {
        checkPayload(message.data);
        if (clock.delivered()) resolve(message);
        else message.ack();
      };
      consumer.consume({ max_messages: PREFETCH, callback }).then((started) => {
        messages = started;
      }, reject);
    });
    await last.ackAck();
    clock.stop();
    await messages?.close();
    return clock.slice();
  },
};

const doubleAck: Reads = {
  busbar: async (bus, name, count) => {
    const options = { durable: name, maxInFlight: PREFETCH };
    const clock = new Stopwatch(count);
    const acks: Promise<unknown>[] = [];
    for await (const message of await bus.pubsub.subscribe(SUBJECT, options)) {
      checkPayload(message.payload);
      acks.push(message.ack({ confirm: true }));
      if (!clock.delivered()) continue;
      await Promise.all(acks);
      clock.stop();
      break;
    }
    return clock.slice();
  },
  raw: async (consumer, count) => {
    const clock = new Stopwatch(count);
    const acks: Promise<unknown>[] = [];
    for await (const message of await consumer.consume({ max_messages: PREFETCH })) {
      checkPayload(message.data);
      acks.push(message.ackAck());
      if (!clock.delivered()) continue;
      await Promise.all(acks);
      clock.stop();
      break;
    }
    return clock.slice();
  },
};

class Stopwatch {
  readonly #count: number;
  #startedAt = 0;
  #deliveries = 0;
  #endedAt = 0;

  constructor(count: number) {
    this.#count = count;
  }

  /** A delivery; true if it is the last one. */
  delivered(): boolean {
    if (this.#deliveries === 0) this.#startedAt = performance.now();
    this.#deliveries += 1;
    return this.#deliveries === this.#count;
  }

  /** All is done; what follows, such as closing, is not timed. */
  stop(): void {
    this.#endedAt = performance.now();
  }

  slice(): Slice {
    return { operations: this.#count, ms: this.#endedAt - this.#startedAt };
  }
}

/** Reading a stream through durables. */
export const subscribeRows: readonly ComparisonRow[] = [
  subscribeRow(
    {
      name: "durable subscribe, ack",
      target: AS_FAST,
      note: `raw: consume({ max_messages: ${PREFETCH} }) in a for-await loop; ${MESSAGES} messages stored on either side`,
    },
    MESSAGES,
    singleAck,
  ),
  subscribeRow(
    {
      name: "durable subscribe, ack, raw by callback",
      note: "raw: consume with a callback, which cannot wait for anything",
    },
    MESSAGES,
    rawCallback,
  ),
  subscribeRow(
    {
      name: "durable subscribe, confirmed ack",
      note: "raw: ackAck; not awaited one by one on either side",
    },
    DOUBLE_ACK_MESSAGES,
    doubleAck,
  ),
];
