import { afterAll, beforeAll, describe, it } from "vitest";
import type { HarnessFactory } from "./case.ts";
import { allCases } from "./cases/index.ts";
import { selectCases } from "./levels.ts";
import { type RunOptions, SuiteRun } from "./runner.ts";

const TEST_TIMEOUT_MS = 180_000;

/** What {@link describeConformance} may be told. */
export interface DescribeConformanceOptions
  extends Pick<RunOptions, "level" | "only" | "seed" | "cases"> {
  /** Makes the harness. */
  readonly harness: HarnessFactory;
  /** Title of the group. @defaultValue "conformance" */
  readonly title?: string;
}

/** Registers every selected case as a vitest test with its id; a skip says its reason. */
export function describeConformance(options: DescribeConformanceOptions): void {
  describe(options.title ?? "conformance", () => {
    let run: SuiteRun | undefined;
    beforeAll(async () => {
      run = await SuiteRun.start(options.harness, options);
    });
    afterAll(async () => {
      await run?.finish();
    });
    for (const item of selectCases(options.cases ?? allCases, options)) {
      it(`${item.id} ${item.title}`, { timeout: TEST_TIMEOUT_MS }, async ({ skip }) => {
        const result = await run?.runCase(item);
        if (result?.status === "skipped") skip(result.reason);
        if (result?.status === "failed") {
          throw new Error(`${result.reason ?? "failed"}\n${result.stack ?? ""}`);
        }
      });
    }
  });
}
