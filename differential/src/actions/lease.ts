import type { Lease } from "@busbar/core";
import { type Outcome, outcomeOf } from "../outcome.ts";
import { LEFT_OUT, type Run } from "../run.ts";
import type { StepOf } from "../script.ts";

/** Takes a lease; one that waits goes on in the background. */
export function lease(run: Run, step: StepOf<"lease">): Promise<Outcome> {
  const { name, bucket, key, ttl, owner, wait } = step;
  const id = `lease ${bucket}/${key}`;
  if (run.leavesOut(run.waitingLeases.has(id))) return Promise.resolve(LEFT_OUT);
  const view = (granted: Lease): Outcome => {
    run.leases.set(name, granted);
    return {
      key: granted.key,
      grows: run.facts.grows(id, granted.fence),
      owner: owner === undefined ? "random" : granted.owner,
      until: run.atTick(granted.expiresAtMs),
    };
  };
  const work = outcomeOf(
    () =>
      run.bus(step.bus).kv.lease(bucket, key, {
        ttlMs: run.ms(ttl),
        ...(owner !== undefined && { owner }),
        ...(wait !== undefined && { waitMs: run.ms(wait) }),
      }),
    view,
  ).then(hideRandomOwner);
  if (wait === undefined) return work;
  run.waitingLeases.add(id);
  return run.begin(
    name,
    step.bus,
    work.finally(() => run.waitingLeases.delete(id)),
  );
}

export async function leaseCall(run: Run, step: StepOf<"leaseCall">): Promise<Outcome> {
  const held = run.leases.get(step.name);
  if (held === undefined) return "absent";
  if (step.call === "lost") return run.eventually(() => held.lost.aborted);
  if (step.call === "release") return outcomeOf(() => held.release());
  return outcomeOf(
    () => held.heartbeat(),
    () => ({ until: run.atTick(held.expiresAtMs) }),
  );
}

function hideRandomOwner(outcome: Outcome): Outcome {
  if (typeof outcome !== "object" || outcome === null || !("owner" in outcome)) return outcome;
  const { owner } = outcome;
  return typeof owner === "string" && owner.length === 22
    ? { ...outcome, owner: "random" }
    : outcome;
}
