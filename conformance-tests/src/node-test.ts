import { after, before, describe, it } from "node:test";
import type { HarnessFactory } from "./case.ts";
import { allCases } from "./cases/index.ts";
import { selectCases } from "./levels.ts";
import { type RunOptions, SuiteRun } from "./runner.ts";

/** What {@link describeConformance} may be told. */
export interface DescribeConformanceOptions
  extends Pick<RunOptions, "level" | "only" | "seed" | "cases"> {
  /** Makes the harness. */
  readonly harness: HarnessFactory;
  /** Title of the group. @defaultValue "conformance" */
  readonly title?: string;
}

/** Registers every selected case as a test of `node:test` with its id; a skip says its reason. */
export function describeConformance(options: DescribeConformanceOptions): void {
  void describe(options.title ?? "conformance", () => {
    let run: SuiteRun | undefined;
    before(async () => {
      run = await SuiteRun.start(options.harness, options);
    });
    after(async () => {
      await run?.finish();
    });
    for (const item of selectCases(options.cases ?? allCases, options)) {
      void it(`${item.id} ${item.title}`, async (test) => {
        const result = await run?.runCase(item);
        if (result?.status === "skipped") test.skip(result.reason);
        if (result?.status === "failed") {
          throw new Error(`${result.reason ?? "failed"}\n${result.stack ?? ""}`);
        }
      });
    }
  });
}
