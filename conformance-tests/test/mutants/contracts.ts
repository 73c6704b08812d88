import type {
  Bus,
  ClaimedJob,
  DeadLetters,
  JobQueue,
  KvEvent,
  KvStore,
  Lease,
  LeaseOptions,
  Message,
  Pubsub,
  RequestReply,
  SubscribeOptions,
  WatchOptions,
} from "@busbar/core";
import type { Open, World } from "./mutant.ts";
import { flatMap, override } from "./override.ts";

// Each opens good buses and replaces members of one thing on them.

/** The bus itself. */
export function onBus(world: World, change: (bus: Bus, namespace: string) => Partial<Bus>): Open {
  return async (options) => {
    const bus = await world.open(options);
    return override(bus, change(bus, options.namespace));
  };
}

/** `bus.pubsub`. */
export function onPubsub(
  world: World,
  change: (pubsub: Pubsub, namespace: string, bus: Bus) => Partial<Pubsub>,
): Open {
  return onBus(world, (bus, namespace) => ({
    pubsub: override(bus.pubsub, change(bus.pubsub, namespace, bus)),
  }));
}

/** `bus.rpc`. */
export function onRpc(
  world: World,
  change: (rpc: RequestReply, namespace: string) => Partial<RequestReply>,
): Open {
  return onBus(world, (bus, namespace) => ({ rpc: override(bus.rpc, change(bus.rpc, namespace)) }));
}

/** `bus.kv`. */
export function onKv(
  world: World,
  change: (kv: KvStore, namespace: string) => Partial<KvStore>,
): Open {
  return onBus(world, (bus, namespace) => ({ kv: override(bus.kv, change(bus.kv, namespace)) }));
}

/** `bus.jobs`. */
export function onJobs(
  world: World,
  change: (jobs: JobQueue, namespace: string) => Partial<JobQueue>,
): Open {
  return onBus(world, (bus, namespace) => ({
    jobs: override(bus.jobs, change(bus.jobs, namespace)),
  }));
}

/** A subscription that is about to begin. */
export interface Subscribing {
  readonly namespace: string;
  readonly subject: string;
  readonly options: SubscribeOptions;
}

/** Every message that a subscription hands out. `begin` is called once for each subscription. */
export function onMessages(
  world: World,
  begin: (subscribing: Subscribing) => (message: Message) => Partial<Message>,
): Open {
  return onPubsub(world, (pubsub, namespace) => ({
    subscribe: async (subject, options = {}) => {
      const subscription = await pubsub.subscribe(subject, options);
      const change = begin({ namespace, subject, options });
      return override(
        subscription,
        flatMap<Message, typeof subscription>(subscription, (message) => [
          override(message, change(message)),
        ]),
      );
    },
  }));
}

/** Every claimed job. */
export function onClaimedJobs(
  world: World,
  change: (job: ClaimedJob, namespace: string) => Partial<ClaimedJob>,
): Open {
  return onJobs(world, (jobs, namespace) => ({
    claim: async (queue, options) => {
      const claimed = await jobs.claim(queue, options);
      return claimed.map((job) => override(job, change(job, namespace)));
    },
  }));
}

/** The dead letters of durables or of queues. */
export function onDeadLetters(
  world: World,
  part: "pubsub" | "jobs",
  change: (letters: DeadLetters, bus: Bus) => Partial<DeadLetters>,
): Open {
  return onBus(world, (bus) => {
    const deadLetters = override(bus[part].deadLetters, change(bus[part].deadLetters, bus));
    return part === "pubsub"
      ? { pubsub: override(bus.pubsub, { deadLetters }) }
      : { jobs: override(bus.jobs, { deadLetters }) };
  });
}

/** What events of a watch are replaced by. `begin` is called once for each watch. */
export function onEvents(
  world: World,
  begin: (options: WatchOptions) => (event: KvEvent) => readonly KvEvent[],
): Open {
  return onKv(world, (kv) => ({
    watch: async (bucket, options = {}) => {
      const watch = await kv.watch(bucket, options);
      return override(watch, flatMap<KvEvent, typeof watch>(watch, begin(options)));
    },
  }));
}

/** A lease that was granted. */
export interface Granted {
  readonly namespace: string;
  readonly bucket: string;
  readonly options: LeaseOptions;
}

/** Every lease. */
export function onLeases(
  world: World,
  change: (lease: Lease, granted: Granted) => Partial<Lease>,
): Open {
  return onKv(world, (kv, namespace) => ({
    lease: async (bucket, key, options) => {
      const lease = await kv.lease(bucket, key, options);
      return override(lease, change(lease, { namespace, bucket, options }));
    },
  }));
}
