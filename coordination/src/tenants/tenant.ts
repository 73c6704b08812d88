/**
 * The life of a tenant: `active` ⇄ `suspended` → `disabled` → `deleting` → gone. `activate` leads back
 * from `suspended` and `disabled`; nothing leads back from `deleting`.
 *
 * | status | may submit | what is queued |
 * |---|---|---|
 * | `active` | yes | runs |
 * | `suspended` | no | waits, nothing is lost |
 * | `disabled` | no | waits, nothing is lost |
 * | `deleting` | no | is being removed |
 */
export type TenantStatus = "active" | "suspended" | "disabled" | "deleting";

/** What a tenant may use. `null` is unlimited. */
export interface TenantQuotas {
  /** Tasks that run at once. @defaultValue 10 */
  readonly running: number | null;
  /** Tasks that are submitted in a UTC day. @defaultValue 1_000 */
  readonly perDay: number | null;
  /** Tasks that are submitted in a minute, and the size of the burst. @defaultValue 1_000 */
  readonly perMinute: number | null;
  /** Tasks that wait for their time; recurring tasks are counted apart from them. @defaultValue 50 */
  readonly scheduled: number | null;
  /** Tasks that wait. @defaultValue null */
  readonly queued: number | null;
  /** Bytes of everything that is stored. @defaultValue 10_000_000_000 */
  readonly storedBytes: number | null;
  /** Bytes of one payload. @defaultValue null: what the bus allows */
  readonly payloadBytes: number | null;
}

/** How a tenant's data is treated. */
export interface TenantSettings {
  /** How long results and history are kept, in days, 1 to 36_500. @defaultValue 90 */
  readonly retentionDays: number;
  /** Whether what is done for the tenant is written to the event log. @defaultValue true */
  readonly audit: boolean;
}

/** Budgets and places for the program that embeds Busbar, which reads them; Busbar does not. */
export interface TenantResources {
  /** Memory budget in bytes. @defaultValue 536_870_912 */
  readonly memoryBytes: number;
  /** Connection budget. @defaultValue 64 */
  readonly connections: number;
  /** Where its objects are. */
  readonly storageBucket?: string | undefined;
  /** What their names begin with. */
  readonly storagePrefix?: string | undefined;
  /** Where its files are. */
  readonly cacheFolder?: string | undefined;
}

/** A value that JSON holds. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [field: string]: JsonValue };

/** What is known of a tenant. */
export interface Tenant {
  /** 1 to 64 letters, digits, `-` and `_`; the first is a letter or digit. */
  readonly id: string;
  /** For people; not unique. 1 to 256 characters. */
  readonly name: string;
  /** Up to 4_096 characters. @defaultValue "" */
  readonly description: string;
  /** Where it lives: free text of up to 64 characters. */
  readonly region?: string | undefined;
  /** Up to 64 labels. @defaultValue {} */
  readonly metadata: Readonly<Record<string, string>>;
  readonly status: TenantStatus;
  readonly settings: TenantSettings;
  /** Its share of the workers, beside those of others: 1 to 1_000. @defaultValue 1 */
  readonly weight: number;
  readonly quotas: TenantQuotas;
  readonly resources: TenantResources;
  /** Whatever the program that embeds Busbar keeps here. @defaultValue {} */
  readonly fields: Readonly<Record<string, JsonValue>>;
  /**
   * Names its storage. Each registration has a new one, so that nothing that is late, such as an
   * interrupted delete, reaches the data of a later tenant of the same id.
   */
  readonly storageId: string;
  /** By the clock of the process that registered it, in milliseconds since the Unix epoch. */
  readonly createdAtMs: number;
  /** Never before {@link Tenant.createdAtMs}, and never goes back. */
  readonly updatedAtMs: number;
  /** Grows with every change. */
  readonly revision: number;
}

/** Some fields of a group; absent is the same as `undefined`. */
export type Some<Group> = { readonly [Name in keyof Group]?: Group[Name] | undefined };

/** A tenant to register. What is left out has the defaults of {@link Tenant}. */
export interface TenantInput {
  /** Default: a new one. */
  readonly id?: string | undefined;
  readonly name: string;
  readonly description?: string | undefined;
  readonly region?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly settings?: Some<TenantSettings> | undefined;
  readonly weight?: number | undefined;
  readonly quotas?: Some<TenantQuotas> | undefined;
  readonly resources?: Some<TenantResources> | undefined;
  readonly fields?: Readonly<Record<string, JsonValue>> | undefined;
}

/**
 * A change of a tenant. What is absent stays as it is. Groups are merged field by field: a quota that
 * is `null` becomes unlimited; a label, a free field, the region or a place that is `null` is removed.
 */
export interface TenantPatch {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly region?: string | null | undefined;
  readonly metadata?: Readonly<Record<string, string | null>> | undefined;
  readonly settings?: Some<TenantSettings> | undefined;
  readonly weight?: number | undefined;
  readonly quotas?: Some<TenantQuotas> | undefined;
  readonly resources?:
    | Some<{ readonly [Name in keyof TenantResources]: TenantResources[Name] | null }>
    | undefined;
  readonly fields?: Readonly<Record<string, JsonValue>> | undefined;
}
