import { type DeadLetter, errorCode, type SubscribeOptions } from "@busbar/core";
import { onDeadLetters, onMessages, onPubsub } from "./contracts.ts";
import { countedByPage, shownLetters } from "./letters.ts";
import type { Mutant } from "./mutant.ts";
import { without } from "./override.ts";

/** Mistakes with subscriptions, durables, their dead letters, and listeners. */
export const subscribing: readonly Mutant[] = [
  {
    id: "ephemeral-from-all",
    title: "An ephemeral subscription begins with all that is stored",
    contract: "pubsub",
    killedBy: ["PS-SUB-004"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        subscribe: (subject, options) => pubsub.subscribe(subject, { from: "all", ...options }),
      })),
  },
  {
    id: "durable-conflict-overlooked",
    title: "A durable that exists is used as it is, whatever the options say",
    contract: "pubsub",
    killedBy: ["PS-DUR-006"],
    wrap: (world) => {
      const made = new Map<string, readonly [string, SubscribeOptions]>();
      return onPubsub(world, (pubsub, namespace) => ({
        subscribe: async (subject, options = {}) => {
          const key = `${namespace} ${options.durable}`;
          try {
            const subscription = await pubsub.subscribe(subject, options);
            made.set(key, [subject, options]);
            return subscription;
          } catch (error) {
            const first = made.get(key);
            if (errorCode(error) !== "CONFLICT" || !first) throw error;
            return pubsub.subscribe(...first);
          }
        },
      }));
    },
  },
  {
    id: "durable-case-folded",
    title: "Durables that differ in case only are one durable",
    contract: "pubsub",
    killedBy: ["PS-NAME-005"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        subscribe: (subject, options = {}) => {
          const { durable } = options;
          const folded = durable === undefined ? {} : { durable: durable.toLowerCase() };
          return pubsub.subscribe(subject, { ...options, ...folded });
        },
      })),
  },
  {
    id: "star-matches-many-words",
    title: "A final * of a subscription covers several words",
    contract: "pubsub",
    killedBy: ["PS-WILD-001"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        subscribe: (subject, options) =>
          pubsub.subscribe(subject.replace(/(?<=^|\.)\*$/, ">"), options),
      })),
  },
  {
    id: "notify-is-stored",
    title: "notify stores its message",
    contract: "pubsub",
    killedBy: ["PS-LIVE-002"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        notify: async (subject, payload, options) =>
          void (await pubsub.publish(subject, payload, options)),
      })),
  },
  {
    id: "listeners-do-not-share",
    title: "Every listener of a group has every message",
    contract: "pubsub",
    killedBy: ["PS-LIVE-004"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        listen: (subject, options = {}) => pubsub.listen(subject, without(options, "group")),
      })),
  },
  {
    id: "closed-listener-keeps-its-share",
    title: "A closed listener still takes its share of its group",
    contract: "pubsub",
    killedBy: ["PS-LIVE-007"],
    wrap: (world) =>
      onPubsub(world, (pubsub) => ({
        listen: async (subject, options) => {
          const listener = await pubsub.listen(subject, options);
          // It lives until its bus is closed.
          await pubsub.listen(subject, options);
          return listener;
        },
      })),
  },
  {
    id: "dead-letter-by-nak-only",
    title: "A message whose last ack wait passes is given up in silence",
    contract: "pubsub",
    killedBy: ["PS-DLQ-002", "PS-DLQ-003"],
    wrap: (world) => {
      const naked = new Set<string>();
      const keyOf = ({ subject, publishedAtMs }: Pick<DeadLetter, "subject" | "publishedAtMs">) =>
        `${subject} ${publishedAtMs}`;
      const open = onMessages(world, () => (message) => ({
        nak: async (options) => {
          await message.nak(options);
          naked.add(keyOf(message));
        },
      }));
      return onDeadLetters({ ...world, open }, "pubsub", (letters) =>
        shownLetters(letters, (letter) => (naked.has(keyOf(letter)) ? [letter] : [])),
      );
    },
  },
  {
    id: "dead-letter-of-every-subscriber",
    title: "Two records are written of one dead message",
    contract: "pubsub",
    killedBy: ["PS-DLQ-001"],
    wrap: (world) =>
      onDeadLetters(world, "pubsub", (letters) =>
        shownLetters(letters, (letter) => [letter, { ...letter, id: `${letter.id}-2` }]),
      ),
  },
  {
    id: "dead-letter-without-headers",
    title: "A dead letter of a durable has no headers",
    contract: "pubsub",
    killedBy: ["PS-DLQ-001"],
    wrap: (world) =>
      onDeadLetters(world, "pubsub", (letters) =>
        shownLetters(letters, (letter) => [{ ...letter, headers: {} }]),
      ),
  },
  {
    id: "replay-publishes",
    title: "A replayed dead letter is published again: other durables have it once more",
    contract: "pubsub",
    killedBy: ["PS-DEAD-006"],
    wrap: (world) =>
      onDeadLetters(world, "pubsub", (letters, { pubsub }) => ({
        replay: async (owner, id) => {
          const letter = await letters.get(owner, id);
          if (!letter || !(await letters.discard(owner, id))) return false;
          const { subject, payload, headers } = letter;
          await pubsub.publish(subject, payload, { headers });
          return true;
        },
      })),
  },
  {
    id: "replay-outlives-durable",
    title:
      "What was replayed stays when its durable is removed, and comes to the next one of its name",
    contract: "pubsub",
    killedBy: ["PS-DEAD-012"],
    wrap: (world) => {
      const replayed = new Map<string, DeadLetter>();
      const open = onDeadLetters(world, "pubsub", (letters) => ({
        replay: async (owner, id) => {
          const letter = await letters.get(owner, id);
          if (letter) replayed.set(owner, letter);
          return letters.replay(owner, id);
        },
      }));
      return onPubsub({ ...world, open }, (pubsub) => ({
        deleteDurable: async (durable) => {
          const letter = replayed.get(durable);
          if (letter) await pubsub.publish(letter.subject, letter.payload);
          return pubsub.deleteDurable(durable);
        },
      }));
    },
  },
  {
    id: "dead-letters-paged-by-place",
    title: "A page of dead letters begins at a place, not after an entry",
    contract: "pubsub",
    killedBy: ["PS-DEAD-002"],
    wrap: (world) =>
      onDeadLetters(world, "pubsub", (letters) => shownLetters(letters, (letter) => [letter])),
  },
  {
    id: "dead-letters-counted-by-page",
    title: "count of dead letters is that of the first page",
    contract: "pubsub",
    killedBy: ["PS-DEAD-010"],
    wrap: (world) => onDeadLetters(world, "pubsub", countedByPage),
  },
  {
    id: "dead-letter-of-the-time-of-publish",
    title: "deadAtMs of a message is the time of its publish",
    contract: "pubsub",
    killedBy: ["PS-DLQ-012"],
    wrap: (world) =>
      onDeadLetters(world, "pubsub", (letters) =>
        shownLetters(letters, (letter) => [{ ...letter, deadAtMs: letter.publishedAtMs }]),
      ),
  },
];
