import { notFound } from "./tenant-errors.ts";
import { checkTenantId } from "./tenant-id.ts";
import type { Tenant } from "./tenant.ts";
import type { TenantRegistry } from "./tenant-registry.ts";

/**
 * The tenants of a registry as this process knows them: a copy that a watch keeps up to date, so that
 * nobody asks the server for each task. It is behind by one way over the network.
 *
 * States: *opening* -> the first copy is complete -> *open* -> `close()` or the end of the bus -> *closed*.
 */
export class TenantDirectory {
  readonly #registry: TenantRegistry;
  readonly #tenants = new Map<string, Tenant>();
  readonly #listeners = new Set<(id: string) => void>();
  readonly #ending = new AbortController();
  #watching: Promise<void> | undefined;

  private constructor(registry: TenantRegistry) {
    this.#registry = registry;
  }

  /** Reads all tenants and begins to watch. @throws BusError as `TenantRegistry.watch` */
  static async open(registry: TenantRegistry): Promise<TenantDirectory> {
    const directory = new TenantDirectory(registry);
    await directory.#start();
    return directory;
  }

  /** A tenant, if it is known by now. */
  peek(id: string): Tenant | undefined {
    return this.#tenants.get(id);
  }

  /** A tenant, which is asked for where it is not known. @throws BusError `NOT_FOUND`, `INVALID_ARGUMENT` */
  async get(id: string): Promise<Tenant> {
    const known = this.#tenants.get(id);
    if (known) return known;
    checkTenantId(id);
    const tenant = await this.#registry.get(id);
    if (tenant) return tenant;
    throw notFound(id);
  }

  /** Calls `listener` after each change with the id of the tenant. @returns what ends that */
  onChange(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Ends the watch. Idempotent. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#watching;
  }

  #start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#watching = this.#watch(resolve).catch(reject);
    });
  }

  async #watch(ready: () => void): Promise<void> {
    for await (const event of this.#registry.watch({ signal: this.#ending.signal })) {
      if (event.type === "initialDone") {
        ready();
        continue;
      }
      const id = event.type === "put" ? event.tenant.id : event.id;
      if (event.type === "put") this.#tenants.set(id, event.tenant);
      else this.#tenants.delete(id);
      for (const listener of this.#listeners) listener(id);
    }
  }
}
