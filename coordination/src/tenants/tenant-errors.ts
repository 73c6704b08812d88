import { BusError } from "@busbar/core";
import type { Tenant } from "./tenant.ts";

/** `NOT_FOUND` of a tenant. */
export function notFound(id: string): BusError {
  return new BusError("NOT_FOUND", `there is no tenant ${id}`, { details: { tenant: id } });
}

/** @throws BusError `PERMISSION_DENIED` with `details.status` */
export function checkActive({ id, status }: Tenant): void {
  if (status === "active") return;
  throw new BusError("PERMISSION_DENIED", `tenant ${id} is ${status}`, {
    details: { tenant: id, status },
  });
}
