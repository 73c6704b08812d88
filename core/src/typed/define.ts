import { type Codec, jsonCodec } from "../codec.ts";
import { checkName, checkSubjectPattern } from "../names.ts";
import type { SchemaOutput, StandardSchemaV1 } from "./standard-schema.ts";

// Definitions are data: they are shared by the programs that send and those that receive.

/** How the payloads of a definition are written. It must take what the schema gives. */
export type CodecFor<Schema extends StandardSchemaV1> = Codec<SchemaOutput<Schema>, unknown>;

/** A subject and what is published on it. Made by {@link defineTopic}. */
export interface TopicDefinition<Schema extends StandardSchemaV1 = StandardSchemaV1> {
  /** The subject; with wildcards it stands for all subjects that it covers. */
  readonly subject: string;
  /** The schema of the values. */
  readonly schema: Schema;
  /** The codec of the values. */
  readonly codec: CodecFor<Schema>;
}

/** A queue and what its jobs are about. Made by {@link defineJob}. */
export interface JobDefinition<Schema extends StandardSchemaV1 = StandardSchemaV1> {
  /** The queue. */
  readonly queue: string;
  /** The schema of the values. */
  readonly schema: Schema;
  /** The codec of the values. */
  readonly codec: CodecFor<Schema>;
}

/** A subject and what is asked and answered there. Made by {@link defineMethod}. */
export interface MethodDefinition<
  Request extends StandardSchemaV1 = StandardSchemaV1,
  Reply extends StandardSchemaV1 = StandardSchemaV1,
> {
  /** The subject; with wildcards it stands for all subjects that it covers. */
  readonly subject: string;
  /** The schema of the requests. */
  readonly request: Request;
  /** The schema of the replies. */
  readonly reply: Reply;
  /** The codec of the requests. */
  readonly requestCodec: CodecFor<Request>;
  /** The codec of the replies. */
  readonly replyCodec: CodecFor<Reply>;
}

/** A bucket and what its values are. Made by {@link defineBucket}. */
export interface BucketDefinition<Schema extends StandardSchemaV1 = StandardSchemaV1> {
  /** The bucket. */
  readonly bucket: string;
  /** The schema of the values. */
  readonly schema: Schema;
  /** The codec of the values. */
  readonly codec: CodecFor<Schema>;
}

/**
 * Defines a topic.
 *
 * @example
 * const orderPlaced = defineTopic({
 *   subject: "orders.placed",
 *   schema: z.object({ id: z.string(), cents: z.int() }),
 * });
 *
 * @throws {@link BusError} `INVALID_ARGUMENT` if the subject is not allowed; `TypeError` if the
 *   schema is none
 */
export function defineTopic<Schema extends StandardSchemaV1>(definition: {
  /** The subject, which may have wildcards. */
  readonly subject: string;
  /** What is published: any Standard Schema. It must take its own output again; see {@link TypedBus}. */
  readonly schema: Schema;
  /** How it is written. @defaultValue {@link jsonCodec} */
  readonly codec?: CodecFor<Schema> | undefined;
}): TopicDefinition<Schema> {
  const { subject, schema, codec = jsonCodec } = definition;
  checkSubjectPattern(subject);
  checkSchema("schema", schema);
  return Object.freeze({ subject, schema, codec });
}

/**
 * Defines the jobs of a queue.
 * @throws {@link BusError} `INVALID_ARGUMENT` if the queue is not allowed; `TypeError` if the schema
 *   is none
 */
export function defineJob<Schema extends StandardSchemaV1>(definition: {
  /** The queue. */
  readonly queue: string;
  /** What a job is about: any Standard Schema. It must take its own output again; see {@link TypedBus}. */
  readonly schema: Schema;
  /** How it is written. @defaultValue {@link jsonCodec} */
  readonly codec?: CodecFor<Schema> | undefined;
}): JobDefinition<Schema> {
  const { queue, schema, codec = jsonCodec } = definition;
  checkName("queue", queue);
  checkSchema("schema", schema);
  return Object.freeze({ queue, schema, codec });
}

/**
 * Defines a method: one kind of request and its reply.
 * @throws {@link BusError} `INVALID_ARGUMENT` if the subject is not allowed; `TypeError` if a schema
 *   is none
 */
export function defineMethod<
  Request extends StandardSchemaV1,
  Reply extends StandardSchemaV1,
>(definition: {
  /** The subject, which may have wildcards. */
  readonly subject: string;
  /** What is asked: any Standard Schema. It must take its own output again; see {@link TypedBus}. */
  readonly request: Request;
  /** What is answered: any Standard Schema. It must take its own output again. */
  readonly reply: Reply;
  /** How requests are written. @defaultValue {@link jsonCodec} */
  readonly requestCodec?: CodecFor<Request> | undefined;
  /** How replies are written. @defaultValue {@link jsonCodec} */
  readonly replyCodec?: CodecFor<Reply> | undefined;
}): MethodDefinition<Request, Reply> {
  const { subject, request, reply, requestCodec = jsonCodec, replyCodec = jsonCodec } = definition;
  checkSubjectPattern(subject);
  checkSchema("request", request);
  checkSchema("reply", reply);
  return Object.freeze({ subject, request, reply, requestCodec, replyCodec });
}

/**
 * Defines a bucket.
 * @throws {@link BusError} `INVALID_ARGUMENT` if the bucket is not allowed; `TypeError` if the schema
 *   is none
 */
export function defineBucket<Schema extends StandardSchemaV1>(definition: {
  /** The bucket. */
  readonly bucket: string;
  /** What a value is: any Standard Schema. It must take its own output again; see {@link TypedBus}. */
  readonly schema: Schema;
  /** How it is written. @defaultValue {@link jsonCodec} */
  readonly codec?: CodecFor<Schema> | undefined;
}): BucketDefinition<Schema> {
  const { bucket, schema, codec = jsonCodec } = definition;
  checkName("bucket", bucket);
  checkSchema("schema", schema);
  return Object.freeze({ bucket, schema, codec });
}

function checkSchema(field: string, schema: unknown): void {
  // Some libraries make schemas of functions.
  const holder = typeof schema === "function" || typeof schema === "object" ? schema : null;
  const standard: unknown = holder === null ? undefined : Reflect.get(holder, "~standard");
  if (
    typeof standard === "object" &&
    standard !== null &&
    Reflect.get(standard, "version") === 1 &&
    typeof Reflect.get(standard, "validate") === "function"
  ) {
    return;
  }
  throw new TypeError(
    `${field} must be a schema that follows Standard Schema 1, got ${typeof schema}`,
  );
}
