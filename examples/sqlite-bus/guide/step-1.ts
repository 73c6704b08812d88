import { type Bus, type BusBackend, BusError, type Capabilities, systemClock } from "@busbar/core";
import { Lifecycle, resolveDrain, StatusHub } from "@busbar/core/adapter";

/** Says only what is true. Whatever is declared here, the suite checks. */
const capabilities: Capabilities = Object.freeze({
  backend: "mine",
  server: "mine 0.1.0",
  ackMeaning: "memory",
  persistent: false,
  settleDurability: Object.freeze({ pubsub: "none", jobs: "none" }),
  dedupDurability: Object.freeze({ pubsub: "none", jobs: "none" }),
  deliveryCounts: "exact",
  dedupWindowMs: 120_000,
  maxPayloadBytes: 1_048_576,
  timerGranularityMs: 15,
  crossProcess: false,
  keyTtl: false,
  keyTtlGranularityMs: 0,
} as const);

/** A contract of which only these methods are written: the others reject. */
export function partOf<Contract extends object>(
  name: string,
  written: Partial<Contract> = {},
): Contract {
  const get = (target: object, method: string | symbol): unknown =>
    Reflect.get(target, method) ??
    (async () => {
      throw new BusError("UNSUPPORTED", `${name}.${String(method)} is not written yet`);
    });
  return new Proxy(written, { get }) as Contract;
}

/** The contracts that are written, made for one bus. */
export type Contracts = (lifecycle: Lifecycle) => Partial<Pick<Bus, "kv">>;

/** A bus with these contracts. */
export function makeBus(contracts: Contracts): Bus {
  const lifecycle = new Lifecycle("the bus", systemClock);
  const status = new StatusHub();
  status.emit({ type: "connected", server: capabilities.server });
  const close: Bus["close"] = async (options) =>
    lifecycle.close(resolveDrain(options?.drainMs, 5_000), async () =>
      status.emit({ type: "closed", reason: "close was called" }),
    );
  const rest = partOf<Bus>("bus");
  return {
    pubsub: partOf("pubsub"),
    rpc: partOf("rpc"),
    kv: partOf("kv"),
    jobs: partOf("jobs"),
    ...contracts(lifecycle),
    capabilities,
    forNamespace: (name) => rest.forNamespace(name),
    storage: (options) => rest.storage(options),
    removeNamespace: () => rest.removeNamespace(),
    status: () => status.subscribe(),
    close,
    [Symbol.asyncDispose]: async () => void (await close()),
  };
}

/** What `openBus` looks for. */
export const busBackend: BusBackend = {
  name: "mine",
  open: async () => makeBus(() => ({})),
};
