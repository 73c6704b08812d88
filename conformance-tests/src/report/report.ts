import type { Capabilities } from "@busbar/core";
import type { ConformanceCase, Contract, Level } from "../case.ts";
import { countStatuses, levelsIn, passedOf } from "./counts.ts";

/** How a case ended. */
export interface CaseResult {
  /** Stable, never reused: contract, group, number, as in `JQ-LEASE-003`. */
  readonly id: string;
  /** What must hold. */
  readonly title: string;
  /** The contract that it holds to account. */
  readonly contract: Contract;
  /** How far it goes. */
  readonly level: Level;
  /** How it ended. */
  readonly status: "passed" | "failed" | "skipped";
  /** Why it failed or was skipped. */
  readonly reason?: string;
  /** Where it failed: the first lines of the stack. */
  readonly stack?: string;
  /** How long it took, by the machine's clock, in milliseconds. */
  readonly ms: number;
}

/**
 * What a run found. As JSON it is the report, whose JSON Schema is the file `report.schema.json` of
 * this package; fields may be added within one schema version.
 */
export interface ConformanceReport {
  /** The version of this shape: a field that changes or goes makes a new one. */
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
  /** What the suite ran on, such as `node 24.21.0 on linux x64`. */
  readonly runtime: string;
  /** With `--only ID` behind it, this command repeats a case. Left out by runs without command line. */
  readonly command?: string;
  /** When the run began, in milliseconds since the Unix epoch. */
  readonly startedAtMs: number;
  /** The whole run, by the machine's clock, in milliseconds. */
  readonly ms: number;
  /** True if the run was told to end before all cases had run; those left count as skipped. */
  readonly interrupted: boolean;
  /** How many cases passed. */
  readonly passed: number;
  /** How many cases failed. */
  readonly failed: number;
  /** How many cases were skipped, each with its reason. */
  readonly skipped: number;
  /** One line for people, such as `L1 118/118 · L2 40/44 · nats 2.15.1`. */
  readonly badge: string;
  /** What the backend declares. */
  readonly capabilities: Capabilities;
  /** Every case of the run, in the order of the suite. */
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
  extends Omit<
    ConformanceReport,
    "schemaVersion" | "backend" | "server" | "passed" | "failed" | "skipped" | "badge"
  > {}

/** Counts. */
export function buildReport(parts: ReportParts): ConformanceReport {
  const { suite, ms, interrupted, capabilities, cases, ...rest } = parts;
  return {
    schemaVersion: 1,
    suite,
    backend: capabilities.backend,
    server: capabilities.server,
    ...rest,
    ms: Math.round(ms),
    interrupted,
    ...countStatuses(cases),
    badge: badgeOf(capabilities, cases) + (interrupted ? " · interrupted" : ""),
    capabilities,
    cases,
  };
}

/** The command that repeats one case; undefined if the run had no command line. */
export function repeatCommand(
  { command }: Pick<ConformanceReport, "command">,
  id: string,
): string | undefined {
  return command === undefined ? undefined : `${command} --only ${id}`;
}

/** Passed of all, by level, then the backend and the version of its server. */
export function badgeOf(
  capabilities: Pick<Capabilities, "backend" | "server">,
  cases: readonly CaseResult[],
): string {
  const levels = levelsIn(cases).map(
    (level) => `${level} ${passedOf(cases.filter((result) => result.level === level))}`,
  );
  const version = /\d+(?:\.\d+)+\S*/.exec(capabilities.server)?.[0] ?? capabilities.server;
  return [...levels, `${capabilities.backend} ${version}`].join(" · ");
}
