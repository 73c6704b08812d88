import { type Bus, errorCode, isBusError } from "@busbar/core";

/** Who holds a lease, as far as its backend says. */
export interface LeaseHolder {
  readonly owner: string;
  /** How long it stands if it is not renewed. */
  readonly leftMs: number;
}

/** The owner of a lease that was taken only to see whether it is free; never for longer than this TTL. */
export const PROBE = "-";
export const PROBE_TTL_MS = 50;

/**
 * Asks the lease itself who holds it. The contract has no way to look without taking: a lease that is
 * free is taken for as long as it takes to give it back.
 */
export async function leaseHolder(
  bus: Bus,
  bucket: string,
  key: string,
): Promise<LeaseHolder | undefined> {
  try {
    const probe = await bus.kv.lease(bucket, key, { ttlMs: PROBE_TTL_MS, owner: PROBE });
    await probe.release();
    return undefined;
  } catch (error) {
    if (errorCode(error) === "LEASE_LOST") return undefined;
    if (!isBusError(error) || error.code !== "LEASE_HELD") throw error;
    const { owner, leftMs = 0 } = error.details as { owner?: string; leftMs?: number };
    return owner === undefined || owner === PROBE ? undefined : { owner, leftMs };
  }
}
