import { type Bus, openBus, type QueueStats, seededRandom, VirtualClock } from "@busbar/core";
import {
  Admission,
  type AdmissionParts,
  type TaskAmount,
  type Tenant,
  type TenantQuotas,
} from "../../src/index.ts";
import { UNLIMITED } from "../support/task-setup.ts";
import { overriding } from "../support/overriding.ts";

/** What a tenant is registered with. */
export const DEFAULT_QUOTAS: TenantQuotas = {
  running: 10,
  perDay: 1_000,
  perMinute: 1_000,
  scheduled: 50,
  queued: null,
  storedBytes: 10_000_000_000,
  payloadBytes: null,
};

/** A tenant with these quotas; what is left out is unlimited. */
export function tenantWith(quotas: Partial<TenantQuotas>, revision = 1): Tenant {
  return {
    id: "acme",
    name: "Acme",
    description: "",
    metadata: {},
    status: "active",
    settings: { retentionDays: 1, audit: false },
    weight: 1,
    quotas: { ...UNLIMITED, ...quotas },
    resources: { memoryBytes: 0, connections: 0 },
    fields: {},
    storageId: "acme00000000",
    createdAtMs: 0,
    updatedAtMs: 0,
    revision,
  };
}

/** A bus that counts the calls of its KvStore. */
export function counting(bus: Bus, calls: Record<string, number>): Bus {
  const kv = new Proxy(bus.kv, {
    get: (target, name) => {
      const method = Reflect.get(target, name) as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        calls[String(name)] = (calls[String(name)] ?? 0) + 1;
        return method.apply(target, args);
      };
    },
  });
  return overriding(bus, { kv });
}

export const MIDNIGHT_MS = Date.UTC(2026, 10, 22);
const NOON_MS = MIDNIGHT_MS - 12 * 3_600_000;

/** A server in virtual time, with what its admissions count. */
export class Shop {
  readonly clock: VirtualClock;
  readonly bus: Bus;
  /** What waits, and what of it waits for its time. */
  ready = 0;
  delayed = 0;
  leased = 0;
  stored = 0;
  statsTakeMs = 0;
  readonly calls: Record<string, number> = {};
  #seed = 0;

  private constructor(clock: VirtualClock, bus: Bus) {
    this.clock = clock;
    this.bus = counting(bus, this.calls);
  }

  static async open(startAtMs = NOON_MS): Promise<Shop> {
    const clock = new VirtualClock({ startAtMs });
    return new Shop(clock, await openBus({ backend: "memory", clock }));
  }

  admission({ bus, clock }: Pick<AdmissionParts, "bus" | "clock"> = this): Admission {
    const random = seededRandom((this.#seed += 1));
    const stats = async (): Promise<QueueStats> => {
      const { ready, delayed, leased } = this;
      if (this.statsTakeMs > 0) await this.clock.sleep(this.statsTakeMs);
      return { ready, delayed, leased, dead: 0, paused: false };
    };
    const storedBytes = async (): Promise<number> => this.stored;
    return new Admission({ bus, queue: "q", clock, random, stats, storedBytes });
  }

  /** Admits, enqueues, and tells. */
  async submit(admission: Admission, tenant: Tenant, wanted: Partial<TaskAmount> = {}) {
    const { tasks = 1, scheduled = 0, bytes = 0 } = wanted;
    const grant = await admission.admit(tenant, { tasks, scheduled, bytes });
    this.ready += tasks - scheduled;
    this.delayed += scheduled;
    this.stored += bytes;
    grant.done();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clock.autoAdvance(this.bus.close());
  }
}

/** `count` submissions, one after the other. */
export async function submitMany(
  shop: Shop,
  admission: Admission,
  tenant: Tenant,
  count: number,
): Promise<void> {
  for (let index = 0; index < count; index++) await shop.submit(admission, tenant);
}

export const ONE: TaskAmount = { tasks: 1, scheduled: 0, bytes: 0 };

/** A tenant with these quotas alone. */
export const only = (quotas: Partial<TenantQuotas>, revision?: number): Tenant =>
  tenantWith(quotas, revision);
