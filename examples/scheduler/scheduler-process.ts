import { setTimeout as sleep } from "node:timers/promises";
import { FencedBucket, LeaderElection, type Leadership } from "@busbar/coordination";
import { type Bus, errorCode, isBusError, openBus, toText } from "@busbar/core";
import type { SchedulerCommand, SchedulerConfig, SchedulerEvent } from "./crew.ts";

// A process that runs the scheduler while it leads. Whoever started it hears of it, and may end it.

const config = JSON.parse(process.argv[2] ?? "") as SchedulerConfig;
const { url, name, ttlMs, everyMs } = config;
const tell = (event: SchedulerEvent): void => void process.send?.(event);

await using bus = await connect();
const election = new LeaderElection({ bus, name: "scheduler", candidateId: name, ttlMs });
const ledger = new FencedBucket({ bus, bucket: "schedule" });
const stop = new AbortController();

process.on("message", (command: SchedulerCommand) => {
  if (command.type === "stop") stop.abort();
  // If the server cannot be told, the leadership ends by itself.
  else void election.resign().catch(() => undefined);
});
// Nobody is left who could end it.
process.on("disconnect", () => process.exit(1));

/** Servers may be busy with themselves. */
async function connect(): Promise<Bus> {
  for (;;) {
    try {
      return await openBus(url);
    } catch (error) {
      if (!isBusError(error) || !error.retryable) throw error;
    }
  }
}

/** One tick after the other; the count goes on where the last leader left it. */
async function schedule({ term, lost }: Leadership): Promise<void> {
  tell({ type: "led", term });
  const mine = ledger.guard(term);
  while (!lost.aborted) {
    const last = await mine.get("tick");
    const tick = Number(last === undefined ? 0 : toText(last.value)) + 1;
    // It may be stopped here, for longer than it leads, and go on without knowing: what it writes then
    // is refused.
    await sleep(everyMs);
    await mine.put("tick", String(tick)).catch((error) => {
      if (errorCode(error) === "CONFLICT") tell({ type: "refused" });
      throw error;
    });
  }
}

tell({ type: "ready" });
while (!stop.signal.aborted) {
  // What goes wrong while servers are away ends a term, not the process.
  await election.whileLeader(schedule, { signal: stop.signal }).catch(() => undefined);
}
// Else the channel to the parent keeps the process alive.
process.removeAllListeners("disconnect");
process.disconnect();
