export {
  check,
  checkCode,
  checkEqual,
  checkOptionRefused,
  checkRange,
  ConformanceFailure,
  iteratorOf,
  take,
} from "./assert.ts";
export { busHarness } from "./bus-harness.ts";
export {
  type CaseContext,
  type ConformanceCase,
  type Contract,
  type Harness,
  type HarnessFactory,
  type Level,
  needsKeyTtl,
  needsOtherProcess,
  needsPersistence,
  needsServerFaults,
  needsServerPause,
  needsVirtualTime,
  type OpenOptions,
  type Requirement,
  type ServerFaults,
} from "./case.ts";
export { allCases } from "./cases/index.ts";
export { DEFAULT_LEVEL, LEVELS, type Selection, selectCases } from "./levels.ts";
export type { Output } from "./progress.ts";
export { formatBadge } from "./report/badge.ts";
export { formatHtml } from "./report/html.ts";
export { formatJson } from "./report/json.ts";
export { formatJunit } from "./report/junit.ts";
export { formatMarkdown } from "./report/markdown.ts";
export { badgeOf, type CaseResult, type ConformanceReport } from "./report/report.ts";
export { reportSchema } from "./report/schema.ts";
export { runConformance, type RunOptions, SuiteRun } from "./runner.ts";
