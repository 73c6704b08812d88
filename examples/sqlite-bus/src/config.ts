import { type Clock, type Random, systemClock, systemRandom } from "@busbar/core";
import { invalidConfig } from "@busbar/core/adapter";
import { z } from "zod";

const object = <T>(what: string) =>
  z.custom<T>((value) => typeof value === "object" && value !== null, what);

const schema = z.strictObject({
  // openBus was asked for the package by this name, or by the address of its file.
  backend: z.string(),
  namespace: z
    .string()
    .max(64)
    .regex(/^[A-Za-z0-9-]+$/, "letters, digits and '-' only")
    .default("default"),
  dedupWindowMs: z.int().min(100).max(86_400_000).default(120_000),
  file: z.string().min(1),
  pollMs: z.int().min(0).max(10_000).default(20),
  busyTimeoutMs: z.int().min(0).max(60_000).default(2_000),
  sync: z.enum(["never", "flushed", "synced"]).default("flushed"),
  maxPayloadBytes: z.int().min(1).max(67_108_864).default(1_048_576),
  clock: object<Clock>("a Clock").default(systemClock),
  random: object<Random>("a Random").default(systemRandom),
});

/** What the SQLite backend may be told, with the defaults filled in. */
export interface SqliteConfig {
  /** Separates applications and tests that share the file. Default: "default". */
  readonly namespace: string;
  /** How long message ids and dedup keys are remembered, in milliseconds. Default: 120,000. */
  readonly dedupWindowMs: number;
  /** The path of the file. It is made if it is not there. Not on a network drive. */
  readonly file: string;
  /**
   * How often the file is looked at for what other processes wrote, in milliseconds, 0 to 10,000.
   * 0 says that no other process uses it. Default: 20.
   */
  readonly pollMs: number;
  /** How long an operation blocks while another process writes, in milliseconds. Default: 2,000. */
  readonly busyTimeoutMs: number;
  /**
   * What a write survives: `flushed` a kill of the process, `synced` power loss too. With `never`,
   * which is for tests, power loss may destroy the file. Default: "flushed".
   */
  readonly sync: "never" | "flushed" | "synced";
  /** Largest payload, in bytes. Default: 1 MiB. */
  readonly maxPayloadBytes: number;
  /** All buses on one file in one process have one clock. Default: the machine's. */
  readonly clock: Clock;
  /** Default: the machine's. */
  readonly random: Random;
}

/** Checks a configuration and fills in the defaults. @throws BusError `INVALID_CONFIG` */
export function parseConfig(config: Readonly<Record<string, unknown>>): SqliteConfig {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  throw invalidConfig(result.error.issues, config);
}
