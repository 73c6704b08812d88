import type { Bus, StorageStats } from "@busbar/core";
import type { Tenant } from "./tenant.ts";
import type { TenantDirectory } from "./tenant-directory.ts";
import { checkActive } from "./tenant-errors.ts";
import type { TenantCleaner } from "./tenant-registry.ts";

/** A view that was given out. */
interface OpenView {
  readonly tenant: Tenant;
  readonly view: Bus;
  /** Whether the directory has had its tenant; before that it may be behind. */
  isKnown: boolean;
}

/**
 * Views of a bus for its tenants: the four contracts, confined to what one tenant has. A tenant's
 * namespace is made from its {@link Tenant.storageId}, never from its id: who registers an id again
 * finds nothing of the tenant before, and no id leads anywhere else.
 *
 * States of a view: *open* -> its tenant is not active any more, as far as this process has heard, or
 * `close()` of the view or of the bus -> *closed*. What is stored waits for a tenant that is suspended.
 */
export class TenantViews {
  readonly #bus: Bus;
  readonly #directory: TenantDirectory;
  readonly #open = new Set<OpenView>();
  readonly #stop: () => void;

  constructor(bus: Bus, directory: TenantDirectory) {
    this.#bus = bus;
    this.#directory = directory;
    this.#stop = directory.onChange((id) => this.#onChange(id));
  }

  /**
   * The bus as a tenant has it: a view of its own each time, which the caller closes. It is closed
   * without the caller when its tenant stops being active.
   * @throws BusError `INVALID_ARGUMENT`, `NOT_FOUND`; `PERMISSION_DENIED` if the tenant is not active;
   *   and as `Bus.forNamespace`
   */
  async forTenant(id: string): Promise<Bus> {
    const tenant = await this.#directory.get(id);
    checkActive(tenant);
    const view = await viewOf(this.#bus, tenant);
    const open = { tenant, view, isKnown: false };
    this.#open.add(open);
    void this.#forget(open);
    // It may have changed while the view was opened.
    this.#onChange(id);
    return view;
  }

  /**
   * What a tenant has stored on its views, each object counted once, whatever its status.
   * @throws BusError `INVALID_ARGUMENT`, `NOT_FOUND`, and as `Bus.storage`
   */
  async storage(id: string): Promise<StorageStats> {
    const tenant = await this.#directory.get(id);
    await using view = await viewOf(this.#bus, tenant);
    return await view.storage();
  }

  /** Closes the views that are open. Idempotent. */
  async close(): Promise<void> {
    this.#stop();
    await Promise.all(Array.from(this.#open, ({ view }) => view.close()));
  }

  /** Closes what a tenant may not use any more. */
  #onChange(id: string): void {
    const now = this.#directory.peek(id);
    for (const open of this.#open) {
      if (open.tenant.id !== id) continue;
      const isSame = now?.storageId === open.tenant.storageId;
      open.isKnown ||= isSame;
      if (isSame ? now?.status === "active" : now === undefined && !open.isKnown) continue;
      // What is being removed is not to be written any more.
      const isRemoved = !isSame || now?.status === "deleting";
      void open.view.close(isRemoved ? { drainMs: 0 } : {});
    }
  }

  /** Its status ends when it is closed, by whomever. */
  async #forget(open: OpenView): Promise<void> {
    for await (const { type } of open.view.status()) if (type === "closed") break;
    this.#open.delete(open);
  }
}

/**
 * Removes what a tenant has stored on its views, when it is deleted: for
 * `TenantRegistryOptions.cleaners`.
 */
export function tenantViewCleaner(bus: Bus): TenantCleaner {
  return {
    name: "views",
    async clean(tenant) {
      await using view = await viewOf(bus, tenant);
      await view.removeNamespace();
    },
  };
}

function viewOf(bus: Bus, { storageId }: Tenant): Promise<Bus> {
  return bus.forNamespace(`t-${storageId}`);
}
