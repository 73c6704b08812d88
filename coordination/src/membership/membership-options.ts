import { type Bus, type Clock, type Random, systemClock, systemRandom } from "@busbar/core";
import { checkDuration, checkName } from "@busbar/core/adapter";
import type { LeaderElection } from "../election/leader-election.ts";

/** Options of {@link Membership}. Durations are in milliseconds; each has to be larger than the one before. */
export interface MembershipOptions {
  /** Those who share members give the same one. @defaultValue "members" */
  readonly bucket?: string | undefined;
  /** Longest time between two signs of life of a node; a random part of up to a fifth is taken off. @defaultValue 10_000 */
  readonly heartbeatMs?: number | undefined;
  /** A node that was silent for longer is degraded. Default: two heartbeats. */
  readonly degradedAfterMs?: number | undefined;
  /** A node that was silent for longer is unhealthy. Default: three heartbeats. */
  readonly unhealthyAfterMs?: number | undefined;
  /** A node that was silent for longer is offline. Default: ten heartbeats. */
  readonly offlineAfterMs?: number | undefined;
  /** A node that was silent for longer is removed by the sweeper. Default: sixty heartbeats. */
  readonly removeAfterMs?: number | undefined;
  /** Who leads: for the summary, and to step down when this node leaves or is removed. */
  readonly election?: LeaderElection | undefined;
  /** The clock of this process. Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Default: the machine's randomness. */
  readonly random?: Random | undefined;
}

/** {@link MembershipOptions} with everything filled in. */
export interface ResolvedMembershipOptions {
  readonly bus: Bus;
  readonly bucket: string;
  readonly heartbeatMs: number;
  readonly degradedAfterMs: number;
  readonly unhealthyAfterMs: number;
  readonly offlineAfterMs: number;
  readonly removeAfterMs: number;
  readonly election: LeaderElection | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

const MAX_MS = 86_400_000 * 365;

/** @throws RangeError, TypeError, BusError `INVALID_ARGUMENT` */
export function resolveMembershipOptions(
  bus: Bus,
  options: MembershipOptions,
): ResolvedMembershipOptions {
  const { bucket = "members", election, clock = systemClock, random = systemRandom } = options;
  checkName("bucket", bucket);
  const { heartbeatMs = 10_000 } = options;
  checkDuration("heartbeatMs", heartbeatMs, 20, MAX_MS);
  const durations = {
    heartbeatMs,
    degradedAfterMs: options.degradedAfterMs ?? heartbeatMs * 2,
    unhealthyAfterMs: options.unhealthyAfterMs ?? heartbeatMs * 3,
    offlineAfterMs: options.offlineAfterMs ?? heartbeatMs * 10,
    removeAfterMs: options.removeAfterMs ?? heartbeatMs * 60,
  };
  let [lessName, less] = ["", 0];
  for (const [name, value] of Object.entries(durations)) {
    checkDuration(name, value, 1, MAX_MS);
    if (value <= less) {
      throw new RangeError(`${name} must be more than ${lessName} (${less}), got ${value}`);
    }
    [lessName, less] = [name, value];
  }
  return { bus, bucket, ...durations, election, clock, random };
}
