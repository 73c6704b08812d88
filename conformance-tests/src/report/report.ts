import type { Capabilities } from "@busbar/core";
import type { ConformanceCase, Contract, Level } from "../case.ts";
import { LEVELS } from "../levels.ts";

/** How a case ended. */
export interface CaseResult {
  readonly id: string;
  readonly title: string;
  readonly contract: Contract;
  readonly level: Level;
  readonly status: "passed" | "failed" | "skipped";
  /** Why it failed or was skipped. */
  readonly reason?: string;
  /** Where it failed: the first lines of the stack. */
  readonly stack?: string;
  /** How long it took, by the machine's clock, in milliseconds. */
  readonly ms: number;
}

/** What a run found. As JSON it is the report; fields may be added within one schema version. */
export interface ConformanceReport {
  readonly schemaVersion: 1;
  /** Name and version of the suite. */
  readonly suite: string;
  /** `capabilities.backend`. */
  readonly backend: string;
  /** `capabilities.server`. */
  readonly server: string;
  /** The harness's own name. */
  readonly harness: string;
  /** The highest level that was asked for. */
  readonly level: Level;
  /** `--seed` with it repeats the run's random choices. */
  readonly seed: number;
  /** The whole run, by the machine's clock, in milliseconds. */
  readonly ms: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Such as `L1 118/118 · L2 40/44 · nats 2.15.1`. */
  readonly badge: string;
  readonly capabilities: Capabilities;
  readonly cases: readonly CaseResult[];
}

/** A {@link CaseResult} of a case. */
export function resultOf(
  item: ConformanceCase,
  outcome: Pick<CaseResult, "status" | "reason" | "stack" | "ms">,
): CaseResult {
  const { id, title, contract, level } = item;
  return { id, title, contract, level, ...outcome, ms: Math.round(outcome.ms * 10) / 10 };
}

/** What {@link buildReport} puts together. */
export interface ReportParts
  extends Pick<
    ConformanceReport,
    "suite" | "harness" | "level" | "seed" | "ms" | "capabilities" | "cases"
  > {}

/** Counts. */
export function buildReport(parts: ReportParts): ConformanceReport {
  const { suite, harness, level, seed, capabilities, cases } = parts;
  const count = (status: CaseResult["status"]): number =>
    cases.filter((result) => result.status === status).length;
  return {
    schemaVersion: 1,
    suite,
    backend: capabilities.backend,
    server: capabilities.server,
    harness,
    level,
    seed,
    ms: Math.round(parts.ms),
    passed: count("passed"),
    failed: count("failed"),
    skipped: count("skipped"),
    badge: badgeOf(capabilities, cases),
    capabilities,
    cases,
  };
}

/** Passed of all, by level, then the backend and the version of its server. */
export function badgeOf(
  capabilities: Pick<Capabilities, "backend" | "server">,
  cases: readonly CaseResult[],
): string {
  const levels = LEVELS.flatMap((level) => {
    const all = cases.filter((result) => result.level === level);
    const passed = all.filter((result) => result.status === "passed");
    return all.length === 0 ? [] : [`${level} ${passed.length}/${all.length}`];
  });
  const version = /\d+(?:\.\d+)+\S*/.exec(capabilities.server)?.[0] ?? capabilities.server;
  return [...levels, `${capabilities.backend} ${version}`].join(" · ");
}

/** The skipped cases by their reason, in order of appearance. */
export function skipsByReason(cases: readonly CaseResult[]): ReadonlyMap<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { id, status, reason = "" } of cases) {
    if (status !== "skipped") continue;
    const ids = groups.get(reason);
    if (ids) ids.push(id);
    else groups.set(reason, [id]);
  }
  return groups;
}
