import { type BucketDefinition, defineBucket } from "@busbar/core";
import { invalidPayload, schemaIssues } from "@busbar/core/adapter";
import { z } from "zod";
import type {
  Tenant,
  TenantInput,
  TenantPatch,
  TenantQuotas,
  TenantResources,
  TenantSettings,
} from "./tenant.ts";

/** A tenant as it is stored, under its id. */
export interface TenantRecord extends Omit<Tenant, "id" | "revision"> {
  /** Of the layout of the record. */
  readonly version: 1;
}

const DEFAULT_QUOTAS: TenantQuotas = {
  running: 10,
  perDay: 1_000,
  perMinute: 1_000,
  scheduled: 50,
  queued: null,
  storedBytes: 10_000_000_000,
  payloadBytes: null,
};
const DEFAULT_SETTINGS: TenantSettings = { retentionDays: 90, audit: true };
const DEFAULT_RESOURCES: TenantResources = { memoryBytes: 536_870_912, connections: 64 };
const MAX_LABELS = 64;

const name = z.string().min(1).max(256);
const description = z.string().max(4_096);
const region = z.string().min(1).max(64);
const weight = z.int().min(1).max(1_000);
const labelName = z.string().min(1).max(64);
const label = z.string().max(1_024);
const place = z.string().min(1).max(1_024);
const amount = z.int().min(0);
const fields = z.record(z.string(), z.json());

const quotas = z.strictObject({
  running: amount.nullable(),
  perDay: amount.nullable(),
  perMinute: amount.nullable(),
  scheduled: amount.nullable(),
  queued: amount.nullable(),
  storedBytes: amount.nullable(),
  payloadBytes: amount.nullable(),
});
const settings = z.strictObject({
  retentionDays: z.int().min(1).max(36_500),
  audit: z.boolean(),
});
const resources = z.strictObject({
  memoryBytes: amount,
  connections: amount,
  storageBucket: place.optional(),
  storagePrefix: place.optional(),
  cacheFolder: place.optional(),
});

const record: z.ZodType<TenantRecord, unknown> = z.strictObject({
  version: z.literal(1),
  name,
  description,
  region: region.optional(),
  metadata: z
    .record(labelName, label)
    .refine((all) => Object.keys(all).length <= MAX_LABELS, `at most ${MAX_LABELS} labels`),
  status: z.enum(["active", "suspended", "disabled", "deleting"]),
  settings,
  weight,
  quotas,
  resources,
  fields,
  storageId: z.string().regex(/^[a-z0-9]{12}$/),
  createdAtMs: z.int().min(0),
  updatedAtMs: z.int().min(0),
});

const input: z.ZodType<TenantInput, unknown> = z.strictObject({
  id: z.string().optional(),
  name,
  description: description.optional(),
  region: region.optional(),
  metadata: z.record(labelName, label).optional(),
  settings: settings.partial().optional(),
  weight: weight.optional(),
  quotas: quotas.partial().optional(),
  resources: resources.partial().optional(),
  fields: fields.optional(),
});

const patch: z.ZodType<TenantPatch, unknown> = z.strictObject({
  name: name.optional(),
  description: description.optional(),
  region: region.nullish(),
  metadata: z.record(labelName, label.nullable()).optional(),
  settings: settings.partial().optional(),
  weight: weight.optional(),
  quotas: quotas.partial().optional(),
  resources: z
    .strictObject({
      memoryBytes: amount,
      connections: amount,
      storageBucket: place.nullable(),
      storagePrefix: place.nullable(),
      cacheFolder: place.nullable(),
    })
    .partial()
    .optional(),
  fields: fields.optional(),
});

/** Where the tenants of a namespace are. */
export const tenantBucket: BucketDefinition<z.ZodType<TenantRecord, unknown>> = defineBucket({
  bucket: "tenants",
  schema: record,
});

/** What a registration is given by the registry. */
export type Registration = Pick<TenantRecord, "storageId" | "createdAtMs">;

/** The record of a new tenant, with the defaults filled in. @throws BusError `INVALID_ARGUMENT` */
export function newRecord(given: TenantInput, registration: Registration): TenantRecord {
  const { id: _, ...tenant } = parse(input, given, "the tenant");
  return {
    version: 1,
    description: "",
    weight: 1,
    ...defined(tenant),
    name: tenant.name,
    status: "active",
    metadata: tenant.metadata ?? {},
    fields: tenant.fields ?? {},
    settings: { ...DEFAULT_SETTINGS, ...defined(tenant.settings) },
    quotas: { ...DEFAULT_QUOTAS, ...defined(tenant.quotas) },
    resources: { ...DEFAULT_RESOURCES, ...defined(tenant.resources) },
    ...registration,
    updatedAtMs: registration.createdAtMs,
  };
}

/** A checked patch, as a change of a record. @throws BusError `INVALID_ARGUMENT` */
export function changeOf(given: TenantPatch): (current: TenantRecord) => TenantRecord {
  const checked = defined(parse(patch, given, "the patch of a tenant"));
  return (current) => ({
    ...current,
    ...withoutNull({ ...checked }),
    region: checked.region === undefined ? current.region : (checked.region ?? undefined),
    metadata: withoutNull({ ...current.metadata, ...defined(checked.metadata) }),
    fields: withoutNull({ ...current.fields, ...defined(checked.fields) }),
    settings: { ...current.settings, ...defined(checked.settings) },
    quotas: { ...current.quotas, ...defined(checked.quotas) },
    resources: withoutNull({ ...current.resources, ...defined(checked.resources) }),
  });
}

function parse<Output>(schema: z.ZodType<Output, unknown>, value: unknown, what: string): Output {
  const { data, error } = schema.safeParse(value);
  if (error) throw invalidPayload(what, schemaIssues(error.issues));
  return data as Output;
}

type WithoutNull<Part> = { [Name in keyof Part]: Exclude<Part[Name], null> };

/** `null` removes a field. */
function withoutNull<Part extends object>(part: Part): WithoutNull<Part> {
  const present = Object.entries(part).filter(([, value]) => value !== null);
  return Object.fromEntries(present) as WithoutNull<Part>;
}

type Defined<Part> = { [Name in keyof Part]: Exclude<Part[Name], undefined> };

/** Absent means unchanged, and so does `undefined`. */
function defined<Part extends object>(part: Part | undefined): Defined<Part> {
  const present = Object.entries(part ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as Defined<Part>;
}
