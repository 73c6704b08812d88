// What a backend is built from: the rules that all backends share, each in one place.
export { settle, sleepOn } from "./clock.ts";
export { invalidConfig } from "./config.ts";
export {
  alreadySettled,
  closedError,
  describeThrown,
  jobLeaseLost,
  noResponders,
  optionsConflict,
  remoteError,
  revisionConflict,
  sequenceConflict,
  timeoutError,
} from "./failures.ts";
export { Heap } from "./heap.ts";
export {
  LeaseManager,
  type LeaseManagerContext,
  leaseMarginMs,
  type LeaseRecord,
  type LeaseStore,
} from "./lease-manager.ts";
export { Lifecycle, type Owned, within } from "./lifecycle.ts";
export { Mailbox, type MailboxOptions } from "./mailbox.ts";
export {
  checkKey,
  checkKeyPattern,
  checkName,
  checkNamespace,
  checkSubject,
  checkSubjectPattern,
  isNamespaceWithin,
  type NameKind,
  namespaceBelow,
} from "./names.ts";
export { checkHeaders, NO_HEADERS, payloadBytes } from "./payload.ts";
export {
  checkDedupId,
  checkDuration,
  checkExpected,
  checkInteger,
  checkJobLease,
  checkPageCursor,
  checkReason,
  DEFAULT_JOB_LEASE_MS,
  DEFAULT_MAX_ATTEMPTS,
  DEFAULT_TIMEOUT_MS,
  jobNumber,
  MAX_PRIORITY,
  type ResolvedBucketOptions,
  type ResolvedClaimOptions,
  type ResolvedJob,
  type ResolvedLeaseOptions,
  type ResolvedServeOptions,
  type ResolvedSubscribeOptions,
  resolveBucketOptions,
  resolveClaimOptions,
  resolveDelay,
  resolveDrain,
  resolveJob,
  resolveKeysOptions,
  resolveLeaseOptions,
  resolveLimit,
  resolveServeOptions,
  resolveSubscribeOptions,
  resolveTimeout,
} from "./resolve.ts";
export { type IncomingRequest, RpcExecutor, type RpcOutcome } from "./rpc-executor.ts";
export { StatusHub } from "./status-hub.ts";
export { type ResolvedStorageOptions, resolveStorageOptions, sumStorage } from "./storage.ts";
export { invalidPayload, schemaIssues } from "./typed/invalid.ts";
export { compilePattern, hasWildcard, matchesSubject } from "./subject.ts";
