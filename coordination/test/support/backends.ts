import { type Bus, newId, openBus } from "@busbar/core";
import { findNatsServer, type NatsServer, startNatsServer } from "@busbar/scripts";
import { afterAll, afterEach, beforeAll, describe, it } from "vitest";

const opened: Bus[] = [];

/** Opens buses of one namespace, which are closed after the test. */
export type Open = (namespace: string) => Promise<Bus>;

/** A block of tests on the memory bus and on the newest nats-server. */
export async function onEachBackend(body: (open: Open) => void): Promise<void> {
  describe("on memory", () => {
    const name = newId();
    body((namespace) => keep(openBus({ backend: "memory", name, namespace })));
  });
  const binary = await findNatsServer().catch((error: Error) => error);
  if (binary instanceof Error) {
    it.skip(`on NATS: ${binary.message}`);
    return;
  }
  describe(`on nats-server ${binary.version}`, () => {
    let server: NatsServer;
    beforeAll(async () => {
      server = await startNatsServer({ binary });
    });
    afterAll(() => server.stop());
    body((namespace) => keep(openBus({ backend: "nats", servers: server.url, namespace })));
  });
}

/** A namespace that nobody used before. */
export function newNamespace(): string {
  return `t-${newId(undefined, 12)}`;
}

/** What a promise rejects with. */
export async function errorOf(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: Error) => error,
  );
}

async function keep(opening: Promise<Bus>): Promise<Bus> {
  const bus = await opening;
  opened.push(bus);
  return bus;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((bus) => bus.close({ drainMs: 0 })));
});
