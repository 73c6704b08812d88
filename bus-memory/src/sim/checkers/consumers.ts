import { compilePattern } from "@busbar/core/adapter";
import type { TraceEvent } from "../trace.ts";
import type { MessageFacts, SubscribeFacts } from "./facts.ts";
import { isRefused } from "./facts.ts";

/** What is known of one message at one consumer. */
export interface Passage {
  /** The delivery counts that have arrived. */
  readonly counts: Set<number>;
  /** Whether a settle for good was sent and not refused. */
  settles: number;
  /** How often a dead letter may have been brought back. */
  replays: number;
  /** Whether its dead letter may have been removed. */
  isExcused: boolean;
  /** The last confirmed ack. */
  done: { readonly count: number; readonly fromMs: number; readonly toMs: number } | undefined;
}

/** What is known of a durable or an ephemeral subscription. */
export interface ConsumerView {
  readonly name: string;
  readonly isDurable: boolean;
  readonly matches: (subject: string) => boolean;
  readonly from: SubscribeFacts["from"];
  readonly maxDeliveries: number;
  /** The shortest ack wait. */
  readonly ackWaitMs: number;
  /** When the first subscription stood. */
  readonly sinceMs: number;
  readonly passages: Map<number, Passage>;
  /** Its subscriptions that stand, by name, with their processes. */
  readonly members: Map<string, string>;
  /** Whether it ever had a second subscription, or may have had. */
  wasShared: boolean;
  /** The last time at which buffered messages may have been given to somebody else. */
  takenBackAtMs: number;
}

/** Follows durables and subscriptions. */
export class Consumers {
  readonly #views = new Map<string, ConsumerView>();
  readonly #calls = new Map<number, TraceEvent>();
  /** How many subscriptions to each durable were begun, whatever came of them. */
  readonly #begun = new Map<string, number>();
  /** When a subscription to it that never stood may have let go of what it had buffered. */
  readonly #droppedAtMs = new Map<string, number>();
  /** Durables that somebody tried to delete, nobody knows how it ended. */
  readonly #unsure = new Set<string>();

  /** All that exist. */
  get all(): Iterable<ConsumerView> {
    return this.#views.values();
  }

  get(name: string): ConsumerView | undefined {
    return this.#views.get(name);
  }

  /** Whether somebody tried to delete it, with unknown outcome. */
  isUnsure(name: string): boolean {
    return this.#unsure.has(name);
  }

  /** What is known of a message at a consumer. */
  passage({ passages }: ConsumerView, sequence: number): Passage {
    let passage = passages.get(sequence);
    if (passage === undefined) {
      passage = { counts: new Set(), settles: 0, replays: 0, isExcused: false, done: undefined };
      passages.set(sequence, passage);
    }
    return passage;
  }

  /** The consumer of a delivery; none if it is of a durable that was deleted meanwhile. */
  ofDelivery({ consumer, member }: MessageFacts, process: string): ConsumerView | undefined {
    const known = this.#views.get(consumer);
    if (known) return known.members.has(member) ? known : undefined;
    const facts = { consumer, member, durable: false, from: "new", maxDeliveries: Infinity };
    return this.#add(">", facts, { sinceMs: 0, process });
  }

  /** Looks at every event. */
  event(event: TraceEvent): void {
    const { type, op, call, about } = event;
    if (type === "call") {
      if (op === "pubsub.subscribe") this.#subscribing(event);
      else if (op === "pubsub.deleteDurable") {
        this.#calls.set(call, event);
        this.#unsure.add(about);
      }
    } else if (type === "result" || type === "error") {
      if (op === "pubsub.subscribe") this.#subscribed(event);
      else if (op === "pubsub.deleteDurable") this.#deleted(event);
    } else if (type === "note") {
      this.#noted(event);
    } else if (type === "fault" && (op === "partition" || op === "serverCrash")) {
      this.#broken(event);
    }
  }

  #subscribing(event: TraceEvent): void {
    this.#calls.set(event.call, event);
    const { consumer, durable } = event.data as unknown as SubscribeFacts;
    if (!durable) return;
    const begun = (this.#begun.get(consumer) ?? 0) + 1;
    this.#begun.set(consumer, begun);
    const view = this.#views.get(consumer);
    if (view) view.wasShared = true;
  }

  /** The server may know a subscription of which its process was never told. */
  #dropped(consumer: string, atMs: number): void {
    this.#droppedAtMs.set(consumer, atMs);
    const view = this.#views.get(consumer);
    if (view) view.takenBackAtMs = atMs;
  }

  #subscribed({ type, call, process, atMs }: TraceEvent): void {
    const begun = this.#calls.get(call);
    this.#calls.delete(call);
    if (begun === undefined) return;
    const facts = begun.data as unknown as SubscribeFacts;
    if (type === "error") {
      if (facts.durable) this.#dropped(facts.consumer, atMs);
      return;
    }
    const known = facts.durable ? this.#views.get(facts.consumer) : undefined;
    if (known === undefined) {
      this.#add(begun.about, facts, { sinceMs: atMs, process });
    } else {
      known.members.set(facts.member, process);
    }
  }

  #add(
    pattern: string,
    facts: SubscribeFacts,
    { sinceMs, process }: { readonly sinceMs: number; readonly process: string },
  ): ConsumerView {
    const { consumer, member, durable, from, ackWaitMs = 30_000, maxDeliveries } = facts;
    const view: ConsumerView = {
      name: consumer,
      isDurable: durable,
      matches: compilePattern(pattern),
      from,
      maxDeliveries: maxDeliveries ?? (durable ? 5 : Number.POSITIVE_INFINITY),
      ackWaitMs: typeof ackWaitMs === "number" ? ackWaitMs : Math.min(...ackWaitMs),
      sinceMs,
      passages: new Map(),
      members: new Map([[member, process]]),
      wasShared: (this.#begun.get(consumer) ?? 0) > 1,
      takenBackAtMs: this.#droppedAtMs.get(consumer) ?? Number.NEGATIVE_INFINITY,
    };
    this.#views.set(consumer, view);
    return view;
  }

  #deleted(event: TraceEvent): void {
    const begun = this.#calls.get(event.call);
    this.#calls.delete(event.call);
    if (begun === undefined) return;
    if (event.type === "result" || isRefused(event)) this.#unsure.delete(begun.about);
    if (event.type === "result") this.#views.delete(begun.about);
  }

  #noted({ op, process, data, atMs }: TraceEvent): void {
    if (op === "subscription.close") {
      const { consumer, member } = data as unknown as SubscribeFacts;
      const view = this.#views.get(consumer);
      if (view?.members.delete(member)) view.takenBackAtMs = atMs;
    } else if (ENDS.has(op)) {
      for (const [call, begun] of this.#calls) {
        if (begun.process !== process || begun.op !== "pubsub.subscribe") continue;
        this.#calls.delete(call);
        this.#dropped((begun.data as unknown as SubscribeFacts).consumer, atMs);
      }
      for (const view of this.#views.values()) {
        for (const [member, owner] of view.members) {
          if (owner !== process) continue;
          view.members.delete(member);
          view.takenBackAtMs = atMs;
        }
      }
    }
  }

  #broken({ op, process, atMs }: TraceEvent): void {
    for (const view of this.#views.values()) {
      const isConcerned = op === "serverCrash" || [...view.members.values()].includes(process);
      if (isConcerned) view.takenBackAtMs = atMs;
    }
  }
}

const ENDS: ReadonlySet<string> = new Set(["killed", "stopped", "bus.close"]);
