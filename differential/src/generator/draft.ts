import type { JobSpec, ReaderOptions, Step } from "../script.ts";
import type { Dice } from "./dice.ts";

type WithoutId<S> = S extends Step ? Omit<S, "id"> : never;
/** A step before it has its number. */
export type NewStep = WithoutId<Step>;

/** A durable that a script uses. */
export interface DurablePlan {
  readonly durable: string;
  readonly subject: string;
  readonly options: ReaderOptions;
}

/** A bucket that a script uses. */
export interface BucketPlan {
  readonly bucket: string;
  readonly history?: number;
  readonly ttl?: number;
}

/** A whole number of units, and as much as it takes to end between the windows of two ticks. */
export function span(whole: number): number {
  return whole + 0.45;
}

/** How long somebody waits: a little longer, so that what ends at the same time comes before. */
export function patience(whole: number): number {
  return whole + 0.56;
}

const SUBJECTS = ["a.b", "a.c", "a.b.c", "x", "y.z"];
const PATTERNS = ["a.b", "a.b", "a.*", "a.>", ">", "*.b", "x"];

/** A script in the making: its steps, and what they may refer to. */
export class Draft {
  readonly dice: Dice;
  readonly steps: Step[] = [];
  readonly subjects: readonly string[] = SUBJECTS;
  readonly durables: readonly DurablePlan[];
  readonly queues: readonly string[];
  readonly buckets: readonly BucketPlan[];
  /** Long-lived subscriptions, listeners, watches, servers, leases by name. */
  readonly subscriptions: string[] = [];
  readonly listeners: string[] = [];
  readonly watches: string[] = [];
  readonly servers: string[] = [];
  readonly leases: string[] = [];
  /** Servers that take long, by subject. */
  readonly slowServers: Map<string, string> = new Map();
  /** Steps in the background that nobody has looked at. */
  readonly begun: string[] = [];
  readonly messageIds: string[] = [];
  #names = 0;

  /**
   * Whether nothing in it runs out: a server that was restarted knows the ends of what it had handed
   * out only to the second.
   */
  readonly isCalm: boolean;

  constructor(dice: Dice, isCalm: boolean = false) {
    this.dice = dice;
    this.isCalm = isCalm;
    const count = dice.int(1, 3);
    this.durables = Array.from({ length: count }, (_, index) => ({
      durable: `d${index}`,
      subject: dice.pick(PATTERNS),
      options: this.readerOptions(true),
    }));
    this.queues = ["q", "q.two"].slice(0, dice.int(1, 2));
    this.buckets = ["b", "b.two"].slice(0, dice.int(1, 2)).map((bucket) => {
      const history = dice.maybe(0.5, () => dice.int(2, 5));
      const ttl = this.mayEnd(0.15, () => span(dice.int(1, 3)));
      return {
        bucket,
        ...(history !== undefined && { history }),
        ...(ttl !== undefined && { ttl }),
      };
    });
  }

  /** Adds a step. */
  add(step: NewStep): void {
    this.steps.push({ ...step, id: this.steps.length } as Step);
  }

  /** One of the two buses. */
  bus(): number {
    return this.dice.int(0, 1);
  }

  /** A name that was not used. */
  name(kind: string): string {
    return `${kind}${++this.#names}`;
  }

  /** A pattern of subjects. */
  pattern(): string {
    return this.dice.pick(PATTERNS);
  }

  /** Options of a subscription; what is read one tick after the other may wait for odd times. */
  readerOptions(polled: boolean): ReaderOptions {
    const { dice } = this;
    const from = dice.weighted<ReaderOptions["from"]>([
      [5, undefined],
      [2, "all"],
      [2, "new"],
      [1, { publish: dice.int(0, 3) }],
      [1, { tick: 0 }],
    ]);
    const ackWait = polled ? this.mayEnd(0.5, () => span(dice.int(0, 2))) : undefined;
    // Whoever takes at once has a redelivery at an odd time: from then on in whole units.
    const backoff = this.mayEnd(polled ? 0.15 : 0.3, () =>
      polled
        ? [span(dice.int(0, 1)), span(dice.int(0, 2))]
        : [span(dice.int(0, 1)), dice.int(1, 2), dice.int(1, 3)],
    );
    const maxDeliveries = dice.maybe(0.6, () => dice.int(0, 3));
    const maxInFlight = dice.maybe(0.3, () => dice.int(polled ? 1 : 2, 8));
    return {
      ...(from !== undefined && { from }),
      ...(ackWait !== undefined && !backoff && { ackWait }),
      ...(backoff && { backoff }),
      ...(maxDeliveries !== undefined && { maxDeliveries }),
      ...(maxInFlight !== undefined && { maxInFlight }),
    };
  }

  /**
   * Whether a restart is still to come: a server forgets then what was given back and not handed out
   * again, until its ack wait is over.
   */
  get isBeforeRestart(): boolean {
    return this.isCalm && !this.steps.some(({ op }) => op === "restartServer");
  }

  /** A length of time with this probability, where something may run out. */
  mayEnd<T>(probability: number, value: () => T): T | undefined {
    return this.isCalm ? undefined : this.dice.maybe(probability, value);
  }

  /** A job. */
  job(): JobSpec {
    const { dice } = this;
    // What a job queue's server knows of finished jobs does not outlive it.
    const dedupKey = this.isBeforeRestart
      ? undefined
      : dice.maybe(0.2, () => `key${dice.int(0, 2)}`);
    const priority = dice.maybe(0.35, () => dice.pick([0, 1, 5, 9]));
    const delay = this.mayEnd(0.2, () => span(dice.int(0, 2)));
    const maxAttempts = dice.maybe(0.4, () => dice.int(1, 3));
    const headers = dice.maybe(0.15, () => ({ Kind: "job", Many: ["a", "b"] }));
    return {
      ...(dedupKey !== undefined && { dedupKey }),
      ...(priority !== undefined && { priority }),
      ...(delay !== undefined && { delay, ...(dice.chance(0.3) && { runAt: true }) }),
      ...(maxAttempts !== undefined && { maxAttempts }),
      ...(headers && { headers }),
    };
  }
}
