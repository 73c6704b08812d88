import { type ProcessContext, simulate } from "@busbar/bus-memory";

// One situation, played by hand: a worker is killed while it has a job. Nothing takes real time.

async function mailer({ bus, clock, name, signal }: ProcessContext): Promise<void> {
  while (!signal.aborted) {
    const claim = { workerId: name, leaseMs: 30_000, waitMs: 60_000 };
    for (const job of await bus.jobs.claim("mail", claim)) {
      const seconds = Math.round(clock.monotonic() / 1_000);
      console.log(`after ${seconds} s ${name} has the job, attempt ${job.attempt}`);
      await clock.sleep(5_000);
      await job.ack();
    }
  }
}

const { value } = await simulate({ seed: 1 }, async (world) => {
  const first = world.process("mailer-1", mailer);
  await world.bus.jobs.enqueue("mail", { payload: "to Ann" });
  await world.sleep(1_000);
  first.kill();
  world.process("mailer-2", mailer);
  await world.sleep(60_000);
  return world.bus.jobs.stats("mail");
});
console.log(`${value.ready + value.leased} jobs are left`);
/* Prints, on memory:
after 0 s mailer-1 has the job, attempt 1
after 30 s mailer-2 has the job, attempt 2
0 jobs are left
*/
