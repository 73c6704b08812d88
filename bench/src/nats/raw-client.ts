import {
  AckPolicy,
  type Consumer,
  DeliverPolicy,
  jetstream,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
  type StreamConfig,
} from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { setTimeout as sleep } from "node:timers/promises";

/** A connection of the raw client with what is built on it. */
export interface RawClient {
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
}

/** Connects the raw client: with what makes it fast, or as it is without options. */
export async function openRaw(url: string, options: "best" | "default"): Promise<RawClient> {
  const connection = await connect({
    servers: url,
    ...(options === "best" ? { noAsyncTraces: true } : {}),
  });
  return { connection, js: jetstream(connection), jsm: await jetstreamManager(connection) };
}

/** What makes two streams the same kind of stream. */
const KIND = [
  "retention",
  "storage",
  "discard",
  "max_age",
  "max_bytes",
  "max_msgs",
  "max_msgs_per_subject",
  "num_replicas",
  "duplicate_window",
  "allow_direct",
] as const satisfies readonly (keyof StreamConfig)[];

/** Makes a stream like that of Busbar, with a name and a subject of its own. */
export async function streamLike(
  { jsm }: RawClient,
  model: string,
  own: { readonly name: string; readonly subject: string },
): Promise<void> {
  const { config } = await jsm.streams.info(model);
  await jsm.streams.add({ ...kindOf(config), name: own.name, subjects: [own.subject] });
}

function kindOf(config: StreamConfig): Partial<StreamConfig> {
  return Object.fromEntries(KIND.map((option) => [option, config[option]]));
}

/** Makes a durable pull consumer as Busbar's are, and gets it. */
export async function durable(
  { js, jsm }: RawClient,
  stream: string,
  name: string,
  subject: string,
): Promise<Consumer> {
  await jsm.consumers.add(stream, {
    durable_name: name,
    filter_subject: subject,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: 30_000_000_000,
    max_ack_pending: -1,
    max_waiting: 8_192,
  });
  return js.consumers.get(stream, name);
}

/** Makes a bucket with the client's own defaults and sees to it that it is like that of Busbar. */
export async function bucketLike(client: RawClient, model: string, name: string): Promise<KV> {
  const kv = await new Kvm(client.js).create(name);
  const wanted = kindOf((await client.jsm.streams.info(model)).config);
  const made = kindOf((await client.jsm.streams.info(`KV_${name}`)).config);
  for (const option of KIND) {
    if ((made[option] ?? false) === (wanted[option] ?? false)) continue;
    throw new Error(
      `bucket ${name} has ${option} ${made[option]}, that of Busbar has ${wanted[option]}`,
    );
  }
  return kv;
}

/** Fills a stream up to a number of messages, as fast as the server takes them. */
export async function fill(
  client: RawClient,
  target: { readonly stream: string; readonly subject: string; readonly messages: number },
  payload: Uint8Array,
): Promise<void> {
  const { connection, jsm } = client;
  const count = async (): Promise<number> => (await jsm.streams.info(target.stream)).state.messages;
  for (let there = await count(); there < target.messages; there = await count()) {
    for (let index = there; index < target.messages; index++) {
      connection.publish(target.subject, payload);
    }
    await connection.flush();
    // What was published without an acknowledgement is stored a moment later.
    for (let tries = 0; tries < 50 && (await count()) < target.messages; tries++) await sleep(10);
  }
}
