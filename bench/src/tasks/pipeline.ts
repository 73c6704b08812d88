import type { TaskInput, TenantInput } from "@busbar/coordination";
import type { Bus } from "@busbar/core";
import type { ConsumerMessages } from "@nats-io/jetstream";
import { forEachInFlight, type Side, type Slice, timed } from "../measure.ts";
import type { ComparisonRow } from "../nats/comparison-row.ts";
import { openQueues, type RawQueue } from "../nats/jobs.ts";
import { checkPayload, PAYLOAD } from "../nats/setup.ts";
import type { Target } from "../report.ts";
import { FinishLine } from "./finish-line.ts";
import { COUNTED, TenantWorld, TYPE } from "./tenant-world.ts";

/** Tasks of a slice. */
const TASKS = 5_000;
/** Submissions that are under way at a time, tasks that run at a time, and what the raw client has of both. */
const IN_FLIGHT = 256;
const BULK = 256;

const atLeast = (value: number): Target => ({ of: "ratio", bound: "atLeast", value });

/** What a row of tasks does. */
export interface TaskFlow {
  readonly name: string;
  readonly keepResult: boolean;
  /** Tasks of one `submitMany`; 1 for `submit`. */
  readonly bulk: number;
  /** Nothing is run before everything is submitted. */
  readonly isQueued?: boolean;
  readonly tenants: readonly TenantInput[];
}

const one: TenantInput = { id: "one", name: "One" };
const counted: TenantInput = { ...one, quotas: COUNTED };

/** Submits tasks, runs them by a handler that does nothing, and ends when all are acknowledged. */
export class TaskPipeline implements AsyncDisposable {
  readonly #bus: Bus;
  readonly #flow: TaskFlow;
  readonly #world: TenantWorld;
  readonly #line = new FinishLine();
  #end: () => Promise<unknown> = () => Promise.resolve();

  private constructor(bus: Bus, flow: TaskFlow, world: TenantWorld) {
    this.#bus = bus;
    this.#flow = flow;
    this.#world = world;
  }

  /** Registers its tenants in a namespace and starts a pool. */
  static async open(bus: Bus, flow: TaskFlow): Promise<TaskPipeline> {
    const world = await TenantWorld.open(bus, flow.tenants, { queue: "bench" });
    const pipeline = new TaskPipeline(bus, flow, world);
    const pool = await world.work(({ payload }) => checkPayload(payload), {
      concurrency: IN_FLIGHT,
      onEvent: ({ type }) => {
        if (type === "ended") pipeline.#line.passed();
      },
    });
    pipeline.#end = () => pool.stop({ mode: "abort" });
    return pipeline;
  }

  /** So many tasks, of the first tenants in turn: each submits one, or a bulk. */
  async run(count: number, active = this.#flow.tenants.length): Promise<Slice> {
    const { tenants, keepResult, bulk, isQueued } = this.#flow;
    const { tasks } = this.#world;
    const inputs = Array.from({ length: count }, (_, index): TaskInput => {
      const { id = "" } = tenants[Math.floor(index / bulk) % active] as TenantInput;
      return { tenant: id, type: TYPE, payload: PAYLOAD, keepResult };
    });
    return timed(count, async () => {
      const ended = this.#line.after(count);
      if (isQueued) await tasks.pauseAll();
      if (bulk === 1) await forEachInFlight(inputs, IN_FLIGHT, (input) => tasks.submit(input));
      else {
        const bulks = Array.from({ length: Math.ceil(count / bulk) }, (_, index) =>
          inputs.slice(index * bulk, (index + 1) * bulk),
        );
        await forEachInFlight(bulks, Math.max(1, IN_FLIGHT / bulk), (some) =>
          tasks.submitMany(some),
        );
      }
      if (isQueued) await tasks.resumeAll();
      await ended;
      // The answer comes behind the acks: the server has all of them.
      await this.#bus.kv.get("bench", "nothing");
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    await this.#world[Symbol.asyncDispose]();
  }
}

/** Publishes, and acknowledges what a consumer brings meanwhile. */
async function rawPipeline({ client, subject, consumer }: RawQueue, count: number): Promise<void> {
  const items = Array.from({ length: count }, (_, index) => index);
  let messages: ConsumerMessages | undefined;
  const consuming = (async () => {
    messages = await consumer.consume({ max_messages: IN_FLIGHT });
    let left = count;
    for await (const message of messages) {
      checkPayload(message.data);
      left -= 1;
      if (left > 0) message.ack();
      else {
        await message.ackAck();
        break;
      }
    }
  })();
  await forEachInFlight(items, IN_FLIGHT, () => client.js.publish(subject, PAYLOAD));
  await consuming;
  await messages?.close();
}

function pipelineRow(
  flow: TaskFlow,
  about: Pick<ComparisonRow, "target" | "note"> = {},
): ComparisonRow {
  return {
    ...about,
    name: flow.name,
    slices: 3,
    open: async (setup) => {
      const [best, plain] = await openQueues(setup);
      const bus = await setup.openBus();
      const pipeline = await TaskPipeline.open(bus, flow);
      const raw = (queue: RawQueue): Side => ({
        run: () => timed(TASKS, () => rawPipeline(queue, TASKS)),
      });
      return {
        busbar: { run: () => pipeline.run(TASKS) },
        raw: raw(best),
        rawDefault: raw(plain),
        close: async () => {
          await pipeline[Symbol.asyncDispose]();
          await bus.close({ drainMs: 0 });
        },
      };
    },
  };
}

const flow = { keepResult: false, bulk: 1, tenants: [one] } as const;

/** Tasks from their submission to their ack, beside messages of the raw client. */
export const pipelineRows: readonly ComparisonRow[] = [
  pipelineRow(
    { ...flow, name: "submit, no-op, ack" },
    {
      target: atLeast(0.5),
      note: `raw: js.publish, consume({ max_messages: ${IN_FLIGHT} }), ack; ${IN_FLIGHT} in flight on either side`,
    },
  ),
  pipelineRow(
    { ...flow, name: "submit, no-op, ack, results stored", keepResult: true },
    { target: atLeast(0.3) },
  ),
  pipelineRow({ ...flow, name: `submitMany of ${BULK}, no-op, ack`, bulk: BULK }),
  pipelineRow({ ...flow, name: "submit, no-op, ack, quotas counted", tenants: [counted] }),
  pipelineRow({
    ...flow,
    name: "submit, no-op, ack, results stored, quotas counted",
    keepResult: true,
    tenants: [counted],
  }),
];
