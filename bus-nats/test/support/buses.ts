import { type Bus, type NatsConfig, newId, openBus } from "@busbar/core";
import { afterEach } from "vitest";

const opened: Bus[] = [];
const cleanups: (() => unknown)[] = [];

/** Opens a bus that is closed after the test. */
export async function open(
  url: string,
  options: Partial<Omit<NatsConfig, "backend">> = {},
): Promise<Bus> {
  const bus = await openBus({
    backend: "nats",
    servers: url,
    namespace: newNamespace(),
    reconnectWaitMs: 50,
    pingIntervalMs: 1_000,
    ...options,
  });
  opened.push(bus);
  return bus;
}

/** A namespace that nobody used before. */
export function newNamespace(): string {
  return `t-${newId(undefined, 12)}`;
}

/** Runs after the test, last first. */
export function defer(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((bus) => bus.close({ drainMs: 0 })));
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
