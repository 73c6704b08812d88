import { z } from "zod";
import type { ConformanceReport } from "./report.ts";

const count = z.int().min(0);
const ms = z.number().min(0);
const level = z.enum(["L0", "L1", "L2", "L3", "L4"]);

const caseResult = z
  .looseObject({
    id: z.string().regex(/^[A-Z]+(?:-[A-Z]+)*-\d+$/),
    title: z.string(),
    contract: z.enum([
      "pubsub",
      "rpc",
      "kv",
      "lease",
      "jobs",
      "capabilities",
      "lifecycle",
      "names",
      "faults",
    ]),
    level,
    status: z.enum(["passed", "failed", "skipped"]),
    reason: z.string().exactOptional(),
    stack: z.string().exactOptional(),
    ms,
  })
  .meta({ id: "CaseResult" });

const settleDurability = z.enum(["kept", "window", "none"]);
const dedupDurability = z.enum(["kept", "unconsumed", "none"]);

const capabilities = z
  .looseObject({
    backend: z.string(),
    server: z.string(),
    ackMeaning: z.enum(["memory", "flushed", "synced", "quorum"]),
    persistent: z.boolean(),
    settleDurability: z.looseObject({ pubsub: settleDurability, jobs: settleDurability }),
    dedupDurability: z.looseObject({ pubsub: dedupDurability, jobs: dedupDurability }),
    deliveryCounts: z.enum(["exact", "nearly", "loose"]),
    dedupWindowMs: count,
    maxPayloadBytes: count,
    timerGranularityMs: ms,
    crossProcess: z.boolean(),
    keyTtl: z.boolean(),
    keyTtlGranularityMs: ms,
  })
  .meta({ id: "Capabilities" });

/**
 * Checks a report that was read from a file: `reportSchema.parse(JSON.parse(text))`. Fields that it
 * does not know are kept: a newer suite may add some. `report.schema.json` is made from it.
 */
export const reportSchema: z.ZodType<ConformanceReport> = z
  .looseObject({
    schemaVersion: z.literal(1),
    suite: z.string(),
    backend: z.string(),
    server: z.string(),
    harness: z.string(),
    level,
    seed: count,
    runtime: z.string(),
    command: z.string().exactOptional(),
    startedAtMs: z.number(),
    ms,
    interrupted: z.boolean(),
    passed: count,
    failed: count,
    skipped: count,
    badge: z.string(),
    capabilities,
    cases: z.array(caseResult),
  })
  .meta({ id: "ConformanceReport" });
