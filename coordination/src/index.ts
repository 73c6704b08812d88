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
export {
  DiscardTask,
  RetryTask,
  type TaskContext,
  type TaskHandler,
  type TaskOutcome,
} from "./tasks/running-task.ts";
export type { Backoff, Task, TaskInput, TaskPriority } from "./tasks/task.ts";
export { type Submitted, TaskQueue, type TaskQueueParts } from "./tasks/task-queue.ts";
export {
  type StopOptions,
  type StopReport,
  WorkerPool,
  type WorkerPoolOptions,
} from "./tasks/worker-pool.ts";
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
