import { Mailbox } from "@busbar/core/adapter";
import type { Message } from "@busbar/core";
import { onMessages, onPubsub } from "./contracts.ts";
import type { Mutant, Open, World } from "./mutant.ts";
import { leave, override, overlooking } from "./override.ts";

/** Mistakes with messages between their delivery and their end. */
export const settling: readonly Mutant[] = [
  {
    id: "ack-lost",
    title: "An ack resolves and is never sent",
    contract: "pubsub",
    killedBy: ["PS-ACK-002"],
    wrap: (world) => onMessages(world, () => () => ({ ack: async () => undefined })),
  },
  {
    id: "ack-of-all-before",
    title: "An ack settles every message before it too",
    contract: "pubsub",
    killedBy: ["PS-ACK-003"],
    wrap: (world) =>
      onMessages(world, () => {
        const before: Message[] = [];
        const swept = new Set<Message>();
        return (message) => {
          before.push(message);
          const settle = (work: Promise<void>): Promise<void> =>
            overlooking("ALREADY_SETTLED", work, () => (swept.has(message) ? undefined : work));
          const ack: Message["ack"] = async (options) => {
            await settle(message.ack(options));
            const others = before.splice(0).filter((other) => other.sequence < message.sequence);
            for (const other of others) swept.add(other);
            await Promise.allSettled(others.map((other) => other.ack()));
          };
          return { ack, nak: (options) => settle(message.nak(options)) };
        };
      }),
  },
  {
    id: "term-redelivers",
    title: "A termed message is delivered again",
    contract: "pubsub",
    killedBy: ["PS-TERM-001"],
    wrap: (world) => onMessages(world, () => (message) => ({ term: () => message.nak() })),
  },
  {
    id: "nak-delay-ignored",
    title: "nak({ delayMs }) brings the message back at once",
    contract: "pubsub",
    killedBy: ["PS-NAK-003"],
    wrap: (world) => onMessages(world, () => (message) => ({ nak: () => message.nak() })),
  },
  {
    id: "nak-burns-a-delivery",
    title: "After a nak a delivery is counted that nobody saw",
    contract: "pubsub",
    killedBy: ["PS-NAK-001"],
    wrap: nakBurns,
  },
  {
    id: "nak-waits-for-backoff",
    title: "nak() without a delay waits for the backoff of its delivery",
    contract: "pubsub",
    killedBy: ["PS-BACKOFF-004"],
    wrap: (world) =>
      onMessages(world, ({ options: { backoffMs = [] } }) => (message) => {
        const waitMs = backoffMs[Math.min(message.deliveryCount, backoffMs.length) - 1] ?? 0;
        return { nak: ({ delayMs } = {}) => message.nak({ delayMs: delayMs ?? waitMs }) };
      }),
  },
  {
    id: "backoff-does-not-repeat",
    title: "After the last entry of backoffMs the default ack wait counts",
    contract: "pubsub",
    killedBy: ["PS-BACKOFF-001"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        subscribe: (subject, options = {}) => {
          const { backoffMs } = options;
          const own = backoffMs?.length ? { backoffMs: [...backoffMs, 30_000] } : {};
          return pubsub.subscribe(subject, { ...options, ...own });
        },
      })),
  },
  {
    id: "early-redelivery",
    title: "A message is delivered again when half of its ack wait is over",
    contract: "pubsub",
    killedBy: ["PS-ACK-001"],
    wrap: (world) => withAckWait(world, (ackWaitMs) => Math.max(10, ackWaitMs / 2)),
  },
  {
    id: "no-redelivery",
    title: "A message that nobody settles never comes again",
    contract: "pubsub",
    killedBy: ["PS-ACK-001"],
    wrap: (world) => withAckWait(world, () => 86_400_000),
  },
  {
    id: "delivery-count-from-zero",
    title: "deliveryCount counts redeliveries: the first delivery is 0",
    contract: "pubsub",
    killedBy: ["PS-ACK-001"],
    wrap: (world) =>
      onMessages(world, () => ({ deliveryCount }) => ({ deliveryCount: deliveryCount - 1 })),
  },
  {
    id: "stale-ack-accepted",
    title: "An ack of an old delivery settles the newer one",
    contract: "pubsub",
    killedBy: ["PS-STALE-001"],
    wrap: (world) => {
      const latest = new Map<string, Message>();
      return onMessages(world, ({ namespace, options: { durable } }) => (message) => {
        const key = JSON.stringify([namespace, durable, message.sequence]);
        latest.set(key, message);
        const instead = async (): Promise<void> => latest.get(key)?.ack();
        return { ack: (options) => overlooking("LEASE_LOST", message.ack(options), instead) };
      });
    },
  },
  {
    id: "second-settle-accepted",
    title: "A second settle of a delivery resolves",
    contract: "pubsub",
    killedBy: ["PS-ACK-004"],
    wrap: (world) =>
      onMessages(world, () => (message) => {
        const settle = (work: Promise<void>): Promise<void> =>
          overlooking("ALREADY_SETTLED", work, () => undefined);
        return {
          ack: (options) => settle(message.ack(options)),
          nak: (options) => settle(message.nak(options)),
          term: (options) => settle(message.term(options)),
        };
      }),
  },
  {
    id: "extend-does-nothing",
    title: "extend() does not start the ack wait again",
    contract: "pubsub",
    killedBy: ["PS-EXTEND-001"],
    wrap: (world) => onMessages(world, () => () => ({ extend: async () => undefined })),
  },
  {
    id: "buffer-held-on-close",
    title: "A subscription that closes leaves its buffer to the ack wait",
    contract: "pubsub",
    killedBy: ["PS-FLOW-004"],
    wrap: (world) => prefetching(world, async () => undefined),
  },
  {
    id: "buffer-naked-on-close",
    title: "A subscription that closes gives its buffer back with naks, which count as deliveries",
    contract: "pubsub",
    killedBy: ["PS-FLOW-004"],
    wrap: (world) => prefetching(world, (message) => message.nak()),
  },
  {
    id: "in-flight-unbounded",
    title: "maxInFlight is not passed on",
    contract: "pubsub",
    killedBy: ["PS-FLOW-001"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        subscribe: (subject, options = {}) =>
          pubsub.subscribe(subject, { ...options, maxInFlight: 10_000 }),
      })),
  },
  {
    id: "delayed-nak-holds-a-place",
    title: "A message that waits for the delay of its nak counts as in flight",
    contract: "pubsub",
    killedBy: ["PS-FLOW-003"],
    wrap: (world) =>
      onMessages(world, () => (message) => ({
        nak: async ({ delayMs = 0 } = {}) => {
          if (delayMs > 0) await world.clock.sleep(delayMs);
          await message.nak();
        },
      })),
  },
];

function withAckWait(world: World, change: (ackWaitMs: number) => number): Open {
  return onPubsub(world, (pubsub) => ({
    subscribe: (subject, options = {}) =>
      pubsub.subscribe(subject, { ...options, ackWaitMs: change(options.ackWaitMs ?? 30_000) }),
  }));
}

/** What comes back after a nak is given back once more before the program has it. */
function nakBurns(world: World): Open {
  return onPubsub(world, (pubsub) => ({
    subscribe: async (subject, options) => {
      const subscription = await pubsub.subscribe(subject, options);
      const naked = new Set<number>();
      const iterator = (): AsyncIterator<Message> => {
        const inner = subscription[Symbol.asyncIterator]();
        const next = async (): Promise<IteratorResult<Message>> => {
          for (;;) {
            const result = await inner.next();
            if (result.done) return result;
            const message = result.value;
            if (naked.delete(message.sequence)) {
              await message.nak();
              continue;
            }
            const nak: Message["nak"] = async (settling) => {
              naked.add(message.sequence);
              await message.nak(settling);
            };
            return { done: false, value: override(message, { nak }) };
          }
        };
        return { next, return: () => leave(inner) };
      };
      return override(subscription, { [Symbol.asyncIterator]: iterator });
    },
  }));
}

/** Takes messages before the program asks for them, and gives the rest back when it closes. */
function prefetching(world: World, giveBack: (message: Message) => Promise<void>): Open {
  return onPubsub(world, (pubsub) => ({
    subscribe: async (subject, options) => {
      const subscription = await pubsub.subscribe(subject, options);
      const inner = subscription[Symbol.asyncIterator]();
      const buffer = new Mailbox<Message>();
      const fill = async (): Promise<void> => {
        for (;;) {
          const { done, value } = await inner.next();
          if (done) return buffer.end();
          buffer.push(value);
        }
      };
      void fill().catch((error: unknown) => buffer.fail(error));
      const close: typeof subscription.close = async (closing) => {
        buffer.end();
        const buffered = buffer.drain();
        await Promise.allSettled(buffered.map(giveBack));
        const { abandoned } = await subscription.close(closing);
        // What nobody had in hand is not said to be abandoned.
        return { abandoned: Math.max(0, abandoned - buffered.length) };
      };
      const end = async (): Promise<IteratorResult<Message>> => {
        await close();
        return { done: true, value: undefined };
      };
      return override(subscription, {
        close,
        [Symbol.asyncIterator]: () => ({ next: () => buffer.next(), return: end }),
      });
    },
  }));
}
