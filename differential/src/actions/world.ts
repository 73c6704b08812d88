import { type Outcome, outcomeOf } from "../outcome.ts";
import { LEFT_OUT, type Run } from "../run.ts";
import type { StepOf } from "../script.ts";

/** Opens a bus again; one that is open stays as it is. */
export async function openBus(run: Run, step: StepOf<"openBus">): Promise<Outcome> {
  if (!run.closedBuses.delete(step.bus)) return "open";
  run.buses.set(step.bus, await run.world.openBus());
  return "ok";
}

export function closeBus(run: Run, step: StepOf<"closeBus">): Promise<Outcome> {
  run.closedBuses.add(step.bus);
  for (const pending of run.pending.values()) {
    if (pending.bus === step.bus && pending.outcome === undefined) pending.isCutOff = true;
  }
  // What is in hand would be waited for: no time to lose.
  return outcomeOf(
    () => run.bus(step.bus).close({ drainMs: 0 }),
    // Requests and reads that were under way count too: how many, is not promised.
    () => "ok",
  );
}

/** What was in hand is not looked at any more: how much of it outlives a restart is a capability. */
export async function restartServer(run: Run): Promise<Outcome> {
  run.messages.clear();
  run.jobs.clear();
  run.leases.clear();
  for (const pending of run.pending.values()) {
    if (pending.outcome === undefined) pending.isCutOff = true;
  }
  await run.world.restartServer();
  return "ok";
}

/** What became of something in the background. */
export async function join(run: Run, step: StepOf<"join">): Promise<Outcome> {
  const pending = run.pending.get(step.name);
  if (pending === undefined) return "absent";
  // A server of the same bus may answer while it closes.
  if (run.leavesOut(pending.isCutOff)) return LEFT_OUT;
  return run.eventually(() => pending.outcome ?? "pending");
}
