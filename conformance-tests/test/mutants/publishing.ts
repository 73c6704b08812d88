import type { Message, PublishAck, PublishOptions } from "@busbar/core";
import { onMessages, onPubsub } from "./contracts.ts";
import type { Mutant, Open, World } from "./mutant.ts";
import { leave, overlooking, override, without } from "./override.ts";

/** Mistakes on the way from a publisher into the hands of a subscriber. */
export const publishing: readonly Mutant[] = [
  {
    id: "headers-lost",
    title: "Headers of a publish are not sent",
    contract: "pubsub",
    killedBy: ["PS-PUB-001"],
    wrap: (world) => onPublish(world, (options) => without(options, "headers")),
  },
  {
    id: "header-case-folded",
    title: "Names of headers come out in lower case",
    contract: "pubsub",
    killedBy: ["PS-DATA-004"],
    wrap: (world) =>
      onMessages(world, () => ({ headers }) => ({
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
        ),
      })),
  },
  {
    id: "headers-lost-on-redelivery",
    title: "A redelivery has no headers",
    contract: "pubsub",
    killedBy: ["PS-DATA-004"],
    wrap: (world) =>
      onMessages(world, () => ({ deliveryCount, headers }) => ({
        headers: deliveryCount > 1 ? {} : headers,
      })),
  },
  {
    id: "payload-shared-with-publisher",
    title: "A published buffer is stored without a copy",
    contract: "pubsub",
    killedBy: ["PS-DATA-008"],
    wrap: (world) => {
      const given = new Map<string, Uint8Array>();
      const key = (namespace: string, sequence: number): string => `${namespace} ${sequence}`;
      const open = onPubsub(world, (pubsub, namespace) => ({
        publish: async (subject, payload, options) => {
          const ack = await pubsub.publish(subject, payload, options);
          if (typeof payload !== "string") given.set(key(namespace, ack.sequence), payload);
          return ack;
        },
      }));
      return onMessages({ ...world, open }, ({ namespace }) => ({ sequence, payload }) => ({
        payload: given.get(key(namespace, sequence)) ?? payload,
      }));
    },
  },
  {
    id: "payload-shared-by-receivers",
    title: "All deliveries of a message have one buffer",
    contract: "pubsub",
    killedBy: ["PS-DATA-009"],
    wrap: (world) => {
      const shared = new Map<string, Uint8Array>();
      return onMessages(world, ({ namespace }) => (message) => {
        const key = `${namespace} ${message.sequence}`;
        const payload = shared.get(key) ?? message.payload;
        shared.set(key, payload);
        return { payload };
      });
    },
  },
  {
    id: "empty-payload-undefined",
    title: "An empty payload arrives as undefined",
    contract: "pubsub",
    killedBy: ["PS-DATA-001"],
    wrap: (world) =>
      onMessages(world, () => ({ payload }) => ({
        payload: payload.length > 0 ? payload : (undefined as never),
      })),
  },
  {
    id: "payload-too-large-cut",
    title: "A payload over the limit is cut and accepted",
    contract: "pubsub",
    killedBy: ["PS-PUB-006", "CAP-SIZE-001"],
    wrap: (world) =>
      onPubsub(world, (pubsub, _namespace, { capabilities: { maxPayloadBytes } }) => ({
        publish: (subject, payload, options) =>
          overlooking("PAYLOAD_TOO_LARGE", pubsub.publish(subject, payload, options), () =>
            pubsub.publish(subject, new Uint8Array(maxPayloadBytes), options),
          ),
      })),
  },
  {
    id: "published-at-delivery",
    title: "publishedAtMs is the time of the delivery",
    contract: "pubsub",
    killedBy: ["PS-PUB-004"],
    wrap: (world) => onMessages(world, () => () => ({ publishedAtMs: world.clock.now() })),
  },
  {
    id: "publish-retried-without-id",
    title: "One publish of a thousand is sent again and stored twice",
    contract: "pubsub",
    killedBy: ["PS-PUB-009"],
    wrap: (world) => {
      let count = 0;
      return onPubsub(world, (pubsub) => ({
        publish: async (subject, payload, options) => {
          if (++count % 1_000 === 0) await pubsub.publish(subject, payload, options);
          return pubsub.publish(subject, payload, options);
        },
      }));
    },
  },
  {
    id: "message-lost-under-load",
    title: "One message of a thousand is acked by the adapter and not handed out",
    contract: "pubsub",
    killedBy: ["PS-STRESS-001"],
    wrap: (world) => {
      let count = 0;
      return onPubsub(world, (pubsub) => ({
        subscribe: async (subject, options) => {
          const subscription = await pubsub.subscribe(subject, options);
          const iterator = (): AsyncIterator<Message> => {
            const inner = subscription[Symbol.asyncIterator]();
            const next = async (): Promise<IteratorResult<Message>> => {
              const result = await inner.next();
              if (result.done || ++count % 1_000 > 0) return result;
              await result.value.ack();
              return next();
            };
            return { next, return: () => leave(inner) };
          };
          return override(subscription, { [Symbol.asyncIterator]: iterator });
        },
      }));
    },
  },
  {
    id: "order-broken",
    title: "Of two messages that are there at the same time the second is handed out first",
    contract: "pubsub",
    killedBy: ["PS-ORDER-001"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        subscribe: async (subject, options) => {
          const subscription = await pubsub.subscribe(subject, options);
          const iterator = (): AsyncIterator<Message> => {
            const inner = subscription[Symbol.asyncIterator]();
            const pulled: Promise<IteratorResult<Message>>[] = [];
            const pull = (): Promise<IteratorResult<Message>> => pulled.shift() ?? inner.next();
            const next = async (): Promise<IteratorResult<Message>> => {
              const first = await pull();
              if (first.done) return first;
              const second = pull();
              const nothing = Promise.resolve().then(() => undefined);
              const ready = await Promise.race([second, nothing]);
              pulled.unshift(ready && !ready.done ? Promise.resolve(first) : second);
              return ready && !ready.done ? ready : first;
            };
            return { next, return: () => leave(inner) };
          };
          return override(subscription, { [Symbol.asyncIterator]: iterator });
        },
      })),
  },
  {
    id: "message-id-ignored",
    title: "A message id is not sent: the same message is stored twice",
    contract: "pubsub",
    killedBy: ["PS-DEDUP-001"],
    wrap: (world) => onPublish(world, (options) => without(options, "messageId")),
  },
  {
    id: "message-id-looked-up-first",
    title: "A message id is looked up, then remembered when the publish is done",
    contract: "pubsub",
    killedBy: ["PS-DEDUP-003"],
    wrap: (world) => {
      const seen = new Map<string, PublishAck>();
      return onPubsub(world, (pubsub, namespace) => ({
        publish: async (subject, payload, options = {}) => {
          const { messageId, ...rest } = options;
          if (messageId === undefined) return pubsub.publish(subject, payload, rest);
          const known = seen.get(`${namespace} ${messageId}`);
          if (known) return { ...known, duplicate: true };
          const ack = await pubsub.publish(subject, payload, rest);
          seen.set(`${namespace} ${messageId}`, ack);
          return ack;
        },
      }));
    },
  },
  {
    id: "message-id-per-subject",
    title: "A message id counts on its own subject only",
    contract: "pubsub",
    killedBy: ["PS-DEDUP-002"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        publish: (subject, payload, options = {}) => {
          const { messageId } = options;
          const own = messageId ? { messageId: `${subject}-${messageId}`.slice(-256) } : {};
          return pubsub.publish(subject, payload, { ...options, ...own });
        },
      })),
  },
  {
    id: "message-ids-of-all-namespaces",
    title: "Message ids of all namespaces are remembered together",
    contract: "pubsub",
    killedBy: ["PS-NAME-007", "LC-SHARE-004"],
    wrap: (world) => {
      const seen = new Map<string, PublishAck>();
      return onPubsub(world, (pubsub) => ({
        publish: async (subject, payload, options = {}) => {
          const { messageId = "" } = options;
          const known = seen.get(messageId);
          if (known) return { ...known, duplicate: true };
          const ack = await pubsub.publish(subject, payload, options);
          if (messageId !== "") seen.set(messageId, ack);
          return ack;
        },
      }));
    },
  },
  {
    id: "expected-sequence-ignored",
    title: "expectedLastSequence is not sent",
    contract: "pubsub",
    killedBy: ["PS-EXPECT-001"],
    wrap: (world) => onPublish(world, (options) => without(options, "expectedLastSequence")),
  },
  {
    id: "expected-sequence-of-stream",
    title: "expectedLastSequence is compared with the last message of any subject",
    contract: "pubsub",
    killedBy: ["PS-EXPECT-001"],
    wrap: (world) => {
      const last = new Map<string, number>();
      return onPubsub(world, (pubsub, namespace) => ({
        publish: async (subject, payload, options = {}) => {
          const { expectedLastSequence: expected, ...rest } = options;
          // What the subject's own last one is makes no difference.
          const isLast = expected === last.get(namespace);
          const ack = await pubsub.publish(subject, payload, isLast ? rest : options);
          last.set(namespace, ack.sequence);
          return ack;
        },
      }));
    },
  },
  {
    id: "message-id-used-up-by-refusal",
    title: "A message id is remembered before it is known whether the message is stored",
    contract: "pubsub",
    killedBy: ["PS-DEDUP-007"],
    wrap: (world) => {
      const taken = new Set<string>();
      return onPubsub(world, (pubsub, namespace) => ({
        publish: async (subject, payload, options) => {
          const key = `${namespace} ${options?.messageId}`;
          if (taken.has(key)) return { sequence: 1, duplicate: true };
          try {
            return await pubsub.publish(subject, payload, options);
          } catch (error) {
            if (options?.messageId !== undefined) taken.add(key);
            throw error;
          }
        },
      }));
    },
  },
];

function onPublish(world: World, change: (options: PublishOptions) => PublishOptions): Open {
  return onPubsub(world, (pubsub) => ({
    publish: (subject, payload, options = {}) => pubsub.publish(subject, payload, change(options)),
  }));
}
