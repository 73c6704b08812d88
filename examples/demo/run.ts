import { Schedules, TaskQueue, TenantDirectory, TenantRegistry } from "@busbar/coordination";
import { type Bus, newId, openBus } from "@busbar/core";
import { QUEUE, TENANTS } from "./cast.ts";
import { formatPromises, type Promised } from "./promises.ts";
import { Story } from "./story.ts";

/** What a run found. */
export interface DemoReport {
  /** The address, without what is secret in it. */
  readonly bus: string;
  readonly server: string;
  readonly seconds: number;
  readonly promises: readonly Promised[];
}

/** Nothing of the demo takes longer. */
const LIMIT_MS = 90_000;

/** Plays the demo, and says what of it was as promised. */
export async function runDemo(base: string): Promise<DemoReport> {
  const url = inNamespace(base, `demo-${newId(undefined, 8)}`);
  await using bus = await openBus(url);
  try {
    return { ...(await play(bus, url)), bus: base.replace(/\/\/.*@/, "//") };
  } finally {
    await bus.removeNamespace();
  }
}

async function play(bus: Bus, url: string): Promise<Omit<DemoReport, "bus">> {
  const tenants = await TenantDirectory.open(new TenantRegistry(bus));
  await using queue = new TaskQueue({ bus, queue: QUEUE, tenants });
  const schedules = new Schedules({ bus, queue, tenants });
  const registry = new TenantRegistry(bus, { cleaners: [queue, schedules] });
  for (const tenant of TENANTS) await registry.register(tenant);
  const story = new Story(
    { bus, url, registry, tenants, queue, schedules },
    AbortSignal.timeout(LIMIT_MS),
  );
  try {
    await story.play();
  } finally {
    await story.stop();
    await tenants.close();
  }
  const promises = story.promises();
  console.log(`${story.board.table()}\n${formatPromises(promises)}`);
  return { server: bus.capabilities.server, seconds: story.board.seconds, promises };
}

/** The same bus in another namespace. Buses in memory meet under a name. */
function inNamespace(url: string, namespace: string): string {
  const [base = "", query = ""] = url.split("?", 2);
  const parameters = new URLSearchParams(query);
  parameters.set("namespace", namespace);
  return `${base === "memory:" ? `memory://${namespace}` : base}?${parameters.toString()}`;
}
