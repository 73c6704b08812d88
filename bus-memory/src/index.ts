export type { StreamLimits } from "./engine/stream.ts";
export { busBackend } from "./memory-backend.ts";
export { type CrashOptions, MemoryServer, type MemoryServerOptions } from "./memory-server.ts";
export type { MemoryServerStats } from "./server-stats.ts";
export type { Checker, CountingChecker, FinalState } from "./sim/checker.ts";
export { atMost, type CountedAs } from "./sim/checkers/at-most.ts";
export { boundedDuplicates, type DuplicateLimits } from "./sim/checkers/bounded-duplicates.ts";
export type { Execution, JobSettle } from "./sim/checkers/executions.ts";
export { linearizableKv, type LinearizableKvOptions } from "./sim/checkers/linearizable-kv.ts";
export { noLostJobs } from "./sim/checkers/no-lost-jobs.ts";
export { noLostMessages } from "./sim/checkers/no-lost-messages.ts";
export { oneHolderPerFence } from "./sim/checkers/one-holder-per-fence.ts";
export { orderPerSubject } from "./sim/checkers/order-per-subject.ts";
export { standardCheckers } from "./sim/checkers/standard-checkers.ts";
export type { Draw } from "./sim/draws.ts";
export {
  ALL_FAULTS,
  type FaultOptions,
  type Range,
  type Spell,
} from "./sim/faults.ts";
export { type Exploration, explore, type ExploreOptions } from "./sim/explore.ts";
export type { Waiting } from "./sim/link.ts";
export type { ProcessContext, ProcessMain, ProcessState, SimProcess } from "./sim/process.ts";
export type { RunCounts } from "./sim/recorder.ts";
export {
  defineScenario,
  type Finding,
  type Played,
  playScenario,
  type PlayOptions,
  type ScenarioDefinition,
} from "./sim/scenario.ts";
export { ScenarioError, testScenario, type TestScenarioOptions } from "./sim/test-scenario.ts";
export { formatTimeline } from "./sim/timeline.ts";
export { shrink, type ShrinkOptions, type Shrunk } from "./sim/shrink.ts";
export {
  type Scenario,
  simulate,
  type SimulateOptions,
  type SimulationReport,
} from "./sim/simulate.ts";
export { type FailedRun, SimulationError } from "./sim/simulation-error.ts";
export { formatEvent, type TraceEvent, type TraceType } from "./sim/trace.ts";
export type { World } from "./sim/world.ts";
