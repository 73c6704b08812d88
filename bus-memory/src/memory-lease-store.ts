import type { LeaseRecord, LeaseStore } from "@busbar/core/adapter";
import type { BusContext } from "./bus-context.ts";

/** The lease book of a namespace, as `LeaseManager` wants it. */
export class MemoryLeaseStore implements LeaseStore {
  readonly #context: BusContext;

  constructor(context: BusContext) {
    this.#context = context;
  }

  async read(key: string): Promise<LeaseRecord | undefined> {
    this.#context.tick();
    const record = this.#context.namespace.leases.read(key);
    if (record === undefined) return undefined;
    const { revision, value, writtenMs } = record;
    const { clock } = this.#context.engine;
    return { revision, value, ageMs: async () => clock.monotonic() - writtenMs };
  }

  async write(key: string, value: Uint8Array, expected: number): Promise<number> {
    this.#context.tick();
    return this.#context.namespace.leases.write(key, value, expected);
  }

  async remove(key: string, revision: number): Promise<void> {
    // A process that was killed releases nothing.
    if (this.#context.isDead) return;
    this.#context.namespace.leases.remove(key, revision);
  }

  async subscribe(key: string, onChange: () => void): Promise<{ close(): void }> {
    const close = this.#context.namespace.leases.subscribe(key, onChange);
    return { close };
  }
}
