import { allCases, busHarness, runConformance } from "@busbar/conformance-tests";

// How the author of a backend has it checked in CI: the suite, a bus, and the exit code. Here the
// smoke level; without `level` everything a backend must do, and what it says that it can.
//
// The command line does the same and writes JSON, JUnit, Markdown, HTML and a badge:
//   npx busbar-conformance --bus memory: --junit report.xml

const bus = process.env["BUSBAR_URL"] ?? "memory:";
const report = await runConformance(await busHarness(bus), {
  level: "L0",
  concurrency: 4,
  onResult: ({ id, status, reason }) => {
    if (status !== "passed") console.log(`${id} ${status}: ${reason}`);
  },
});
console.log(`${report.backend} (${report.server})`);
console.log(
  `passed some: ${report.passed > 0}, failed: ${report.failed}, of ${allCases.length} cases`,
);
process.exitCode = report.failed === 0 ? 0 : 1;
/* Prints, on memory and NATS:
... (...)
passed some: true, failed: 0, of ... cases
*/
