import { readFileSync } from "node:fs";

/**
 * Adds up what a run of the checks found. Each argument is one step, `name=exit code` or
 * `name=exit code=report`, the report being JSON of vitest, of the conformance command or of the
 * differential one. Prints what failed, a line for each step and, last, `N passed, N failed`: who
 * only sees the end of a long log can still tell what it was.
 */
interface Totals {
  readonly passed: number;
  readonly failed: number;
  /** What failed and how it told so, as far as the report names it. */
  readonly failures?: readonly string[];
}

/** What the conformance command writes, as far as it is read here. */
interface CaseReport extends Totals {
  readonly cases?: readonly {
    readonly id: string;
    readonly title: string;
    readonly status: string;
    readonly reason?: string;
  }[];
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

interface DifferentialReport {
  readonly scripts: number;
  readonly unexplained: number;
}

function readReport(path: string): Totals {
  const report = JSON.parse(readFileSync(path, "utf8")) as
    | CaseReport
    | VitestReport
    | DifferentialReport;
  if ("unexplained" in report) {
    return { passed: report.scripts - report.unexplained, failed: report.unexplained };
  }
  return "testResults" in report ? readVitest(report) : readCases(report);
}

function readCases({ passed, failed, cases = [] }: CaseReport): Totals {
  const red = cases.filter((item) => item.status === "failed");
  return {
    passed,
    failed,
    failures: red.map(({ id, title, reason = "" }) => `${id} ${title}\n${reason}`),
  };
}

function readVitest(report: VitestReport): Totals {
  // A file that fails outside of its tests, on import for one, has no failed test to be counted.
  const broken = report.testResults.filter(
    (file) =>
      file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"),
  );
  const red = report.testResults.flatMap((file) =>
    file.assertionResults
      .filter((test) => test.status === "failed")
      .map((test) => `${file.name}: ${test.fullName}\n${test.failureMessages.join("\n")}`),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    failures: [...red, ...broken.map((file) => `${file.name}\n${file.message}`)],
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

/** The first lines of it: enough to know it again, and a hundred of them still can be read. */
const FAILURE_LINES = 12;

let passed = 0;
let failed = 0;
const lines: string[] = [];
for (const argument of process.argv.slice(2)) {
  const [name = "", exitCode = "1", report] = argument.split("=");
  const totals = totalsOf(Number(exitCode), report);
  passed += totals.passed;
  failed += totals.failed;
  lines.push(`${name}: ${totals.passed} passed, ${totals.failed} failed`);
  for (const failure of totals.failures ?? []) {
    console.log(`${name}: failed: ${failure.split("\n").slice(0, FAILURE_LINES).join("\n  ")}\n`);
  }
}
for (const line of lines) console.log(line);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
