import { type Bus, type MemoryConfig, type Message, openBus, VirtualClock } from "@busbar/core";
import { MemoryServer, type MemoryServerOptions } from "../src/index.ts";

/** A simulated server on virtual time. */
export interface World {
  readonly clock: VirtualClock;
  readonly server: MemoryServer;
  /** Opens a bus on it. */
  readonly open: (config?: Partial<MemoryConfig>) => Promise<Bus>;
}

export function world(options: Omit<MemoryServerOptions, "clock"> = {}): World {
  const clock = new VirtualClock();
  const server = new MemoryServer({ seed: 1, ...options, clock });
  return {
    clock,
    server,
    open: (config) => openBus({ backend: "memory", server, ...config }),
  };
}

/** The next item, which must come. */
export async function next<T>(iterable: AsyncIterable<T>): Promise<T> {
  const result = await iterable[Symbol.asyncIterator]().next();
  if (result.done) throw new Error("the stream has ended");
  return result.value;
}

/** The next few items. */
export async function take<T>(iterable: AsyncIterable<T>, count: number): Promise<T[]> {
  const items: T[] = [];
  while (items.length < count) items.push(await next(iterable));
  return items;
}

export function sequences(messages: readonly Message[]): number[] {
  return messages.map(({ sequence }) => sequence);
}

/** Everything on a server that must be gone when its buses are closed. */
export function leftovers(server: MemoryServer): Record<string, number> {
  const { consumers, durables, ...rest } = server.stats();
  const counts = { ...rest, ephemerals: consumers - durables };
  const kept = ["messages", "messageIds", "namespaces"];
  return Object.fromEntries(
    Object.entries(counts).filter(([what, count]) => count > 0 && !kept.includes(what)),
  );
}
