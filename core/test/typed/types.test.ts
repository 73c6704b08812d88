import { describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import {
  bytesCodec,
  type Codec,
  defineBucket,
  defineJob,
  defineMethod,
  defineTopic,
  jsonCodec,
  type SchemaInput,
  type SchemaOutput,
  textCodec,
  type TypedBus,
} from "../../src/index.ts";
import { type Point, pointSchema, zodOrder } from "./schemas.ts";

// Checked by the compiler in `npm run check`: every `@ts-expect-error` must be one. Nothing here runs.

interface OrderIn {
  id: string;
  cents: number;
  tags?: string[] | undefined;
  note?: string | undefined;
}
interface OrderOut {
  id: string;
  cents: number;
  tags: string[];
  note?: string | undefined;
}

const dated = z.object({ at: z.coerce.date<string | Date>(), size: z.number().default(1) });
const topic = defineTopic({ subject: "orders", schema: zodOrder });
const job = defineJob({ queue: "points", schema: pointSchema });
const method = defineMethod({ subject: "size", request: dated, reply: z.number().default(0) });
const bucket = defineBucket({ bucket: "dates", schema: dated });

export async function topics(bus: TypedBus): Promise<void> {
  const orders = bus.topic(topic);
  expectTypeOf<Parameters<typeof orders.publish>[0]>().toEqualTypeOf<OrderIn>();
  await orders.publish({ id: "a", cents: 1 }, { messageId: "m" });
  // @ts-expect-error cents is missing
  await orders.publish({ id: "a" });
  // @ts-expect-error id is no number
  await orders.publish({ id: 1, cents: 1 });
  // @ts-expect-error there is no such property
  await orders.publish({ id: "a", cents: 1, price: 2 });
  // @ts-expect-error a payload is no value
  await orders.publish(new Uint8Array());
  // @ts-expect-error there is no such option
  await orders.publish({ id: "a", cents: 1 }, { queue: "q" });
  for await (const message of await orders.subscribe({ durable: "d" })) {
    expectTypeOf(message.value).toEqualTypeOf<OrderOut>();
    expectTypeOf(message.payload).toEqualTypeOf<Uint8Array>();
    // @ts-expect-error there is no such property
    void message.value.price;
    await message.ack({ confirm: true });
  }
  for await (const message of await orders.listen()) {
    expectTypeOf(message.value.tags).toEqualTypeOf<string[]>();
    // @ts-expect-error there is nothing to settle
    await message.ack();
  }
}

export async function jobs(bus: TypedBus): Promise<void> {
  const points = bus.job(job);
  await points.enqueue({ x: "1", y: 1 }, { priority: 3, timeoutMs: 100 });
  // @ts-expect-error y is no text
  await points.enqueue({ x: 1, y: "1" });
  // @ts-expect-error the payload comes from the value
  await points.enqueue({ x: 1, y: 1 }, { payload: "x" });
  await points.enqueueMany([{ value: { x: 1, y: 1 }, delayMs: 5 }]);
  // @ts-expect-error a job for enqueueMany has a value
  await points.enqueueMany([{ x: 1, y: 1 }]);
  // @ts-expect-error a worker has a name
  await points.claim({ max: 1 });
  const [claimed] = await points.claim({ workerId: "w" });
  expectTypeOf(claimed!.value).toEqualTypeOf<Point>();
  expectTypeOf(claimed!.attempt).toEqualTypeOf<number>();
}

export async function methods(bus: TypedBus): Promise<void> {
  const size = bus.method(method);
  const answer = await size.request({ at: "2020-01-01" }, { timeoutMs: 5 });
  expectTypeOf(answer).toEqualTypeOf<number>();
  // @ts-expect-error at is missing
  await size.request({ size: 1 });
  await size.serve((value) => {
    expectTypeOf(value).toEqualTypeOf<{ at: Date; size: number }>();
    return value.size;
  });
  await size.serve(() => undefined);
  // @ts-expect-error a reply is no text
  await size.serve(() => "5");
  // @ts-expect-error nor later
  await size.serve(async () => ({ size: 5 }));
}

export async function buckets(bus: TypedBus): Promise<void> {
  const dates = bus.bucket(bucket);
  await dates.put("a", { at: new Date() });
  // @ts-expect-error at is missing
  await dates.put("a", {});
  // @ts-expect-error a revision is a number
  await dates.cas("a", { at: "x" }, "1");
  const entry = await dates.get("a");
  // @ts-expect-error there may be none
  void entry.value;
  expectTypeOf(entry!.value).toEqualTypeOf<{ at: Date; size: number }>();
  for await (const event of await dates.watch()) {
    // @ts-expect-error a delete has no value
    void event.value;
    if (event.type === "put") expectTypeOf(event.value.at).toEqualTypeOf<Date>();
  }
}

export function codecs(): void {
  defineTopic({ subject: "a", schema: z.string(), codec: textCodec });
  defineTopic({ subject: "a", schema: z.string(), codec: jsonCodec });
  defineTopic({ subject: "a", schema: z.instanceof(Uint8Array), codec: bytesCodec });
  // @ts-expect-error text is no number
  defineTopic({ subject: "a", schema: z.number(), codec: textCodec });
  // @ts-expect-error the schema also gives numbers
  defineTopic({ subject: "a", schema: z.union([z.number(), z.string()]), codec: textCodec });
  // @ts-expect-error a codec encodes what the schema gives, not what it takes
  defineJob({ queue: "a", schema: z.coerce.date<string>(), codec: textCodec });
  // @ts-expect-error there has to be a schema
  defineTopic({ subject: "a" });
  // @ts-expect-error this is none
  defineTopic({ subject: "a", schema: { parse: (value: unknown) => value } });
  // @ts-expect-error a method has a reply
  defineMethod({ subject: "a", request: z.string() });
}

describe("types of schemas", () => {
  it("tell what goes in from what comes out", () => {
    expectTypeOf<SchemaInput<typeof zodOrder>>().toEqualTypeOf<OrderIn>();
    expectTypeOf<SchemaOutput<typeof zodOrder>>().toEqualTypeOf<OrderOut>();
    expectTypeOf<SchemaInput<typeof pointSchema>>().toEqualTypeOf<{
      x: number | string;
      y: number;
    }>();
    expectTypeOf<SchemaOutput<typeof pointSchema>>().toEqualTypeOf<Point>();
    expectTypeOf(jsonCodec).toExtend<Codec<unknown>>();
    expect(Object.keys(topic)).toEqual(["subject", "schema", "codec"]);
  });
});
