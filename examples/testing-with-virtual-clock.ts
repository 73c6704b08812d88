import { strict as assert } from "node:assert";
import { openBus, toText, VirtualClock } from "@busbar/core";

// How to test a program that waits: give its bus a virtual clock and move time by hand. Nothing here
// takes real time, and every run gives the same result.

/** The program under test: it tries to send a mail, and waits longer after every failure. */
async function sendMails(
  bus: Awaited<ReturnType<typeof openBus>>,
  send: (text: string) => boolean,
): Promise<void> {
  const claim = { workerId: "mailer", leaseMs: 60_000, waitMs: 86_400_000 };
  for (;;) {
    const jobs = await bus.jobs.claim("mail", claim);
    if (jobs.length === 0) return;
    for (const job of jobs) {
      if (send(toText(job.payload))) await job.ack();
      else await job.nak({ delayMs: 600_000 * 2 ** (job.attempt - 1) });
    }
  }
}

const clock = new VirtualClock();
await using bus = await openBus({ backend: "memory", clock });
const startedAt = performance.now();

const triedAtMinute: number[] = [];
const running = sendMails(bus, () => {
  triedAtMinute.push(clock.monotonic() / 60_000);
  return triedAtMinute.length === 4;
});
await bus.jobs.enqueue("mail", { payload: "hello" });

await clock.advance(9 * 60_000);
assert.deepEqual(triedAtMinute, [0], "not before ten minutes are over");
await clock.advance(60_000);
assert.deepEqual(triedAtMinute, [0, 10]);

// Moves from timer to timer until the program is done: it gives up a day after the last job.
await clock.autoAdvance(running, { maxMs: 2 * 86_400_000 });
assert.deepEqual(triedAtMinute, [0, 10, 30, 70]);
assert.equal((await bus.jobs.stats("mail")).ready, 0);

const virtualHours = clock.monotonic() / 3_600_000;
assert.ok(performance.now() - startedAt < 5_000);
console.log(`tried at minutes ${triedAtMinute.join(", ")}`);
console.log(`${Math.floor(virtualHours)} hours passed in less than 5 seconds`);
// The bus waits for its own timers when it closes: let them come.
await clock.autoAdvance(bus.close());
/* Prints, on memory:
tried at minutes 0, 10, 30, 70
25 hours passed in less than 5 seconds
*/
