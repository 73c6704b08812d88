import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Row } from "../report.ts";
import { durable, streamLike } from "./raw-client.ts";
import { busbarNames, type NatsSetup } from "./setup.ts";

const WAITERS = 100;
const IDLE_MS = 10_000;
const SETTLE_MS = 1_500;
const QUEUE = "idle";
/** How long a pull of the raw client's `consume` and `next` waits by default. */
const PULL_EXPIRES_MS = 30_000;

interface Cost {
  /** Messages that the server got from its clients. */
  readonly requests: number;
  readonly serverMs: number;
  readonly clientMs: number;
}

/** What waiting costs: so many subscribers and as many claims, for some seconds with no message. */
export async function idleRows(setup: NatsSetup): Promise<Row[]> {
  const busbar = await cost(setup, await busbarWaiters(setup));
  const raw = await cost(setup, await rawWaiters(setup));
  const who = `${WAITERS} subscribers and ${WAITERS} claims waiting ${IDLE_MS / 1_000} s`;
  const row = (name: string, unit: string, of: (side: Cost) => number): Row => ({
    name: `${who}: ${name}`,
    unit,
    busbar: of(busbar),
    raw: of(raw),
  });
  return [
    {
      ...row("requests", "messages", ({ requests }) => requests),
      target: {
        of: "busbar",
        bound: "atMost",
        value: Math.ceil((2 * WAITERS * IDLE_MS) / PULL_EXPIRES_MS),
      },
    },
    row("CPU of the server", "ms", ({ serverMs }) => serverMs),
    row("CPU of the client", "ms", ({ clientMs }) => clientMs),
  ];
}

async function cost(setup: NatsSetup, stop: () => Promise<void>): Promise<Cost> {
  await sleep(SETTLE_MS);
  const before = await look(setup);
  await sleep(IDLE_MS);
  const after = await look(setup);
  await stop();
  return {
    requests: after.requests - before.requests,
    serverMs: after.serverMs - before.serverMs,
    clientMs: after.clientMs - before.clientMs,
  };
}

async function look({ monitorUrl, server }: NatsSetup): Promise<Cost> {
  const varz = (await (await fetch(`${monitorUrl}/varz`)).json()) as { in_msgs: number };
  const { user, system } = process.cpuUsage();
  return {
    requests: varz.in_msgs,
    serverMs: await cpuMs(server.pid),
    clientMs: (user + system) / 1_000,
  };
}

/** CPU time that a process has used; not a number where the system has no /proc. */
async function cpuMs(pid: number | undefined): Promise<number> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // The name, in parentheses, may have spaces; utime and stime are 11 and 12 fields behind it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    return (ticks * 1_000) / ticksPerSecond();
  } catch {
    return Number.NaN;
  }
}

function ticksPerSecond(): number {
  return Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
}

async function busbarWaiters({ bus }: NatsSetup): Promise<() => Promise<void>> {
  const subscriptions = await Promise.all(
    indexes().map((index) =>
      bus.pubsub.subscribe(`bench.idle.${index}`, { durable: `idle-${index}`, from: "new" }),
    ),
  );
  const loops = subscriptions.map(async (subscription) => {
    for await (const message of subscription) await message.ack();
  });
  const stop = new AbortController();
  const claims = indexes().map(async (index) => {
    const workerId = `worker-${index}`;
    const options = { workerId, waitMs: 600_000, signal: stop.signal };
    await bus.jobs.claim(QUEUE, options).catch(() => []);
  });
  return async () => {
    stop.abort();
    await Promise.all([...claims, ...subscriptions.map((one) => one.close()), ...loops]);
    await Promise.all(indexes().map((index) => bus.pubsub.deleteDurable(`idle-${index}`)));
  };
}

async function rawWaiters({ best }: NatsSetup): Promise<() => Promise<void>> {
  await streamLike(best, busbarNames.messages, { name: "idle", subject: "raw.idle.>" });
  await streamLike(best, busbarNames.jobs(QUEUE), { name: "idle-jobs", subject: "raw.idle-jobs" });
  const messages = await Promise.all(
    indexes().map(async (index) => {
      const consumer = await durable(best, "idle", `idle-${index}`, `raw.idle.${index}`);
      return consumer.consume({ max_messages: 32 });
    }),
  );
  const loops = messages.map(async (one) => {
    for await (const message of one) message.ack();
  });
  const queue = await durable(best, "idle-jobs", "p0", "raw.idle-jobs");
  let open = true;
  const nexts = indexes().map(async () => {
    while (open) await queue.next({ expires: PULL_EXPIRES_MS }).catch(() => null);
  });
  return async () => {
    open = false;
    // The end of the consumer ends the waits that are left.
    await best.jsm.streams.delete("idle-jobs");
    await Promise.all([...messages.map((one) => one.close()), ...loops, ...nexts]);
    await best.jsm.streams.delete("idle");
  };
}

function indexes(): readonly number[] {
  return Array.from({ length: WAITERS }, (_, index) => index);
}
