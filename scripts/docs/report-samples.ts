import {
  type ConformanceReport,
  formatJson,
  formatJunit,
  formatMarkdown,
  type Harness,
  type HarnessFactory,
  runConformance,
} from "@busbar/conformance-tests";
import type { KvStore } from "@busbar/core";
import { virtualMemoryHarness } from "../../conformance-tests/test/support/memory-harness.ts";

const SEED = 7;
const CASES = ["KV-GET-001", "KV-CAS-002", "KV-TTL-002"];

/** Memory with a fault that a case finds: `cas` writes whatever the revision is. */
const careless: HarnessFactory = async () => {
  const harness = await virtualMemoryHarness();
  const open: Harness["open"] = async (options) => {
    const bus = await harness.open(options);
    const cas: KvStore["cas"] = (bucket, key, value) => bus.kv.put(bucket, key, value);
    Object.defineProperty(bus.kv, "cas", { value: cas });
    return bus;
  };
  return { ...harness, open };
};

/**
 * What the excerpts show: a case that passes, one that fails and one that is skipped. Times and the
 * machine are always the same ones, so that the page changes only if the reports do.
 */
export async function sampleReport(): Promise<ConformanceReport> {
  const run = await runConformance(careless, { seed: SEED, only: CASES });
  return {
    ...run,
    runtime: "node 24.21.0 on linux x64",
    command: `npx busbar-conformance --bus @acme/busbar-redis --seed ${SEED}`,
    startedAtMs: Date.UTC(2026, 0, 1),
    ms: 100,
    cases: run.cases.map(({ stack, ...result }, index) => ({
      ...result,
      ...(stack === undefined ? {} : { stack: "    at cas (compare-and-set.ts:100:7)" }),
      ms: result.status === "skipped" ? 0 : index + 1,
    })),
  };
}

function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``;
}

/** The excerpts of a report, by the name of their block. */
export function sampleBlocks(report: ConformanceReport): Record<string, () => string> {
  return {
    "report-json": () => fenced("json", formatJson(report)),
    "report-junit": () => fenced("xml", formatJunit(report)),
    "report-markdown": () => fenced("markdown", formatMarkdown(report)),
    "report-badge": () => fenced("text", `${report.badge}\n`),
  };
}
