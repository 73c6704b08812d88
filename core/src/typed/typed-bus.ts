import type { Bus } from "../bus.ts";
import { BusBucket, type TypedBucket } from "./bucket.ts";
import type {
  BucketDefinition,
  JobDefinition,
  MethodDefinition,
  TopicDefinition,
} from "./define.ts";
import { BusQueue, type TypedQueue } from "./job.ts";
import { BusMethod, type TypedMethod } from "./method.ts";
import type { StandardSchemaV1 } from "./standard-schema.ts";
import { BusTopic, type TypedTopic } from "./topic.ts";

/**
 * A bus with types. Each method gives a handle; make it once and keep it.
 *
 * A schema has an input (what it takes) and an output (what it gives: defaults filled in, values
 * transformed). The program sends inputs and receives outputs. On the wire is the encoded output, so
 * that readers without the schema see complete records; a receiver checks it with the schema again.
 * Therefore a schema must take its own output after the codec, and should leave it as it is:
 * defaults, trimming and `z.coerce.date()` do, a transform from a string to its length does not.
 * A definition whose first value fails that test rejects with a `TypeError`, before anything is sent.
 *
 * `INVALID_ARGUMENT` has the problems in `details.issues`, each with `path` and `problem` in the words
 * of the schema. Busbar puts no payload into it; a schema's own messages should not either.
 */
export interface TypedBus {
  /** Publish and subscribe. */
  topic<Schema extends StandardSchemaV1>(definition: TopicDefinition<Schema>): TypedTopic<Schema>;
  /** Enqueue and claim. */
  job<Schema extends StandardSchemaV1>(definition: JobDefinition<Schema>): TypedQueue<Schema>;
  /** Request and serve. */
  method<Request extends StandardSchemaV1, Reply extends StandardSchemaV1>(
    definition: MethodDefinition<Request, Reply>,
  ): TypedMethod<Request, Reply>;
  /** Keys and values. */
  bucket<Schema extends StandardSchemaV1>(
    definition: BucketDefinition<Schema>,
  ): TypedBucket<Schema>;
}

/**
 * Types on a bus: bad payloads are refused at the edge, on both sides.
 *
 * @example
 * const orderPlaced = defineTopic({ subject: "orders.placed", schema: z.object({ id: z.string() }) });
 * const orders = typedBus(bus).topic(orderPlaced);
 * await orders.publish({ id: "o-1" });
 * for await (const message of await orders.subscribe({ durable: "billing" })) {
 *   console.log(message.value.id);
 *   await message.ack();
 * }
 */
export function typedBus(bus: Bus): TypedBus {
  return {
    topic: (definition) => new BusTopic(bus, definition),
    job: (definition) => new BusQueue(bus, definition),
    method: (definition) => new BusMethod(bus, definition),
    bucket: (definition) => new BusBucket(bus, definition),
  };
}
