import type { Bus } from "@busbar/core";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { fileJobs, fileRecords, indexTotals } from "./definitions.ts";
import { DURABLE } from "./follower.ts";

/** Removes what a run made. */
export async function clean(bus: Bus): Promise<void> {
  await bus.pubsub.deleteDurable(DURABLE);
  await bus.jobs.deleteQueue(fileJobs.queue);
  await bus.kv.deleteBucket(fileRecords.bucket);
  await bus.kv.deleteBucket(indexTotals.bucket);
}

/**
 * Removes the streams that a namespace keeps for its next use, on a server that goes on after the
 * demo. That is for operators, so it is done with the tools of NATS; `docs/wire-format.md` has the
 * names.
 */
export async function removeNamespace(url: string, namespace: string): Promise<void> {
  const { host, username, password } = new URL(url);
  const user = { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
  const token = { token: decodeURIComponent(username) };
  const credentials = username === "" ? {} : password === "" ? token : user;
  const connection = await connect({ servers: host, ...credentials });
  const manager = await jetstreamManager(connection);
  for await (const name of manager.streams.names()) {
    if (name.startsWith(`BUSBAR_${namespace}_`)) await manager.streams.delete(name);
  }
  await connection.close();
}
