import {
  type Bus,
  BusError,
  type Clock,
  type Random,
  systemClock,
  systemRandom,
} from "@busbar/core";
import { checkDuration, checkKey, checkName } from "@busbar/core/adapter";
import { GIVEN_UP_AFTER, RENEWED_EVERY } from "../locks/kept-lease.ts";

/** Options of a {@link LeaderElection}. */
export interface LeaderElectionOptions {
  readonly bus: Bus;
  /** The election: all who give this name, on one bucket, elect one leader. A key. */
  readonly name: string;
  /** Who this is: a plain name of up to 100 characters. */
  readonly candidateId: string;
  /** What others may know about the leader. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Where elections are kept. @defaultValue "elections" */
  readonly bucket?: string | undefined;
  /**
   * How long the leadership of a process that died stands, in milliseconds, 200 to 86_400_000.
   * Smaller: a faster hand-over, and a leader that steps down at smaller troubles.
   * @defaultValue 15_000
   */
  readonly ttlMs?: number | undefined;
  /**
   * A leader steps down when its lease was not renewed for so long, at most nine tenths of `ttlMs`.
   * What is left is the time for its work to stop. Default: two thirds of `ttlMs`.
   */
  readonly stepDownMs?: number | undefined;
  /** From one renewal to the next, at most half of `stepDownMs`. Default: a fifth of `ttlMs`. */
  readonly renewEveryMs?: number | undefined;
  /**
   * How long others wait for a candidate that a leader named with `transfer`, at most `ttlMs`.
   * Default: 2_000, or `ttlMs` if that is less.
   */
  readonly handOverMs?: number | undefined;
  /** The clock of this process. Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Default: the machine's randomness. */
  readonly random?: Random | undefined;
}

/** {@link LeaderElectionOptions} with everything filled in. */
export type ResolvedElectionOptions = {
  readonly [Name in keyof LeaderElectionOptions]-?: Exclude<LeaderElectionOptions[Name], undefined>;
};

const MAX_CANDIDATE_LENGTH = 100;

/** @throws RangeError, TypeError, BusError `INVALID_ARGUMENT` */
export function resolveElectionOptions(options: LeaderElectionOptions): ResolvedElectionOptions {
  const { bus, name, candidateId, metadata = {}, bucket = "elections" } = options;
  const { clock = systemClock, random = systemRandom } = options;
  checkKey(name, "name");
  checkName("bucket", bucket);
  checkCandidate(candidateId);
  const ttlMs = checkDuration("ttlMs", options.ttlMs ?? 15_000, 200, 86_400_000);
  const stepDownMs = checkDuration(
    "stepDownMs",
    options.stepDownMs ?? ttlMs * GIVEN_UP_AFTER,
    100,
    ttlMs,
  );
  const renewEveryMs = checkDuration(
    "renewEveryMs",
    options.renewEveryMs ?? ttlMs * RENEWED_EVERY,
    10,
    ttlMs,
  );
  const handOverMs = options.handOverMs ?? Math.min(ttlMs, 2_000);
  checkDuration("handOverMs", handOverMs, 10, ttlMs);
  if (stepDownMs > 0.9 * ttlMs) {
    throw new RangeError(
      `stepDownMs must be at most nine tenths of ttlMs (${0.9 * ttlMs}), got ${stepDownMs}: a leader has to stop before its lease ends`,
    );
  }
  if (renewEveryMs > stepDownMs / 2) {
    throw new RangeError(
      `renewEveryMs must be at most half of stepDownMs (${stepDownMs / 2}), got ${renewEveryMs}: one lost renewal must not end a leadership`,
    );
  }
  return {
    bus,
    name,
    candidateId,
    metadata: Object.freeze({ ...metadata }),
    bucket,
    ttlMs,
    stepDownMs,
    renewEveryMs,
    handOverMs,
    clock,
    random,
  };
}

/** @throws BusError `INVALID_ARGUMENT` */
export function checkCandidate(candidateId: string): void {
  checkName("owner", candidateId);
  if (candidateId.length <= MAX_CANDIDATE_LENGTH) return;
  throw new BusError(
    "INVALID_ARGUMENT",
    `a candidate id has at most ${MAX_CANDIDATE_LENGTH} characters, got ${candidateId.length}`,
  );
}
