export { Permits, type PermitsOptions } from "./permits/permits.ts";
export type {
  JsonValue,
  Some,
  Tenant,
  TenantInput,
  TenantPatch,
  TenantQuotas,
  TenantResources,
  TenantSettings,
  TenantStatus,
} from "./tenants/tenant.ts";
export {
  type ChangeTenantOptions,
  type ListTenantsOptions,
  type TenantCleaner,
  type TenantEvent,
  type TenantPage,
  TenantRegistry,
  type TenantRegistryOptions,
} from "./tenants/tenant-registry.ts";
