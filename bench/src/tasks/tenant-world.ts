import {
  type TaskHandler,
  TaskQueue,
  TenantDirectory,
  type TenantInput,
  type TenantQuotas,
  TenantRegistry,
  WorkerPool,
  type WorkerPoolOptions,
} from "@busbar/coordination";
import type { Bus, Clock, Random } from "@busbar/core";
import { forEachInFlight } from "../measure.ts";

/** No limit at all: nothing is asked of a tenant's quotas. */
export const UNLIMITED: TenantQuotas = {
  running: null,
  perDay: null,
  perMinute: null,
  scheduled: null,
  queued: null,
  storedBytes: null,
  payloadBytes: null,
};

/** Limits on what is limited by default, so high that none is met: what is measured is the counting. */
export const COUNTED: TenantQuotas = {
  ...UNLIMITED,
  running: 1_000,
  perDay: 1_000_000_000,
  perMinute: 1_000_000_000,
  storedBytes: 1_000_000_000_000,
};

/** The type of all tasks. */
export const TYPE = "work";

/** Registrations that are under way at a time. */
const REGISTERED_AT_ONCE = 64;

/** How a {@link TenantWorld} is made. */
export interface TenantWorldOptions {
  /** Name of its queue. */
  readonly queue: string;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/** Tenants with a queue of tasks on a bus. */
export class TenantWorld implements AsyncDisposable {
  readonly tasks: TaskQueue;
  readonly tenants: TenantDirectory;
  readonly #bus: Bus;
  readonly #options: TenantWorldOptions;

  private constructor(bus: Bus, tenants: TenantDirectory, options: TenantWorldOptions) {
    this.#bus = bus;
    this.#options = options;
    this.tenants = tenants;
    this.tasks = new TaskQueue({ bus, tenants, ...options });
  }

  /** Registers tenants; their quotas are unlimited unless they say more. */
  static async open(
    bus: Bus,
    inputs: readonly TenantInput[],
    options: TenantWorldOptions,
  ): Promise<TenantWorld> {
    const registry = new TenantRegistry(bus, options);
    await forEachInFlight(inputs, REGISTERED_AT_ONCE, (input) =>
      registry.register({ quotas: UNLIMITED, ...input }),
    );
    return new TenantWorld(bus, await TenantDirectory.open(registry), options);
  }

  /** Starts a pool that runs all tasks with one handler. */
  async work(
    handler: TaskHandler,
    options: Pick<WorkerPoolOptions, "concurrency" | "onEvent">,
  ): Promise<WorkerPool> {
    const pool = new WorkerPool({
      bus: this.#bus,
      tenants: this.tenants,
      handlers: { [TYPE]: handler },
      ...this.#options,
      ...options,
    });
    await pool.start();
    return pool;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tasks.close();
    await this.tenants.close();
  }
}
