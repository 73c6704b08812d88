import { BusError, newId, type Random } from "@busbar/core";

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const STORAGE_ID_LENGTH = 12;

/**
 * The one place where ids of tenants are checked: no separator of any name is in them, so that no id
 * leads out of its tenant's data.
 * @throws BusError `INVALID_ARGUMENT`
 */
export function checkTenantId(id: string): void {
  if (typeof id === "string" && ID.test(id)) return;
  throw new BusError(
    "INVALID_ARGUMENT",
    `tenant is ${JSON.stringify(id)}; it has 1 to 64 letters, digits, "-" and "_", and begins with a letter or digit`,
    { details: { field: "tenant" } },
  );
}

/** A new storage id: lower case only, because some file systems know no other. */
export function newStorageId(random: Random): string {
  return newId(random, STORAGE_ID_LENGTH).toLowerCase();
}
