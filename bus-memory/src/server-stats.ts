import type { ServerEngine } from "./engine/server-engine.ts";

/** What is alive on a {@link MemoryServer}: what has to be zero when everything is closed is so. */
export interface MemoryServerStats {
  /** Buses that are open. */
  readonly buses: number;
  /** Namespaces that were used. */
  readonly namespaces: number;
  /** Messages in streams. */
  readonly messages: number;
  /** Durables, and ephemeral consumers of subscriptions that are open. */
  readonly consumers: number;
  /** Those of them that are durable. */
  readonly durables: number;
  /** Subscriptions that are open. */
  readonly subscriptions: number;
  /** Deliveries that are buffered, in hands, to be repeated or delayed. */
  readonly unsettled: number;
  /** Live listeners. */
  readonly listeners: number;
  /** Servers of requests. */
  readonly responders: number;
  /** Requests that wait for a reply. */
  readonly pendingRequests: number;
  /** Watches of buckets. */
  readonly watches: number;
  /** Lease records. */
  readonly leases: number;
  /** Claims that wait for a job. */
  readonly waitingClaims: number;
  /** Jobs in the hands of workers. */
  readonly leasedJobs: number;
  /** Message ids that are remembered. */
  readonly messageIds: number;
  /** Ack waits, leases, delays, TTLs and waits whose time is still to come. */
  readonly pendingDeadlines: number;
  /** Timers of the clock, 0 or 1 for each clock, however many deadlines there are. */
  readonly timers: number;
}

/** Counts what is alive. */
export function statsOf(engine: ServerEngine): MemoryServerStats {
  const count = {
    messages: 0,
    consumers: 0,
    durables: 0,
    subscriptions: 0,
    unsettled: 0,
    listeners: 0,
    responders: 0,
    pendingRequests: 0,
    watches: 0,
    leases: 0,
    waitingClaims: 0,
    leasedJobs: 0,
    messageIds: 0,
    pendingDeadlines: engine.deadlines.size,
    timers: engine.deadlines.isArmed ? 1 : 0,
  };
  for (const namespace of engine.namespaces.values()) {
    const { hub, responders, leases } = namespace;
    count.messages += hub.stream.size;
    count.consumers += hub.consumerCount;
    count.durables += hub.durableCount;
    count.messageIds += hub.dedupCount;
    count.listeners += hub.live.size;
    count.responders += responders.size;
    count.leases += leases.size;
    for (const consumer of hub.consumers()) {
      count.subscriptions += consumer.memberCount;
      count.unsettled += consumer.unsettledCount;
    }
    for (const bucket of namespace.buckets()) count.watches += bucket.watcherCount;
    for (const queue of namespace.queues()) {
      count.waitingClaims += queue.waiterCount;
      count.leasedJobs += queue.leaseCount;
    }
  }
  for (const { pendingRequests, ownDeadlines } of engine.buses) {
    count.pendingRequests += pendingRequests;
    count.pendingDeadlines += ownDeadlines?.size ?? 0;
    count.timers += ownDeadlines?.isArmed ? 1 : 0;
  }
  return { buses: engine.buses.size, namespaces: engine.namespaces.size, ...count };
}
