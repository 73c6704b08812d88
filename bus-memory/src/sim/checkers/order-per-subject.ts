import type { CountingChecker } from "../checker.ts";
import type { TraceEvent } from "../trace.ts";
import { Consumers, type ConsumerView } from "./consumers.ts";
import type { MessageFacts } from "./facts.ts";
import { Losses } from "./losses.ts";

/**
 * The messages of a subject come in the order of the stream.
 *
 * *Proves* that the first deliveries (count 1, not replayed) to each subscription have growing
 * sequences on each subject.
 *
 * *Assumes* that the program takes one message after the other: who has several `next()` under way
 * may see them overtake each other on a slow network.
 *
 * *Cannot see* order between the subscriptions of one durable. What one of them has buffered goes to
 * another when it closes, when its process ends or is cut off, when the server crashes, or when its
 * ack wait is over; such a message may come late, and is counted instead. Of a consumer that only
 * ever had one subscription nothing is excused. A crash that lost writes gives their sequences to
 * other messages: those are counted too.
 */
export function orderPerSubject(): CountingChecker {
  return new OrderPerSubject();
}

/** The last message of a subject at a subscription, and between which times it was published. */
interface Last {
  readonly sequence: number;
  readonly fromMs: number;
  readonly toMs: number;
}

class OrderPerSubject implements CountingChecker {
  readonly name = "order per subject";
  readonly #losses = new Losses();
  readonly #consumers = new Consumers();
  /** When the publish of each sequence began; the first one, if a crash lost that. */
  readonly #publishedFromMs = new Map<number, number>();
  readonly #publishes = new Map<number, number>();
  readonly #last = new WeakMap<ConsumerView, Map<string, Last>>();
  readonly #replayed = new WeakMap<ConsumerView, Set<number>>();
  readonly #counts = {
    /** First deliveries. */
    inOrder: 0,
    /** First deliveries that came late because somebody else had buffered them. */
    givenBack: 0,
    /** First deliveries after one that a crash may have lost. */
    afterLoss: 0,
  };

  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  event(event: TraceEvent): string | undefined {
    const { type, op, call, atMs, about, data } = event;
    this.#losses.event(event);
    this.#consumers.event(event);
    if (type === "deliver" && op === "message") return this.#delivered(event);
    if (op === "pubsub.publish") {
      const begunAtMs = this.#publishes.get(call);
      if (type === "call") this.#publishes.set(call, atMs);
      else this.#publishes.delete(call);
      if (type === "result" && begunAtMs !== undefined && data["duplicate"] !== true) {
        const sequence = data["sequence"] as number;
        const known = this.#publishedFromMs.get(sequence);
        if (known === undefined) this.#publishedFromMs.set(sequence, begunAtMs);
      }
    } else if (type === "call" && op === "deadLetters.replay") {
      const consumer = this.#consumers.get(about);
      if (consumer) setOf(this.#replayed, consumer).add(Number(data["id"]));
    }
    return undefined;
  }

  #delivered({ process, about: subject, atMs, data }: TraceEvent): string | undefined {
    const facts = data as unknown as MessageFacts;
    const { sequence, member } = facts;
    const consumer = this.#consumers.ofDelivery(facts, process);
    if (facts.deliveryCount > 1 || consumer === undefined) return undefined;
    if (this.#replayed.get(consumer)?.has(sequence)) return undefined;
    const lines = this.#last.get(consumer) ?? new Map<string, Last>();
    this.#last.set(consumer, lines);
    const line = `${member}\n${subject}`;
    const last = lines.get(line);
    const isLost = last !== undefined && this.#losses.write(last.fromMs, last.toMs);
    if (last === undefined || sequence >= last.sequence || isLost) {
      const fromMs = this.#publishedFromMs.get(sequence) ?? Number.NEGATIVE_INFINITY;
      lines.set(line, { sequence, fromMs, toMs: atMs });
      this.#counts[isLost ? "afterLoss" : "inOrder"] += 1;
      return undefined;
    }
    if (this.#mayBeLate(consumer, sequence, atMs)) {
      this.#counts.givenBack += 1;
      return undefined;
    }
    return `${consumer.name} at ${process}: the first delivery of message ${sequence} on ${subject} came after that of ${last.sequence}`;
  }

  /** Whether another subscription may have had it in its buffer. */
  #mayBeLate(consumer: ConsumerView, sequence: number, atMs: number): boolean {
    if (!consumer.wasShared) return false;
    const publishedMs = this.#publishedFromMs.get(sequence);
    if (publishedMs === undefined) return true;
    return publishedMs <= consumer.takenBackAtMs || atMs - publishedMs >= consumer.ackWaitMs;
  }
}

function setOf(sets: WeakMap<ConsumerView, Set<number>>, consumer: ConsumerView): Set<number> {
  const set = sets.get(consumer) ?? new Set<number>();
  sets.set(consumer, set);
  return set;
}
