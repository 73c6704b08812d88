import type { TenantInput } from "@busbar/coordination";

// Who takes part, shared by the demo and its workers.

/** The queue that all of them use. */
export const QUEUE = "work";
/** Slots of each worker. */
export const CONCURRENCY = 4;
/** How long what a killed worker held stays away. Short, so that it comes again soon. */
export const LEASE_MS = 2_000;

/** Has far more to do than all others together, and may not have more than six tasks running. */
export const NOISY = {
  id: "noisy",
  name: "Noisy Ltd",
  quotas: { running: 6, queued: 1_000, perMinute: null, perDay: null },
} as const satisfies TenantInput;

/** Have little to do, and want it soon. */
export const QUIET = [
  { id: "anna", name: "Anna & Sons" },
  { id: "bert", name: "Bert's Bakery" },
  { id: "cleo", name: "Cleo Travel", weight: 2 },
] as const satisfies readonly TenantInput[];

/** Is suspended for a while. */
export const SUSPENDED = { id: "dora", name: "Dora Design" } as const satisfies TenantInput;

export const TENANTS: readonly (TenantInput & { readonly id: string })[] = [
  NOISY,
  ...QUIET,
  SUSPENDED,
];
