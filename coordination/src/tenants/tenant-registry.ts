import {
  BusError,
  type Bus,
  type Clock,
  errorCode,
  newId,
  type Random,
  systemClock,
  systemRandom,
  type TypedBucket,
  typedBus,
  type TypedEntry,
} from "@busbar/core";
import { resolveLimit, revisionConflict } from "@busbar/core/adapter";
import { changeEntry } from "../change-entry.ts";
import { keyPages } from "../key-pages.ts";
import type { Tenant, TenantInput, TenantPatch, TenantStatus } from "./tenant.ts";
import { notFound } from "./tenant-errors.ts";
import { checkTenantId, newStorageId } from "./tenant-id.ts";
import { changeOf, newRecord, tenantBucket, type TenantRecord } from "./tenant-record.ts";

/** Removes a part of what a tenant has, such as its tasks. */
export interface TenantCleaner {
  /** For errors. */
  readonly name: string;
  /**
   * Removes everything of this registration (see {@link Tenant.storageId}). It may be called again
   * after it was interrupted or done, and by several processes at once.
   */
  clean(tenant: Tenant): Promise<void>;
}

/** How a {@link TenantRegistry} is made. */
export interface TenantRegistryOptions {
  /** Tells the time of changes. Default: the machine's clock. */
  readonly clock?: Clock | undefined;
  /** Ids come from it. Default: the machine's randomness. */
  readonly random?: Random | undefined;
  /** Called in their order when a tenant is deleted. Default: none. */
  readonly cleaners?: readonly TenantCleaner[] | undefined;
}

/** Options of {@link TenantRegistry.list}. */
export interface ListTenantsOptions {
  /** Only those. Default: all. */
  readonly status?: TenantStatus | undefined;
  /** The `next` of the page before. */
  readonly after?: string | undefined;
  /** Most tenants of this page, 1 to 1_000. @defaultValue 100 */
  readonly limit?: number | undefined;
}

/** A page of tenants, by id in code point order. */
export interface TenantPage {
  readonly tenants: readonly Tenant[];
  /** Where the next page begins; `undefined` if this was the last one. */
  readonly next: string | undefined;
}

/** What {@link TenantRegistry.watch} yields. */
export type TenantEvent =
  | { readonly type: "put"; readonly tenant: Tenant }
  | { readonly type: "delete"; readonly id: string }
  /** All tenants that were there at the start have been given. Comes once. */
  | { readonly type: "initialDone" };

/** Options of a change. */
export interface ChangeTenantOptions {
  /** Changes only this revision, else `CONFLICT`. Default: whatever is there. */
  readonly revision?: number | undefined;
}

type Bucket = TypedBucket<(typeof tenantBucket)["schema"]>;
type Entry = TypedEntry<TenantRecord>;

/** From where a status may be reached; the same status is always left as it is. */
const FROM: Readonly<Record<TenantStatus, readonly TenantStatus[]>> = {
  active: ["suspended", "disabled"],
  suspended: ["active"],
  disabled: ["active", "suspended"],
  deleting: ["active", "suspended", "disabled"],
};

/**
 * The tenants of a namespace, in the bucket `tenants`, each under its id. Every write is a
 * compare-and-set: of changes that are made at the same time none is lost.
 *
 * *Concurrency*: all methods, from any number of processes. *Errors*: those of `KvStore` besides the
 * ones named; after `TIMEOUT` the outcome is unknown, and every method but `register` without an id
 * may be called again.
 */
export class TenantRegistry {
  readonly #bucket: Bucket;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #cleaners: readonly TenantCleaner[];

  constructor(bus: Bus, options: TenantRegistryOptions = {}) {
    const { clock = systemClock, random = systemRandom, cleaners = [] } = options;
    this.#bucket = typedBus(bus).bucket(tenantBucket);
    this.#clock = clock;
    this.#random = random;
    this.#cleaners = cleaners;
  }

  /**
   * Adds a tenant, which is active.
   * @throws BusError `INVALID_ARGUMENT`; `CONFLICT` if the id is taken, also while it is deleted
   */
  async register(input: TenantInput): Promise<Tenant> {
    const record = newRecord(input, {
      storageId: newStorageId(this.#random),
      createdAtMs: this.#clock.now(),
    });
    const { id = newId(this.#random) } = input;
    checkTenantId(id);
    try {
      return toTenant(id, record, await this.#bucket.create(id, record));
    } catch (error) {
      if (errorCode(error) !== "CONFLICT") throw error;
      const details = { tenant: id };
      throw new BusError("CONFLICT", `tenant ${id} is registered`, { details, cause: error });
    }
  }

  /** The tenant, or `undefined` if there is none. @throws BusError `INVALID_ARGUMENT` */
  async get(id: string): Promise<Tenant | undefined> {
    checkTenantId(id);
    const entry = await this.#bucket.get(id);
    return entry && fromEntry(entry);
  }

  /** Whether there is such a tenant. @throws BusError `INVALID_ARGUMENT` */
  async has(id: string): Promise<boolean> {
    return (await this.get(id)) !== undefined;
  }

  /**
   * Changes what the patch names; see {@link TenantPatch}.
   * @throws BusError `INVALID_ARGUMENT`; `NOT_FOUND`; `CONFLICT` if it is being deleted, or has
   *   another revision than asked for
   */
  async update(id: string, patch: TenantPatch, options: ChangeTenantOptions = {}): Promise<Tenant> {
    const change = changeOf(patch);
    return this.#change(id, options, (record) => {
      if (record.status === "deleting") throw notFrom(id, "deleting", "updated");
      return change(record);
    });
  }

  /** Refuses submissions; what is queued waits. @throws BusError as {@link TenantRegistry.update} */
  suspend(id: string, options: ChangeTenantOptions = {}): Promise<Tenant> {
    return this.#move(id, "suspended", options);
  }

  /** Takes submissions again, and runs what waits. @throws BusError as {@link TenantRegistry.update} */
  activate(id: string, options: ChangeTenantOptions = {}): Promise<Tenant> {
    return this.#move(id, "active", options);
  }

  /** As suspended, for good or until somebody activates it. @throws BusError as {@link TenantRegistry.update} */
  disable(id: string, options: ChangeTenantOptions = {}): Promise<Tenant> {
    return this.#move(id, "disabled", options);
  }

  /**
   * Removes a tenant and all it has: first it is `deleting`, then the cleaners do their work, then it
   * is gone. Interrupted, it goes on where `delete` or {@link TenantRegistry.resumeDeletes} is called.
   * @returns what it was, or `undefined` if there was none
   * @throws BusError `INVALID_ARGUMENT`, `CONFLICT`, and what a cleaner throws
   */
  async delete(id: string, options: ChangeTenantOptions = {}): Promise<Tenant | undefined> {
    let tenant: Tenant;
    try {
      tenant = await this.#move(id, "deleting", options);
    } catch (error) {
      if (errorCode(error) === "NOT_FOUND") return undefined;
      throw error;
    }
    for (const cleaner of this.#cleaners) await cleaner.clean(tenant);
    try {
      await this.#bucket.delete(id, { expectedRevision: tenant.revision });
    } catch (error) {
      // Another process has finished the same delete, and somebody may have registered the id again.
      if (errorCode(error) !== "CONFLICT") throw error;
    }
    return tenant;
  }

  /** Finishes the deletes that were interrupted. @returns the ids */
  async resumeDeletes(): Promise<string[]> {
    const ids: string[] = [];
    for await (const { id } of this.all({ status: "deleting" })) {
      await this.delete(id);
      ids.push(id);
    }
    return ids;
  }

  /**
   * One page of the tenants. Those that are there during the whole walk come exactly once.
   * @throws RangeError for a wrong limit
   */
  async list(options: ListTenantsOptions = {}): Promise<TenantPage> {
    const { status } = options;
    const limit = resolveLimit(options.limit, 100, 1_000);
    const tenants: Tenant[] = [];
    let next = options.after;
    do {
      // Whole pages of keys: what is left out by its status leaves room for another page.
      const page = await this.#bucket.keys({
        limit: limit - tenants.length,
        ...(next !== undefined && { after: next }),
      });
      const entries = await Promise.all(page.keys.map((key) => this.#bucket.get(key)));
      for (const entry of entries) {
        if (entry && (status === undefined || entry.value.status === status)) {
          tenants.push(fromEntry(entry));
        }
      }
      next = page.next;
    } while (next !== undefined && tenants.length < limit);
    return { tenants, next };
  }

  /** All tenants, page by page. */
  async *all(options: Pick<ListTenantsOptions, "status"> = {}): AsyncGenerator<Tenant, void> {
    let after: string | undefined;
    do {
      const page: TenantPage = await this.list({ ...options, after, limit: 1_000 });
      yield* page.tenants;
      after = page.next;
    } while (after !== undefined);
  }

  /** How many there are, whatever their status. */
  async count(): Promise<number> {
    let count = 0;
    for await (const keys of keyPages(this.#bucket)) count += keys.length;
    return count;
  }

  /**
   * All tenants, then every change, in the order in which they were made; ends with `signal`. Resumes
   * after a reconnect without a gap.
   */
  async *watch(
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<TenantEvent, void> {
    const { signal } = options;
    await using watch = await this.#bucket.watch(signal === undefined ? {} : { signal });
    for await (const event of watch) {
      if (event.type === "put") yield { type: "put", tenant: fromEntry(event) };
      else if (event.type === "delete") yield { type: "delete", id: event.key };
      else yield event;
    }
  }

  #move(id: string, status: TenantStatus, options: ChangeTenantOptions): Promise<Tenant> {
    return this.#change(id, options, (record) => {
      if (record.status === status) return undefined;
      if (!FROM[status].includes(record.status)) throw notFrom(id, record.status, status);
      return { ...record, status };
    });
  }

  async #change(
    id: string,
    { revision }: ChangeTenantOptions,
    change: (record: TenantRecord) => TenantRecord | undefined,
  ): Promise<Tenant> {
    checkTenantId(id);
    const parts = { clock: this.#clock, random: this.#random };
    const entry = await changeEntry(
      this.#bucket,
      id,
      (current) => {
        if (current === undefined) throw notFound(id);
        if (revision !== undefined && current.revision !== revision) {
          throw revisionConflict(tenantBucket.bucket, id, revision, current.revision);
        }
        const changed = change(current.value);
        if (changed === undefined) return undefined;
        // The clocks of two processes differ; time does not go back for that.
        return { ...changed, updatedAtMs: Math.max(this.#clock.now(), current.value.updatedAtMs) };
      },
      parts,
    );
    if (entry === undefined) throw notFound(id);
    return fromEntry(entry);
  }
}

function fromEntry({ key, value, revision }: Pick<Entry, "key" | "value" | "revision">): Tenant {
  return toTenant(key, value, revision);
}

function toTenant(id: string, record: TenantRecord, revision: number): Tenant {
  const { version: _, ...tenant } = record;
  return { id, ...tenant, revision };
}

function notFrom(id: string, status: TenantStatus, wanted: string): BusError {
  const details = { tenant: id, status };
  return new BusError("CONFLICT", `tenant ${id} is ${status}: it cannot be ${wanted}`, { details });
}
