import { setTimeout as sleep } from "node:timers/promises";
import type { Row, Target } from "../report.ts";
import { percentile } from "../statistics.ts";
import { durable, streamLike } from "./raw-client.ts";
import { busbarNames, type NatsSetup, PAYLOAD } from "./setup.ts";

/** A new message or job reaches who waits for it within this, in milliseconds. */
const SOON: Target = { of: "busbar", bound: "atMost", value: 5 };

const SAMPLES_PER_ROUND = 60;
/** Pause before each, so that somebody really waits. */
const IDLE_MS = 3;
const SUBJECT = "bench.pick-up";
const QUEUE = "pick-up";
const EXPIRES_MS = 30_000;

/** Sends one and resolves when it is in somebody's hands: how long that took, in milliseconds. */
type PickUp = () => Promise<number>;

/** A side with how it ends. */
interface Waiter {
  readonly pickUp: PickUp;
  close(): Promise<void>;
}

/** How long a message takes to a waiting subscriber, and a job to a waiting claim. */
export async function pickUpRows(setup: NatsSetup, rounds: number): Promise<Row[]> {
  return [
    ...(await measure("waiting subscriber", rounds, {
      busbar: await busbarSubscriber(setup),
      raw: await rawSubscriber(setup),
    })),
    ...(await measure("waiting claim", rounds, {
      busbar: await busbarClaim(setup),
      raw: await rawNext(setup),
    })),
  ];
}

async function measure(
  name: string,
  rounds: number,
  sides: { readonly busbar: Waiter; readonly raw: Waiter },
): Promise<Row[]> {
  const times = { busbar: [] as number[], raw: [] as number[] };
  for (let warmUp = 0; warmUp < SAMPLES_PER_ROUND; warmUp++) {
    await sides.busbar.pickUp();
    await sides.raw.pickUp();
  }
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (["busbar", "raw"] as const) : (["raw", "busbar"] as const);
    for (const side of order) {
      for (let sample = 0; sample < SAMPLES_PER_ROUND; sample++) {
        await sleep(IDLE_MS);
        times[side].push(await sides[side].pickUp());
      }
    }
  }
  await sides.busbar.close();
  await sides.raw.close();
  return [50, 99].map((percent) => {
    const busbar = percentile(times.busbar, percent);
    const raw = percentile(times.raw, percent);
    return {
      name: `${name}, p${percent}`,
      unit: "ms",
      busbar,
      raw,
      ratio: busbar / raw,
      target: SOON,
    };
  });
}

/** Sends, then waits until the reader has called back. */
class Exchange {
  #arrived: ((atMs: number) => void) | undefined;

  /** The reader has one. */
  arrived(): void {
    this.#arrived?.(performance.now());
  }

  async pickUp(send: () => Promise<unknown>): Promise<number> {
    const arrival = new Promise<number>((resolve) => {
      this.#arrived = resolve;
    });
    const sentAt = performance.now();
    await send();
    return (await arrival) - sentAt;
  }
}

async function busbarSubscriber({ bus }: NatsSetup): Promise<Waiter> {
  const subscription = await bus.pubsub.subscribe(SUBJECT, { durable: "pick-up", from: "new" });
  const exchange = new Exchange();
  const loop = (async () => {
    for await (const message of subscription) {
      exchange.arrived();
      await message.ack();
    }
  })();
  return {
    pickUp: () => exchange.pickUp(() => bus.pubsub.publish(SUBJECT, PAYLOAD)),
    close: async () => {
      await subscription.close();
      await loop;
    },
  };
}

async function rawSubscriber({ best }: NatsSetup): Promise<Waiter> {
  const subject = "raw.pick-up";
  await streamLike(best, busbarNames.messages, { name: "pick-up", subject });
  const consumer = await durable(best, "pick-up", "reader", subject);
  const messages = await consumer.consume({ max_messages: 32 });
  const exchange = new Exchange();
  const loop = (async () => {
    for await (const message of messages) {
      exchange.arrived();
      message.ack();
    }
  })();
  return {
    pickUp: () => exchange.pickUp(() => best.js.publish(subject, PAYLOAD)),
    close: async () => {
      await messages.close();
      await loop;
    },
  };
}

async function busbarClaim({ bus: { jobs } }: NatsSetup): Promise<Waiter> {
  await jobs.stats(QUEUE);
  return claimer(
    async () => {
      const [job] = await jobs.claim(QUEUE, { workerId: "bench", waitMs: EXPIRES_MS });
      return job;
    },
    () => jobs.enqueue(QUEUE, { payload: PAYLOAD }),
  );
}

async function rawNext({ best }: NatsSetup): Promise<Waiter> {
  const subject = "raw.pick-up-jobs";
  await streamLike(best, busbarNames.jobs(QUEUE), { name: "pick-up-jobs", subject });
  const consumer = await durable(best, "pick-up-jobs", "p0", subject);
  return claimer(
    async () => (await consumer.next({ expires: EXPIRES_MS })) ?? undefined,
    () => best.js.publish(subject, PAYLOAD),
  );
}

function claimer(
  claim: () => Promise<{ ack(): unknown } | undefined>,
  send: () => Promise<unknown>,
): Waiter {
  const exchange = new Exchange();
  let open = true;
  const loop = (async () => {
    while (open) {
      const job = await claim();
      exchange.arrived();
      await job?.ack();
    }
  })();
  return {
    pickUp: () => exchange.pickUp(send),
    close: async () => {
      // One more wakes the claim that waits.
      open = false;
      await send();
      await loop;
    },
  };
}
