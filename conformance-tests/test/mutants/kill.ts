import {
  allCases,
  type CaseResult,
  type ConformanceCase,
  type Contract,
  type Harness,
  runConformance,
} from "@busbar/conformance-tests";
import { virtualMemoryHarness } from "../support/memory-harness.ts";
import type { Mutant } from "./mutant.ts";

/** The seed unless another one is asked for: the same cases then kill the same mutants. */
export const DEFAULT_SEED = 1;

/** Contracts that are built on one another. */
const NEIGHBOURS: Partial<Record<Contract, readonly Contract[]>> = {
  kv: ["kv", "lease"],
  lease: ["kv", "lease"],
};

/** A case that failed on a mutant, and what it said. */
export interface Kill {
  readonly id: string;
  readonly reason: string;
}

/** What the suite made of a mutant. */
export interface Verdict {
  /** Of the mutant. */
  readonly id: string;
  /** How many cases ran. */
  readonly ran: number;
  /** All cases that failed, in the order of the suite. */
  readonly kills: readonly Kill[];
  /** Why this is no proof; empty if it is one. */
  readonly problems: readonly string[];
}

/** What {@link tryMutant} may be told. */
export interface TryOptions {
  /** The cases to run. Default: {@link casesFor}. */
  readonly only?: readonly string[];
  /** @defaultValue 1 */
  readonly seed?: number;
}

/** Runs the suite on a mutant of bus-memory, under virtual time. */
export async function tryMutant(mutant: Mutant, options: TryOptions = {}): Promise<Verdict> {
  const { only, seed = DEFAULT_SEED } = options;
  const cases = only ? allCases : casesFor(mutant);
  const report = await runConformance(() => brokenHarness(mutant), { cases, only, seed });
  const failed = report.cases.filter(({ status }) => status === "failed");
  return {
    id: mutant.id,
    ran: report.cases.filter(({ status }) => status !== "skipped").length,
    kills: failed.map(({ id, reason = "" }) => ({ id, reason })),
    problems: problemsOf(mutant, report.cases),
  };
}

/**
 * All cases up to L2, and the stress of L3 on the contract in which the mistake is: that of the
 * others is half of the work, and finds nothing that their other cases do not find.
 */
function casesFor({ contract, killedBy }: Mutant): ConformanceCase[] {
  // The good backend passes everything.
  if (killedBy.length === 0) return [...allCases];
  const near = NEIGHBOURS[contract] ?? [contract];
  return allCases.filter(
    (item) => item.level !== "L3" || near.includes(item.contract) || killedBy.includes(item.id),
  );
}

async function brokenHarness(mutant: Mutant): Promise<Harness> {
  const harness = await virtualMemoryHarness();
  const { time } = harness;
  if (time === undefined) throw new Error("mutants need virtual time");
  const open = mutant.wrap({ clock: time.clock, open: (options) => harness.open(options) });
  return { ...harness, name: mutant.id, open };
}

/** A declared killer must fail, and with something the suite says, not with a bug of the wrapper. */
function problemsOf({ killedBy }: Mutant, cases: readonly CaseResult[]): string[] {
  return killedBy.flatMap((id) => {
    const result = cases.find((item) => item.id === id);
    if (result?.status !== "failed") return [`${id} ${result?.status ?? "is not there"}`];
    const { reason = "" } = result;
    return /\b(?:Type|Reference|Range|Syntax)Error: |^harness: /.test(reason)
      ? [`${id} failed for another reason: ${reason}`]
      : [];
  });
}
