import type { Bus } from "@busbar/core";
import type { Tenant, TenantQuotas } from "../../src/index.ts";

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

const UNLIMITED: TenantQuotas = {
  running: null,
  perDay: null,
  perMinute: null,
  scheduled: null,
  queued: null,
  storedBytes: null,
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
  return new Proxy(bus, {
    get: (target, name) => {
      if (name === "kv") return kv;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
