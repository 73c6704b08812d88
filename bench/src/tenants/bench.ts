import { TenantDirectory, TenantRegistry, type TenantInput } from "@busbar/coordination";
import type { Bus } from "@busbar/core";
import { environmentFacts } from "../environment.ts";
import { forEachInFlight, timed } from "../measure.ts";
import type { NatsBenchOptions } from "../nats/bench.ts";
import { openMemory } from "../memory/setup.ts";
import { type NatsSetup, openNatsSetup, PAYLOAD } from "../nats/setup.ts";
import type { Report, Row } from "../report.ts";
import { median, medianRatio } from "../statistics.ts";
import { type TaskFlow, TaskPipeline } from "../tasks/pipeline.ts";
import { TenantWorld, TYPE } from "../tasks/tenant-world.ts";
import { type Footprint, footprint } from "./footprint.ts";
import { RawStreams } from "./raw-streams.ts";

type Options = Pick<NatsBenchOptions, "binary" | "rounds" | "only" | "progress">;

const REGISTERED = 10_000;
/** How many of them have tasks: where the server is looked at. */
const ACTIVE: readonly number[] = [1, 1_000, 10_000];
/** How many take part in the comparison with one. */
const BUSY = 1_000;
/** Submissions of a round, and the tasks of one where they are in bulk. */
const TASKS = 2_000;
const BULK = 10;
const RAW_MESSAGES = 10_000;
const IN_FLIGHT = 64;
/** Streams that are made at a time. */
const FEW_IN_FLIGHT = 16;
const FOOTPRINTS = "footprint";

/** Many tenants on one server: how fast their tasks are, and what they take of the server. */
export async function tenantsBench(options: Options): Promise<Report> {
  const { binary, rounds, only = "", progress } = options;
  const rows: Row[] = [];
  await using setup = await openNatsSetup(binary);
  progress(`register ${count(REGISTERED)} tenants`);
  rows.push(...(await registrationRows(setup)));
  if ("throughput".includes(only)) {
    progress(`throughput of ${count(BUSY)} tenants`);
    rows.push(...(await throughputRows({ where: "on NATS", open: () => setup.openBus() }, rounds)));
    rows.push(...(await rawRows(setup, rounds)));
    rows.push(...(await throughputRows({ where: "on memory", open: () => openMemory() }, rounds)));
  }
  const server = `nats-server ${setup.server.version}`;
  if (FOOTPRINTS.includes(only)) {
    // A server of its own, so that nothing else is in its memory.
    await using fresh = await openNatsSetup(binary);
    for (const active of ACTIVE) {
      progress(`${FOOTPRINTS} of ${count(active)} tenants`);
      rows.push(...(await footprintRows(fresh, active)));
    }
  }
  return { suite: "bench tenants", environment: environmentFacts(server, rounds), rows };
}

async function registrationRows(setup: NatsSetup): Promise<Row[]> {
  const bus = await setup.openBus();
  const registry = new TenantRegistry(bus);
  const registering = await timed(REGISTERED, () =>
    forEachInFlight(inputs(REGISTERED), IN_FLIGHT, (input) => registry.register(input)),
  );
  const startedAtMs = performance.now();
  const directory = await TenantDirectory.open(registry);
  const openedMs = performance.now() - startedAtMs;
  await directory.close();
  await bus.close({ drainMs: 0 });
  const name = `${count(REGISTERED)} tenants`;
  return [
    { name: `register ${name}, ${IN_FLIGHT} in flight`, unit: "s", busbar: registering.ms / 1_000 },
    { name: `open the directory of ${name}`, unit: "s", busbar: openedMs / 1_000 },
  ];
}

/** On which backend. */
interface Backend {
  readonly where: string;
  readonly open: () => Promise<Bus>;
}

const FLOWS: readonly Pick<TaskFlow, "name" | "bulk" | "isQueued">[] = [
  { name: "submit, no-op, ack", bulk: 1 },
  { name: `submitMany of ${BULK}, no-op, ack`, bulk: BULK },
  { name: `submitMany of ${BULK}; then all no-op, ack`, bulk: BULK, isQueued: true },
];

/** Of all tenants many submit in turn; beside a queue of one tenant on the same backend. */
async function throughputRows({ where, open }: Backend, rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const flow of FLOWS) {
    const what = `${where}: ${flow.name}`;
    const rates = await throughput(open, rounds, flow);
    rows.push(
      { name: `${what}, one tenant`, unit: "per second", busbar: median(rates.one) },
      {
        name: `${what}, ${count(BUSY)} of ${count(REGISTERED)} tenants in turn`,
        unit: "per second",
        busbar: median(rates.many),
        ratio: medianRatio(rates.many, rates.one),
        target: { of: "ratio", bound: "atLeast", value: 0.7 },
        note: "the ratio is to one tenant",
      },
    );
  }
  return rows;
}

/** What the server itself makes of a stream for each tenant. */
async function rawRows({ best, bus }: NatsSetup, rounds: number): Promise<Row[]> {
  const one = await RawStreams.make(best, bus.jobs, { name: "one", count: 1 });
  const many = await RawStreams.make(best, bus.jobs, { name: "many", count: BUSY });
  const rows: Row[] = [];
  for (const bulk of [1, BULK]) {
    const rates = { one: [] as number[], many: [] as number[] };
    for (let round = -1; round < rounds; round++) {
      for (const [which, streams] of [
        ["one", one],
        ["many", many],
      ] as const) {
        const { operations, ms } = await streams.run(RAW_MESSAGES, bulk);
        // The first round warms up.
        if (round >= 0) rates[which].push((operations * 1_000) / ms);
      }
    }
    const what = `raw client: publish, pull, ack${bulk === 1 ? "" : ` of ${bulk} at a time`}`;
    rows.push(
      { name: `${what}, one stream`, unit: "per second", busbar: median(rates.one) },
      {
        name: `${what}, ${count(BUSY)} streams in turn`,
        unit: "per second",
        busbar: median(rates.many),
        ratio: medianRatio(rates.many, rates.one),
        note: "what the server itself makes of a stream for each tenant; the ratio is to one stream",
      },
    );
  }
  return rows;
}

/** Tasks a second, round by round. */
async function throughput(
  open: () => Promise<Bus>,
  rounds: number,
  { bulk, ...named }: (typeof FLOWS)[number],
): Promise<Readonly<Record<"one" | "many", readonly number[]>>> {
  const flow = { ...named, bulk, keepResult: false };
  const [oneBus, manyBus] = [await open(), await open()];
  const one = await TaskPipeline.open(oneBus, { ...flow, tenants: inputs(1) });
  const many = await TaskPipeline.open(manyBus, { ...flow, tenants: inputs(REGISTERED) });
  const rates = { one: [] as number[], many: [] as number[] };
  // The first tasks of each make its stream.
  await many.run(BUSY * bulk, BUSY);
  await one.run(TASKS * bulk);
  for (let round = 0; round < rounds; round++) {
    const alone = await one.run(TASKS * bulk);
    const together = await many.run(TASKS * bulk, BUSY);
    rates.one.push((alone.operations * 1_000) / alone.ms);
    rates.many.push((together.operations * 1_000) / together.ms);
  }
  for (const pipeline of [one, many]) await pipeline[Symbol.asyncDispose]();
  for (const bus of [oneBus, manyBus]) await bus.close({ drainMs: 0 });
  return rates;
}

/** What the server has and takes once so many tenants had a task each; it ends with none queued. */
async function footprintRows(setup: NatsSetup, active: number): Promise<Row[]> {
  const before = await footprint(setup);
  const bus = await setup.openBus();
  const world = await TenantWorld.open(bus, inputs(active), { queue: "bench" });
  const first = await timed(active, () =>
    forEachInFlight(inputs(active), FEW_IN_FLIGHT, ({ id = "" }) =>
      world.tasks.submit({ tenant: id, type: TYPE, payload: PAYLOAD, keepResult: false }),
    ),
  );
  const pool = await world.work(() => undefined, { concurrency: FEW_IN_FLIGHT });
  await pool.stop({ mode: "drain", deadlineMs: 600_000 });
  const after = await footprint(setup);
  await world[Symbol.asyncDispose]();
  await bus.close({ drainMs: 0 });
  const each = (of: (side: Footprint) => number): number => (of(after) - of(before)) / active;
  const name = `${count(active)} tenants that had a task`;
  return [
    { name: `${name}: streams`, unit: "added", busbar: after.streams - before.streams },
    { name: `${name}: consumers`, unit: "added", busbar: after.consumers - before.consumers },
    {
      name: `${name}: memory of the server`,
      unit: "KiB each",
      busbar: each(({ memoryBytes }) => memoryBytes) / 1_024,
      note: `${(after.memoryBytes / 2 ** 20).toFixed(0)} MiB in all`,
    },
    {
      name: `${name}: disk`,
      unit: "KiB each",
      busbar: each(({ diskBytes }) => diskBytes) / 1_024,
    },
    { name: `${name}: first submit`, unit: "ms each", busbar: first.ms / active },
  ];
}

function inputs(many: number): TenantInput[] {
  return Array.from({ length: many }, (_, index) => ({ id: `t${index}`, name: `Tenant ${index}` }));
}

function count(many: number): string {
  return many.toLocaleString("en-US");
}
