import { type Bus, newId, openBus, toText } from "@busbar/core";

// The other process: does what its task says on the file, and tells the parent what is certain.

const [file = "", task = ""] = process.argv.slice(2);
const bus = await openBus({ backend: "@busbar-examples/sqlite-bus", file });

const tasks: Readonly<Record<string, (bus: Bus) => Promise<void>>> = { write, hold, serve, drain };
await tasks[task]?.(bus);

function tell(what: unknown): void {
  process.send?.(what);
}

/** Writes without end; each number is told once it was acknowledged everywhere. */
async function write({ pubsub, jobs, kv }: Bus): Promise<void> {
  for (let number = 1; ; number++) {
    const text = String(number);
    await pubsub.publish("numbers", text, { messageId: text });
    await jobs.enqueue("numbers", { payload: text, dedupKey: text });
    await kv.put("numbers", `n${text}`, text);
    tell(number);
  }
}

/** Takes a message, a job and a lease, and keeps them. */
async function hold({ pubsub, jobs, kv }: Bus): Promise<void> {
  const { fence } = await kv.lease("locks", "door", { ttlMs: 400, owner: "first" });
  const [job] = await jobs.claim("work", { workerId: "first", leaseMs: 400 });
  const subscription = await pubsub.subscribe("work", { durable: "d", ackWaitMs: 400 });
  for await (const message of subscription) {
    tell({ fence, job: job?.fence, message: toText(message.payload) });
    await new Promise(() => undefined);
  }
}

/** Answers requests, and publishes what it hears. */
async function serve({ pubsub, rpc }: Bus): Promise<void> {
  await rpc.serve("greet", ({ payload }) => `hello, ${toText(payload)}`);
  const listener = await pubsub.listen("said");
  tell("ready");
  for await (const { payload } of listener) {
    await pubsub.publish("heard", payload, { messageId: newId() });
  }
}

/** Works on jobs until there is none, tells which. */
async function drain({ jobs }: Bus): Promise<void> {
  const done: string[] = [];
  for (;;) {
    const claimed = await jobs.claim("many", { workerId: "other", max: 7, waitMs: 300 });
    if (claimed.length === 0) break;
    for (const job of claimed) {
      done.push(toText(job.payload));
      await job.ack();
    }
  }
  tell(done);
  await bus.close();
}
