import { BusError } from "@busbar/core";
import type { Tenant } from "../tenants/tenant.ts";

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/**
 * The one place where ids of schedules are checked and keys are made of them. A key has three words: the
 * queue, the storage id of the tenant, the id; no dot is in any of them, so that none leads elsewhere.
 * @throws BusError `INVALID_ARGUMENT`
 */
export function scheduleKey(queue: string, { storageId }: Tenant, id: string): string {
  if (typeof id === "string" && ID.test(id)) return `${queue}.${storageId}.${id}`;
  const allowed = '1 to 64 letters, digits, "-" and "_", the first a letter or digit';
  throw new BusError(
    "INVALID_ARGUMENT",
    `id of a schedule is ${JSON.stringify(id)}; allowed: ${allowed}`,
    { details: { field: "id", value: id, allowed } },
  );
}

/** The id in a key. */
export function idOf(key: string): string {
  return key.slice(key.lastIndexOf(".") + 1);
}

/** The storage id in a key. */
export function storageIdOf(key: string): string {
  return key.split(".")[1] as string;
}
