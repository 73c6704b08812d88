import { readFileSync } from "node:fs";

/**
 * Adds up what a run of the checks found. Each argument is one step, `name=exit code` or
 * `name=exit code=report`, the report being JSON of vitest, of the conformance command or of the
 * differential one. Prints a line for each step and, last, `N passed, N failed`.
 */
interface Totals {
  readonly passed: number;
  readonly failed: number;
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

interface DifferentialReport {
  readonly scripts: number;
  readonly unexplained: number;
}

function readReport(path: string): Totals {
  const report = JSON.parse(readFileSync(path, "utf8")) as
    | Totals
    | VitestReport
    | DifferentialReport;
  if ("unexplained" in report) {
    return { passed: report.scripts - report.unexplained, failed: report.unexplained };
  }
  if (!("testResults" in report)) return report;
  // A file that fails outside of its tests, on import for one, has no failed test to be counted.
  const broken = report.testResults.filter(
    (file) =>
      file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
  };
}

function totalsOf(exitCode: number, path: string | undefined): Totals {
  let totals: Totals = { passed: 0, failed: 0 };
  try {
    if (path !== undefined) totals = readReport(path);
  } catch {
    // A step that promised a report and left none has failed, whatever its exit code says.
    return { passed: 0, failed: 1 };
  }
  // A step can fail without a failed test, on a lint error for one.
  return exitCode !== 0 && totals.failed === 0 ? { ...totals, failed: 1 } : totals;
}

let passed = 0;
let failed = 0;
for (const argument of process.argv.slice(2)) {
  const [name = "", exitCode = "1", report] = argument.split("=");
  const totals = totalsOf(Number(exitCode), report);
  passed += totals.passed;
  failed += totals.failed;
  console.log(`${name}: ${totals.passed} passed, ${totals.failed} failed`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
