import { collectGarbage } from "../gc.ts";
import { openMemory } from "../memory/setup.ts";
import type { Row, Target } from "../report.ts";
import { median } from "../statistics.ts";
import { COUNTED } from "./tenant-world.ts";
import { type TaskFlow, TaskPipeline } from "./pipeline.ts";

const TASKS = 20_000;
const TARGET: Target = { of: "busbar", bound: "atLeast", value: 50_000 };

const one = { id: "one", name: "One" };
const flow: TaskFlow = {
  name: "on memory: submit, no-op, ack",
  keepResult: false,
  bulk: 1,
  tenants: [one],
};

/** Which flows are measured on the embedded bus. */
export const memoryFlows: readonly (TaskFlow & { readonly target?: Target })[] = [
  { ...flow, target: TARGET },
  { ...flow, name: `${flow.name}, results stored`, keepResult: true },
  { ...flow, name: "on memory: submitMany of 256, no-op, ack", bulk: 256 },
  {
    ...flow,
    name: `${flow.name}, quotas counted`,
    tenants: [{ ...one, quotas: COUNTED }],
  },
];

/** Tasks per second on the embedded bus; each round has a bus of its own. */
export async function memoryRow(
  memoryFlow: TaskFlow & { readonly target?: Target },
  rounds: number,
): Promise<Row> {
  const rates: number[] = [];
  const cpuUs: number[] = [];
  for (let round = -1; round < rounds; round++) {
    await using bus = await openMemory();
    await using pipeline = await TaskPipeline.open(bus, memoryFlow);
    await pipeline.run(TASKS / 4);
    collectGarbage();
    const before = process.threadCpuUsage();
    const { operations, ms } = await pipeline.run(TASKS);
    const { user, system } = process.threadCpuUsage(before);
    // The first round warms up.
    if (round < 0) continue;
    rates.push((operations * 1_000) / ms);
    cpuUs.push((user + system) / operations);
  }
  const { name, target } = memoryFlow;
  const note = `${median(cpuUs).toFixed(1)} µs of CPU time each`;
  return { name, unit: "per second", busbar: median(rates), target, note };
}
