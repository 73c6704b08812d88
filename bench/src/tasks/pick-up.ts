import { setTimeout as sleep } from "node:timers/promises";
import type { TenantInput } from "@busbar/coordination";
import { checkPayload, type NatsSetup, PAYLOAD } from "../nats/setup.ts";
import type { Row, Target } from "../report.ts";
import { percentile } from "../statistics.ts";
import { COUNTED, TenantWorld, TYPE } from "./tenant-world.ts";

const SAMPLES_PER_ROUND = 100;
/** Pause before each, so that the pool is really idle. */
const IDLE_MS = 3;

const TARGETS: Readonly<Record<number, Target>> = {
  50: { of: "busbar", bound: "atMost", value: 3 },
  99: { of: "busbar", bound: "atMost", value: 20 },
};

/** From `submit` to the handler of an idle pool, in milliseconds. */
export async function pickUpRows(setup: NatsSetup, rounds: number): Promise<Row[]> {
  const one: TenantInput = { id: "one", name: "One" };
  return [
    ...rowsOf("idle pick-up", await times(setup, one, rounds), TARGETS),
    ...rowsOf(
      "idle pick-up, quotas counted",
      await times(setup, { ...one, quotas: COUNTED }, rounds),
      {},
    ),
  ];
}

function rowsOf(
  name: string,
  timesMs: readonly number[],
  targets: Readonly<Record<number, Target>>,
): Row[] {
  return [50, 99].map((percent) => ({
    name: `${name}, p${percent}`,
    unit: "ms",
    busbar: percentile(timesMs, percent),
    target: targets[percent],
  }));
}

async function times(setup: NatsSetup, tenant: TenantInput, rounds: number): Promise<number[]> {
  const bus = await setup.openBus();
  const world = await TenantWorld.open(bus, [tenant], { queue: "pick-up" });
  let arrived: (atMs: number) => void = () => undefined;
  let ended: () => void = () => undefined;
  const pool = await world.work(
    ({ payload }) => {
      arrived(performance.now());
      checkPayload(payload);
    },
    {
      onEvent: ({ type }) => {
        if (type === "ended") ended();
      },
    },
  );
  const once = async (): Promise<number> => {
    const over = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const arrival = new Promise<number>((resolve) => {
      arrived = resolve;
    });
    const sentAtMs = performance.now();
    await world.tasks.submit({ tenant: tenant.id ?? "", type: TYPE, payload: PAYLOAD });
    const tookMs = (await arrival) - sentAtMs;
    await over;
    return tookMs;
  };
  const found: number[] = [];
  for (let sample = -SAMPLES_PER_ROUND; sample < rounds * SAMPLES_PER_ROUND; sample++) {
    await sleep(IDLE_MS);
    const tookMs = await once();
    // The first ones warm up.
    if (sample >= 0) found.push(tookMs);
  }
  await pool.stop();
  await world[Symbol.asyncDispose]();
  await bus.close({ drainMs: 0 });
  return found;
}
