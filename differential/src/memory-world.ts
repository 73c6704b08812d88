import { MemoryServer } from "@busbar/bus-memory";
import {
  type Bus,
  BusError,
  type Clock,
  type KvStore,
  openBus,
  type PutOptions,
  VirtualClock,
} from "@busbar/core";
import { WINDOW } from "./run.ts";
import type { Script } from "./script.ts";
import type { Traits, World } from "./world.ts";

/** How a {@link MemoryWorld} is made. */
export interface MemoryWorldOptions {
  readonly script: Script;
  readonly unitMs: number;
  readonly traits: Traits;
}

/** The simulator on virtual time, with what a server version lacks by declaration. */
export class MemoryWorld implements World {
  readonly clock: VirtualClock = new VirtualClock();
  /** Times, by the virtual clock, at which something ran out. */
  readonly firedAtMs: number[] = [];
  readonly #server: MemoryServer;
  readonly #options: MemoryWorldOptions;
  readonly #buses: Bus[] = [];

  constructor(options: MemoryWorldOptions) {
    this.#options = options;
    this.#server = new MemoryServer({ seed: 1, clock: this.#watchedClock() });
  }

  async openBus(): Promise<Bus> {
    const { script, unitMs, traits } = this.#options;
    const { dedupWindow } = script;
    const bus = await openBus({
      backend: "memory",
      server: this.#server,
      maxPayloadBytes: traits.maxPayloadBytes,
      ...(dedupWindow !== undefined && { dedupWindowMs: Math.round(dedupWindow * unitMs) }),
    });
    this.#buses.push(bus);
    return withTraits(bus, traits);
  }

  async restartServer(): Promise<void> {
    // What is stored stays, and deadlines go on: there is nothing to do.
  }

  async close(): Promise<void> {
    for (const bus of this.#buses) await bus.close({ drainMs: 0 });
  }

  /** The clock, which remembers what fires, or would have if a step of the same tick had come later. */
  #watchedClock(): Clock {
    const { clock, firedAtMs } = this;
    const { unitMs } = this.#options;
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      sleep: (delayMs, options) => clock.sleep(delayMs, options),
      setTimer: (callback, delayMs) => {
        const dueMs = clock.monotonic() + delayMs;
        const timer = clock.setTimer(() => {
          firedAtMs.push(clock.monotonic());
          callback();
        }, delayMs);
        return {
          cancel: () => {
            timer.cancel();
            const leftMs = dueMs - clock.monotonic();
            if (leftMs > 0 && leftMs + (clock.monotonic() % unitMs) < WINDOW * unitMs) {
              firedAtMs.push(dueMs);
            }
          },
        };
      },
    };
  }
}

/** A TTL that is out of range. */
const NO_TTL = 0;

/** A TTL of a single value is refused, or rounded up, as declared in the capabilities. */
function withTraits(bus: Bus, traits: Traits): Bus {
  const { kv } = bus;
  const check = async (bucket: string, key: string, options?: PutOptions): Promise<void> => {
    if (options?.ttlMs === undefined || traits.keyTtl) return;
    // A closed bus and a wrong name are found first; the bucket must not be made by that.
    await kv.put(bucket, key, "", { ttlMs: NO_TTL }).catch((error: unknown) => {
      if (!(error instanceof RangeError)) throw error;
    });
    throw new BusError("UNSUPPORTED", `${traits.version} has no TTL of single keys`);
  };
  return override(bus, {
    kv: override(kv, {
      put: async (...args) => {
        await check(args[0], args[1], args[3]);
        return kv.put(...args);
      },
      create: async (...args) => {
        await check(args[0], args[1], args[3]);
        return kv.create(...args);
      },
    } satisfies Partial<KvStore>),
  });
}

/** An object with some of its parts replaced; all others see the original as `this`. */
export function override<T extends object>(original: T, parts: Partial<T>): T {
  return new Proxy(original, {
    get: (target, name) => {
      if (Object.hasOwn(parts, name)) return Reflect.get(parts, name) as unknown;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
