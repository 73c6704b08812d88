import { type ClaimedJob, errorCode, openBus, toText } from "@busbar/core";

// Jobs are claimed for the time of a lease. A worker that dies loses them to others; a job that
// always fails ends in the dead letters, with its reason, and can be replayed.

await using bus = await openBus();

async function claimOne(workerId: string, leaseMs = 10_000): Promise<ClaimedJob> {
  const [job] = await bus.jobs.claim("mail", { workerId, leaseMs, waitMs: 10_000 });
  if (job === undefined) throw new Error("no job came");
  console.log(`${workerId} has ${toText(job.payload)}, attempt ${job.attempt}`);
  return job;
}

// Whoever enqueues twice with one key makes one job.
const job = { payload: "newsletter", dedupKey: "newsletter-11", maxAttempts: 3 };
const first = await bus.jobs.enqueue("mail", job);
const second = await bus.jobs.enqueue("mail", job);
console.log(`the same job: ${first.id === second.id}, duplicate: ${second.duplicate}`);

// Higher priorities first.
await bus.jobs.enqueue("mail", { payload: "password reset", priority: 9 });
await (await claimOne("ann")).ack();

// Ann dies with the job in her hands. When her lease is over it is handed to somebody else.
const anns = await claimOne("ann", 500);
const bobs = await claimOne("bob");
console.log(`the fence grows: ${bobs.fence > anns.fence}`);
await anns.ack().catch((error) => console.log(`ann comes back: ${errorCode(error)}`));

// Bob fails, and says when it may be tried again. After the last attempt it is dead.
await bobs.nak({ delayMs: 100, reason: "the mail server is away" });
await (await claimOne("carol")).nak({ reason: "the mail server is still away" });
for (const letter of (await bus.jobs.deadLetters.list("mail")).entries) {
  console.log(`dead: ${toText(letter.payload)}, ${letter.reason}, ${letter.attempts} attempts`);
  await bus.jobs.deadLetters.replay("mail", letter.id);
}

// Long work: a heartbeat keeps the job. `lease.lost` says when it is time to stop.
const replayed = await claimOne("bob", 1_000);
await replayed.heartbeat({ leaseMs: 5_000 });
await replayed.ack({ confirm: true });
const { ready, delayed, leased, dead } = await bus.jobs.stats("mail");
console.log(`left: ${ready + delayed + leased}, dead: ${dead}`);
/* Prints, on memory and NATS:
the same job: true, duplicate: true
ann has password reset, attempt 1
ann has newsletter, attempt 1
bob has newsletter, attempt 2
the fence grows: true
ann comes back: LEASE_LOST
carol has newsletter, attempt 3
dead: newsletter, the mail server is still away, 3 attempts
bob has newsletter, attempt 1
left: 0, dead: 0
*/
