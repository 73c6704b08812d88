export type { StreamLimits } from "./engine/stream.ts";
export { busBackend } from "./memory-backend.ts";
export { type CrashOptions, MemoryServer, type MemoryServerOptions } from "./memory-server.ts";
export type { MemoryServerStats } from "./server-stats.ts";
export type { Checker, FinalState } from "./sim/checker.ts";
export type { Draw } from "./sim/draws.ts";
export {
  ALL_FAULTS,
  type FaultOptions,
  type Range,
  type Spell,
} from "./sim/faults.ts";
export type { ParkedCall } from "./sim/link.ts";
export type { ProcessContext, ProcessMain, ProcessState, SimProcess } from "./sim/process.ts";
export type { RunCounts } from "./sim/recorder.ts";
export {
  type Scenario,
  simulate,
  type SimulateOptions,
  type SimulationReport,
} from "./sim/simulate.ts";
export { type FailedRun, SimulationError } from "./sim/simulation-error.ts";
export { formatEvent, type TraceEvent, type TraceType } from "./sim/trace.ts";
export type { World } from "./sim/world.ts";
