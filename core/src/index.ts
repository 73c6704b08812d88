export type { Bus } from "./bus.ts";
export type { Capabilities } from "./capabilities.ts";
export { type Clock, SystemClock, systemClock, type Timer, type TimerOptions } from "./clock.ts";
export type { CloseOptions, CloseReport } from "./close.ts";
export { bytesCodec, type Codec, jsonCodec, textCodec } from "./codec.ts";
export type {
  BusBackend,
  BusConfig,
  MemoryConfig,
  NatsAuth,
  NatsConfig,
  NatsStreamBinding,
  NatsTls,
  PackageConfig,
  ResolvedMemoryConfig,
  ResolvedNatsConfig,
} from "./config.ts";
export type {
  DeadLetter,
  DeadLetterPage,
  DeadLetters,
  ListDeadLettersOptions,
} from "./dead-letters.ts";
export {
  BusError,
  type BusErrorCode,
  type BusErrorDetails,
  type BusErrorOptions,
  errorCode,
  isBusError,
} from "./errors.ts";
export type {
  ClaimedJob,
  ClaimOptions,
  EnqueueOptions,
  EnqueueResult,
  Job,
  JobGiveBackOptions,
  JobLease,
  JobNakOptions,
  JobQueue,
  QueuedJob,
  QueueStats,
} from "./job-queue.ts";
export type {
  BucketOptions,
  DeleteOptions,
  KeyPage,
  KeysOptions,
  KvEntry,
  KvEvent,
  KvStore,
  KvWatch,
  PutOptions,
  WatchOptions,
} from "./kv-store.ts";
export type { Lease, LeaseOptions } from "./lease.ts";
export { openBus } from "./open-bus.ts";
export { type Headers, type Payload, toBytes, toText } from "./payload.ts";
export type {
  AckOptions,
  Listener,
  ListenOptions,
  LiveMessage,
  Message,
  NakOptions,
  PublishAck,
  PublishOptions,
  Pubsub,
  StartFrom,
  SubscribeOptions,
  Subscription,
  TermOptions,
} from "./pubsub.ts";
export { newId, type Random, seededRandom, systemRandom } from "./random.ts";
export type {
  Reply,
  RequestManyOptions,
  RequestOptions,
  RequestReply,
  RpcHandler,
  RpcRequest,
  RpcResult,
  RpcServer,
  ServeOptions,
} from "./request-reply.ts";
export type { BusStatus } from "./status.ts";
export type { StorageOptions, StorageStats } from "./storage.ts";
export type {
  TypedBucket,
  TypedEntry,
  TypedKvEvent,
  TypedWatch,
  TypedWatchOptions,
} from "./typed/bucket.ts";
export {
  type BucketDefinition,
  type CodecFor,
  defineBucket,
  defineJob,
  defineMethod,
  defineTopic,
  type JobDefinition,
  type MethodDefinition,
  type TopicDefinition,
} from "./typed/define.ts";
export type { OnInvalid, PayloadIssue } from "./typed/invalid.ts";
export type {
  JobOptions,
  TypedClaimedJob,
  TypedClaimOptions,
  TypedEnqueueOptions,
  TypedJob,
  TypedQueue,
} from "./typed/job.ts";
export type {
  TypedHandler,
  TypedMethod,
  TypedRequestOptions,
  TypedServeOptions,
} from "./typed/method.ts";
export type {
  SchemaInput,
  SchemaOutput,
  StandardSchemaIssue,
  StandardSchemaProps,
  StandardSchemaResult,
  StandardSchemaV1,
} from "./typed/standard-schema.ts";
export type {
  TypedListener,
  TypedListenOptions,
  TypedLiveMessage,
  TypedMessage,
  TypedPublishOptions,
  TypedSubscribeOptions,
  TypedSubscription,
  TypedTopic,
} from "./typed/topic.ts";
export { type TypedBus, typedBus } from "./typed/typed-bus.ts";
export {
  type AutoAdvanceOptions,
  VirtualClock,
  type VirtualClockOptions,
} from "./virtual-clock.ts";
