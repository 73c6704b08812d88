export {
  Admission,
  type AdmissionParts,
  type Grant,
} from "./admission/admission.ts";
export type { QuotaName, QuotaUsage, TaskAmount, TenantUsage } from "./admission/quota.ts";
export {
  LeaderElection,
  type ElectionWaitOptions,
  type LeaderWork,
} from "./election/leader-election.ts";
export type { LeaderElectionOptions } from "./election/election-options.ts";
export { type Leader, Leadership } from "./election/leadership.ts";
export {
  FencedBucket,
  type FencedBucketOptions,
  type FencedEntry,
  type FencedWriter,
} from "./locks/fenced-bucket.ts";
export { Lock } from "./locks/lock.ts";
export {
  type AcquireOptions,
  type LockHolder,
  type LockOptions,
  Locks,
  type LocksOptions,
} from "./locks/locks.ts";
export { Member } from "./membership/member.ts";
export { Membership } from "./membership/membership.ts";
export type { MembershipOptions } from "./membership/membership-options.ts";
export type {
  ClusterNode,
  ClusterSummary,
  NodeChange,
  NodeInput,
  NodeStatus,
} from "./membership/node.ts";
export { Permits, type PermitsOptions } from "./permits/permits.ts";
export type {
  CatchUp,
  Schedule,
  ScheduledTask,
  ScheduleInput,
  ScheduleName,
  ScheduleTimes,
  TickRefusal,
} from "./schedules/schedule.ts";
export {
  type ListSchedulesOptions,
  type RunSchedulesOptions,
  type SchedulePage,
  Schedules,
  type SchedulesParts,
  type TickLeader,
} from "./schedules/schedules.ts";
export type { TickOutcome } from "./schedules/tick.ts";
export type { DeadTask, DeadTaskPage, DeadTasks } from "./tasks/dead-tasks.ts";
export type { TaskExplanation, TaskObstacle } from "./tasks/explain-task.ts";
export type { PoolCounters } from "./tasks/pool-counters.ts";
export type { PoolReport } from "./tasks/pool-report.ts";
export type { TaskContext, TaskHandler, TaskOutcome } from "./tasks/running-task.ts";
export { type StopOnSignalOptions, stopOnSignal } from "./tasks/stop-on-signal.ts";
export type { Backoff, Task, TaskInput, TaskPriority } from "./tasks/task.ts";
export {
  type DefinedTaskHandler,
  type DefinedTaskInput,
  defineTask,
  TaskDefinition,
  type TaskSchemas,
} from "./tasks/task-definition.ts";
export { DiscardTask, RetryTask } from "./tasks/task-errors.ts";
export type { ResultOptions, TaskHandle } from "./tasks/task-handle.ts";
export { type Submitted, TaskQueue, type TaskQueueParts } from "./tasks/task-queue.ts";
export type {
  FinalStatus,
  TaskAttempt,
  TaskFailure,
  TaskFailureKind,
  TaskRecord,
  TaskResult,
  TaskStatus,
} from "./tasks/task-record.ts";
export type { TaskEvent } from "./tasks/task-signals.ts";
export { WorkerPool } from "./tasks/worker-pool.ts";
export type {
  PoolEvent,
  StopOptions,
  StopReport,
  WorkerPoolOptions,
} from "./tasks/worker-pool-options.ts";
export type {
  JsonValue,
  Some,
  Tenant,
  TenantInput,
  TenantPatch,
  TenantQuotas,
  TenantResources,
  TenantSettings,
  TenantStatus,
} from "./tenants/tenant.ts";
export {
  type ChangeTenantOptions,
  type ListTenantsOptions,
  type TenantCleaner,
  type TenantEvent,
  type TenantPage,
  TenantRegistry,
  type TenantRegistryOptions,
} from "./tenants/tenant-registry.ts";
export { TenantDirectory } from "./tenants/tenant-directory.ts";
export { TenantViews, tenantViewCleaner } from "./tenants/tenant-views.ts";
export {
  type ThreadHandler,
  threadHandler,
  type ThreadHandlerOptions,
} from "./threads/thread-handler.ts";
