import type { CrashOptions } from "../memory-server.ts";

/** Two numbers, the smaller one first, between which a value is drawn. */
export type Range = readonly [min: number, max: number];

/** Something that comes again and again: how long until the next time, and for how long. */
export interface Spell {
  /** From the end of one to the beginning of the next, in milliseconds. */
  readonly everyMs: Range;
  /** How long it lasts, in milliseconds. */
  readonly forMs: Range;
}

/**
 * What may go wrong. All of it is drawn from the seed; what is not named does not happen.
 * Probabilities are numbers from 0 to 1, durations are in milliseconds of the world's time.
 */
export interface FaultOptions {
  /** How long everything takes from a process to the server, or back. @defaultValue [0, 0] */
  readonly delayMs?: Range;
  /** Probability that what a process sends overtakes what it sent before. Needs a delay. */
  readonly reorder?: number;
  /** Probability that a request never reaches the server: the call rejects with `TIMEOUT`. */
  readonly dropRequest?: number;
  /**
   * Probability that the server's answer is lost, that of a publish above all: what was asked is
   * done, the call rejects with `TIMEOUT`.
   */
  readonly dropReply?: number;
  /** Probability that an ack, nak or term that is not confirmed never reaches the server. */
  readonly dropSettle?: number;
  /** Probability that a delivery is lost on its way, and comes again when its time is over. */
  readonly dropDelivery?: number;
  /** Probability that a publish with a message id, an enqueue with a dedup key, or a settle is sent twice. */
  readonly duplicate?: number;
  /** Probability that a process lets a delivery lie before it looks at it, and for how long. */
  readonly slow?: { readonly chance: number; readonly forMs: Range };
  /** A process is cut off from the server. What is under way is lost. */
  readonly partition?: Spell;
  /** A process stands still: nothing reaches it, and its timers are late. */
  readonly pause?: Spell;
  /** A process is killed, and started again with a new bus after `forMs`. */
  readonly crash?: Spell;
  /** The server is killed, and started again after `forMs`. Says what it forgets. */
  readonly serverCrash?: Spell & CrashOptions;
  /** How wrong the wall clocks of processes are: each is off by up to so many milliseconds, either way. */
  readonly skewMs?: number;
  /** How wrong their speed is: 0.05 stands for 5 per cent too slow to 5 per cent too fast. */
  readonly clockDrift?: number;
}

/** {@link FaultOptions} with everything filled in. */
export interface ResolvedFaults {
  readonly delayMs: Range;
  readonly reorder: number;
  readonly dropRequest: number;
  readonly dropReply: number;
  readonly dropSettle: number;
  readonly dropDelivery: number;
  readonly duplicate: number;
  readonly slow: { readonly chance: number; readonly forMs: Range } | undefined;
  readonly partition: Spell | undefined;
  readonly pause: Spell | undefined;
  readonly crash: Spell | undefined;
  readonly serverCrash: (Spell & Required<CrashOptions>) | undefined;
  readonly skewMs: number;
  readonly clockDrift: number;
}

/** Every fault at once, as often as a busy week has them in an hour. */
export const ALL_FAULTS: FaultOptions = Object.freeze({
  delayMs: [0.2, 20],
  reorder: 0.05,
  dropRequest: 0.01,
  dropReply: 0.01,
  dropSettle: 0.02,
  dropDelivery: 0.01,
  duplicate: 0.02,
  slow: { chance: 0.02, forMs: [50, 2_000] },
  partition: { everyMs: [10_000, 60_000], forMs: [100, 10_000] },
  pause: { everyMs: [10_000, 60_000], forMs: [100, 10_000] },
  crash: { everyMs: [20_000, 90_000], forMs: [100, 5_000] },
  serverCrash: { everyMs: [30_000, 120_000], forMs: [50, 3_000], lostSettlesMs: 200 },
  skewMs: 10_000,
  clockDrift: 0.05,
} as const satisfies FaultOptions);

const MAX_MS = 86_400_000;
const PROBABILITIES = [
  "reorder",
  "dropRequest",
  "dropReply",
  "dropSettle",
  "dropDelivery",
  "duplicate",
] as const;
const SPELLS = ["partition", "pause", "crash", "serverCrash"] as const;
const KNOWN = new Set<string>([
  ...PROBABILITIES,
  ...SPELLS,
  "delayMs",
  "slow",
  "skewMs",
  "clockDrift",
]);

/** Fills in what is not given. @throws TypeError, RangeError with field, value and what is allowed */
export function resolveFaults(options: FaultOptions = {}): ResolvedFaults {
  for (const field of Object.keys(options)) {
    if (!KNOWN.has(field)) {
      throw new TypeError(`faults.${field}: no such fault; there are ${[...KNOWN].join(", ")}`);
    }
  }
  const { slow, serverCrash } = options;
  for (const field of SPELLS) {
    const spell = options[field];
    if (spell === undefined) continue;
    checkRange(`${field}.everyMs`, spell.everyMs, 1);
    checkRange(`${field}.forMs`, spell.forMs, 0);
  }
  if (slow) {
    checkNumber("slow.chance", slow.chance, 0, 1);
    checkRange("slow.forMs", slow.forMs, 0);
  }
  const numbers = Object.fromEntries(
    PROBABILITIES.map((field) => [field, checkNumber(field, options[field] ?? 0, 0, 1)]),
  ) as Record<(typeof PROBABILITIES)[number], number>;
  return {
    ...numbers,
    delayMs: checkRange("delayMs", options.delayMs ?? [0, 0], 0),
    slow,
    partition: options.partition,
    pause: options.pause,
    crash: options.crash,
    serverCrash: serverCrash && {
      ...serverCrash,
      lostSettlesMs: checkNumber(
        "serverCrash.lostSettlesMs",
        serverCrash.lostSettlesMs ?? 0,
        0,
        MAX_MS,
      ),
      lostWritesMs: checkNumber(
        "serverCrash.lostWritesMs",
        serverCrash.lostWritesMs ?? 0,
        0,
        MAX_MS,
      ),
    },
    skewMs: checkNumber("skewMs", options.skewMs ?? 0, 0, MAX_MS),
    clockDrift: checkNumber("clockDrift", options.clockDrift ?? 0, 0, 0.5),
  };
}

function checkNumber(field: string, value: number, min: number, max: number): number {
  if (typeof value === "number" && value >= min && value <= max) return value;
  throw new RangeError(`faults.${field} must be a number from ${min} to ${max}, got ${value}`);
}

function checkRange(field: string, range: Range, min: number): Range {
  const [from, to] = Array.isArray(range) ? (range as Range) : [Number.NaN, Number.NaN];
  if (from >= min && to >= from && to <= MAX_MS) return range;
  throw new RangeError(
    `faults.${field} must be [min, max] with ${min} <= min <= max <= ${MAX_MS}, got ${JSON.stringify(range)}`,
  );
}
