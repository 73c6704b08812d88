import { z } from "zod";
import type { Bus } from "./bus.ts";
import type { Clock } from "./clock.ts";
import { BusError } from "./errors.ts";
import { MAX_NAMESPACE_LENGTH } from "./names.ts";

const namespace = z
  .string()
  .max(MAX_NAMESPACE_LENGTH)
  .regex(/^[A-Za-z0-9-]+$/, "letters, digits and '-' only")
  .default("default");

const dedupWindowMs = z.int().min(100).max(86_400_000).default(120_000);

const object = <T>(what: string) =>
  z.custom<T>((value) => typeof value === "object" && value !== null, what);

/** An object with these options and no others; a wrong one is told which there are. */
const options = <Shape extends z.core.$ZodLooseShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? `no such option; allowed: ${Object.keys(shape).join(", ")}`
        : undefined,
  });

const memoryConfigSchema = options({
  backend: z.literal("memory"),
  namespace,
  dedupWindowMs,
  clock: object<Clock>("a Clock").optional(),
  server: object<object>("a MemoryServer").optional(),
  name: z
    .string()
    .max(64)
    .regex(/^[A-Za-z0-9_-]+$/, "letters, digits, '_' and '-' only")
    .optional(),
  maxPayloadBytes: z.int().min(1).max(67_108_864).default(1_048_576),
});

const auth = z.union(
  [
    options({ user: z.string().min(1), password: z.string() }),
    options({ token: z.string().min(1) }),
    options({ nkeySeed: z.string().startsWith("SU", "a user seed begins with SU") }),
    options({ credentialsFile: z.string().min(1) }),
  ],
  "one of { user, password }, { token }, { nkeySeed }, { credentialsFile }",
);

const tls = options({
  caFile: z.string().optional(),
  certFile: z.string().optional(),
  keyFile: z.string().optional(),
  handshakeFirst: z.boolean().default(false),
});

const serverUrl = z.string().regex(/^(?:(?:nats|tls):\/\/)?[^\s/?#]+$/, "nats://host:port");

const natsConfigSchema = options({
  backend: z.literal("nats"),
  namespace,
  dedupWindowMs,
  servers: z
    .union(
      [serverUrl.transform((one) => [one]), z.array(serverUrl).min(1)],
      "nats://host:port, or a list of at least one of them",
    )
    .default(["nats://127.0.0.1:4222"]),
  auth: auth.optional(),
  tls: z
    .union(
      [z.literal(true).transform(() => ({ handshakeFirst: false })), tls],
      "true, or an object of caFile, certFile, keyFile, handshakeFirst",
    )
    .optional(),
  connection: object<object>("a NatsConnection of @nats-io/transport-node").optional(),
  clientName: z.string().min(1).max(128).default("busbar"),
  replicas: z.int().min(1).max(5).default(1),
  storage: z.enum(["file", "memory"]).default("file"),
  maxAgeMs: z.int().min(0).default(0),
  maxBytes: z.int().min(-1).default(-1),
  stream: options({
    name: z
      .string()
      .min(1)
      .max(128)
      .regex(/^[^\s.*>/\\]+$/, "a stream name without white space, '.', '*', '>', '/' and '\\'"),
    subjectPrefix: z.string().max(128).default(""),
  }).optional(),
  connectTimeoutMs: z.int().min(100).max(600_000).default(5_000),
  reconnectWaitMs: z.int().min(10).max(60_000).default(250),
  pingIntervalMs: z.int().min(500).max(600_000).default(10_000),
  update: z.boolean().default(false),
  clock: object<Clock>("a Clock").optional(),
});

const builtInSchema = z.discriminatedUnion("backend", [memoryConfigSchema, natsConfigSchema]);

interface CommonConfig {
  /**
   * Isolates applications and tests that share a server: letters, digits and `-`, 1 to 64.
   * With `--` it is that of a view: see `Bus.forNamespace`.
   * @defaultValue "default"
   */
  readonly namespace?: string | undefined;
  /**
   * How long message ids and dedup keys are remembered, in milliseconds, 100 to 86_400_000.
   * @defaultValue 120_000
   */
  readonly dedupWindowMs?: number | undefined;
  /** Where time comes from. Default: the machine. */
  readonly clock?: Clock | undefined;
}

/** What the memory backend may be told. */
export interface MemoryConfig extends CommonConfig {
  readonly backend: "memory";
  /** A simulated server (`MemoryServer` of `@busbar/bus-memory`) to share with other buses. */
  readonly server?: object | undefined;
  /** Buses of this process with one name share a simulated server. Default: a private one. */
  readonly name?: string | undefined;
  /** Largest payload, in bytes, 1 to 67_108_864. @defaultValue 1_048_576 */
  readonly maxPayloadBytes?: number | undefined;
}

/** How to prove who we are to a NATS server. */
export type NatsAuth =
  | { readonly user: string; readonly password: string }
  | { readonly token: string }
  /** A user seed, beginning with `SU`. */
  | { readonly nkeySeed: string }
  /** Path of a `.creds` file. */
  | { readonly credentialsFile: string };

/** TLS of a NATS connection; paths of PEM files. */
export interface NatsTls {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Whether TLS comes before the server's greeting. @defaultValue false */
  readonly handshakeFirst?: boolean | undefined;
}

/** An existing JetStream stream to publish to and subscribe from. */
export interface NatsStreamBinding {
  /** The stream. It is never changed. */
  readonly name: string;
  /** Put before every subject, with a dot; empty for none. @defaultValue "" */
  readonly subjectPrefix?: string | undefined;
}

/** What the NATS backend may be told. */
export interface NatsConfig extends CommonConfig {
  readonly backend: "nats";
  /** One or several servers of one cluster. @defaultValue "nats://127.0.0.1:4222" */
  readonly servers?: string | readonly string[] | undefined;
  /** Default: none. */
  readonly auth?: NatsAuth | undefined;
  /** `true` for TLS with the machine's certificates. Default: what the server asks for. */
  readonly tls?: true | NatsTls | undefined;
  /** An open `NatsConnection` of `@nats-io/transport-node`. It is not closed with the bus. */
  readonly connection?: object | undefined;
  /** Shown in the server's connection list. @defaultValue "busbar" */
  readonly clientName?: string | undefined;
  /** Copies of every stream and bucket, 1 to 5, on that many servers. @defaultValue 1 */
  readonly replicas?: number | undefined;
  /** Where streams and buckets live. @defaultValue "file" */
  readonly storage?: "file" | "memory" | undefined;
  /** How long published messages are kept, in milliseconds; 0 for ever. @defaultValue 0 */
  readonly maxAgeMs?: number | undefined;
  /** Most bytes of published messages, the oldest go first; -1 for no limit. @defaultValue -1 */
  readonly maxBytes?: number | undefined;
  /** Use this existing stream instead of the namespace's own. Views have streams of their own. */
  readonly stream?: NatsStreamBinding | undefined;
  /** How long the first connection may take, in milliseconds, 100 to 600_000. @defaultValue 5_000 */
  readonly connectTimeoutMs?: number | undefined;
  /** Pause between attempts to reconnect, in milliseconds, 10 to 60_000. @defaultValue 250 */
  readonly reconnectWaitMs?: number | undefined;
  /** How often a silent server is pinged, in milliseconds, 500 to 600_000. @defaultValue 10_000 */
  readonly pingIntervalMs?: number | undefined;
  /** Brings existing streams to this configuration instead of refusing them. @defaultValue false */
  readonly update?: boolean | undefined;
}

type Defined<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };

/** {@link MemoryConfig} with the defaults filled in. */
export type ResolvedMemoryConfig = Defined<Omit<MemoryConfig, "clock" | "server" | "name">> &
  Pick<MemoryConfig, "clock" | "server" | "name">;

type OptionalNats = "clock" | "auth" | "tls" | "connection" | "stream" | "servers";
/** {@link NatsConfig} with the defaults filled in. */
export type ResolvedNatsConfig = Defined<Omit<NatsConfig, OptionalNats>> &
  Pick<NatsConfig, "clock" | "auth" | "connection"> & {
    readonly servers: readonly string[];
    readonly tls?: NatsTls | undefined;
    readonly stream?: Defined<NatsStreamBinding> | undefined;
  };

/** Configuration of a backend that is a package of its own: `backend` is the package's name. */
export interface PackageConfig {
  readonly backend: `${string}/${string}` | `busbar-${string}` | `file:${string}`;
  readonly [option: string]: unknown;
}
/** What {@link openBus} takes. */
export type BusConfig = MemoryConfig | NatsConfig | PackageConfig;

/** What a backend's package exports under the name `busBackend`. */
export interface BusBackend<Config = never> {
  /** The name in `capabilities.backend`. */
  readonly name: string;
  /**
   * Checks the configuration and fills in defaults. Built-in backends are checked by core.
   * @throws BusError `INVALID_CONFIG`
   */
  readonly parseConfig?: (config: Readonly<Record<string, unknown>>) => Config;
  /** Opens a bus. */
  open(config: Config): Promise<Bus>;
}

/** Checks the configuration of a built-in backend. @throws BusError `INVALID_CONFIG` */
export function parseBuiltInConfig(config: unknown): ResolvedMemoryConfig | ResolvedNatsConfig {
  const result = builtInSchema.safeParse(config);
  if (result.success) return result.data;
  throw invalidConfig(result.error.issues, config);
}

/** A problem as any Standard Schema tells it; `keys` is what zod adds for options that are unknown. */
interface ConfigIssue {
  readonly message: string;
  readonly path?: readonly unknown[] | undefined;
  readonly keys?: readonly string[];
}

/** `INVALID_CONFIG` from the issues of any Standard Schema: names field, what it got, what it may be. */
export function invalidConfig(issues: readonly ConfigIssue[], config: unknown): BusError {
  const found = issues.flatMap((issue) => {
    const path = (issue.path ?? []).map((part) =>
      typeof part === "object" && part !== null && "key" in part ? part.key : part,
    );
    const problem = issue.message;
    // A misspelt name may stand before a secret: its value is not shown.
    const unknown = issue.keys?.map((key) => {
      return { field: [...path, key].join("."), got: "hidden", problem };
    });
    return unknown ?? [{ field: path.join(".") || "config", got: shown(path, config), problem }];
  });
  const text = found.map(({ field, got, problem }) => `${field} (${got}): ${problem}`).join("; ");
  return new BusError("INVALID_CONFIG", `bus configuration: ${text}`, {
    details: { issues: found },
  });
}

const SECRET = /auth|password|token|seed|credentials|key/i;

function shown(path: readonly unknown[], config: unknown): string {
  if (path.some((part) => SECRET.test(String(part)))) return "hidden";
  let value = config;
  for (const part of path) {
    value =
      typeof value === "object" && value !== null ? Reflect.get(value, part as string) : undefined;
  }
  // What stands before an @ in a URL may be a password.
  if (typeof value === "string") return JSON.stringify(value.replace(/^.*@/s, "...@").slice(0, 64));
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null)
    return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}
