import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import {
  type BusError,
  bytesCodec,
  defineTopic,
  isBusError,
  textCodec,
  toText,
  typedBus,
  type Message,
} from "../../src/index.ts";
import { fakeBus } from "./fake-bus.ts";
import { brokenSchema, pointSchema, slowPointSchema, zodOrder } from "./schemas.ts";

const orders = defineTopic({ subject: "orders.placed", schema: zodOrder });

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {
      throw new Error("did not reject");
    },
    (error: unknown) => error,
  );
}

describe("TypedTopic.publish", () => {
  it("encodes what the schema gives", async () => {
    const { bus, sent } = fakeBus();
    const value = { id: "a", cents: 5, unknown: true };
    await typedBus(bus).topic(orders).publish(value);
    expect(JSON.parse(toText(sent()!))).toEqual({ id: "a", cents: 5, tags: [] });
  });

  it("refuses what does not fit before anything is sent", async () => {
    const { bus, log } = fakeBus();
    const topic = typedBus(bus).topic(orders);
    const error = await failure(
      topic.publish({ id: "top secret" as string, cents: -1, tags: [7 as never] }),
    );
    expect(isBusError(error)).toBe(true);
    const { code, details, message } = error as BusError;
    expect(code).toBe("INVALID_ARGUMENT");
    expect(details["issues"]).toEqual([
      { path: "cents", problem: expect.any(String) },
      { path: "tags.0", problem: expect.any(String) },
    ]);
    expect(message).toMatch(/^the value for orders\.placed is not allowed: cents: /);
    expect(JSON.stringify([message, details])).not.toContain("top secret");
    expect(log).toEqual([]);
  });

  it("refuses what the codec cannot take, naming the place", async () => {
    const { bus, log } = fakeBus();
    const any = defineTopic({ subject: "any", schema: z.any() });
    const error = await failure(
      typedBus(bus)
        .topic(any)
        .publish({ list: [1, 10n] }),
    );
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
    const nan = await failure(
      typedBus(bus)
        .topic(any)
        .publish({ list: [1, Number.NaN] }),
    );
    expect(nan).toMatchObject({ details: { issues: [{ path: "list.1" }] } });
    expect(log).toEqual([]);
  });

  it("takes schemas that answer later", async () => {
    const { bus, sent } = fakeBus();
    const points = typedBus(bus).topic(defineTopic({ subject: "p", schema: slowPointSchema }));
    await points.publish({ x: "3", y: 4 });
    expect(JSON.parse(toText(sent()!))).toEqual({ x: 3, y: 4 });
    const error = await failure(points.publish({ x: "three", y: 4 }));
    expect(error).toMatchObject({
      code: "INVALID_ARGUMENT",
      details: { issues: [{ path: "x", problem: "must be a number" }] },
    });
  });

  it("keeps the order of the calls", async () => {
    const { bus, log } = fakeBus();
    const topic = typedBus(bus).topic(defineTopic({ subject: "n.*", schema: z.number() }));
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => topic.publish(index, { subject: `n.${index}` })),
    );
    expect(log.map((line) => line.split(" ")[1])).toEqual(
      Array.from({ length: 50 }, (_, index) => `n.${index}`),
    );
  });

  it("says at the first value that a schema does not take its own output", async () => {
    const { bus, log } = fakeBus();
    const lengths = defineTopic({
      subject: "lengths",
      schema: z.string().transform((text) => text.length),
    });
    const error = await failure(typedBus(bus).topic(lengths).publish("four"));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toContain("does not take its own output");
    expect(log).toEqual([]);
  });

  it("passes options on and asks for a subject where there are wildcards", async () => {
    const { bus, log } = fakeBus();
    const topic = typedBus(bus).topic(defineTopic({ subject: "o.*.placed", schema: z.string() }));
    await topic.publish("x", { subject: "o.eu.placed", messageId: "m1", timeoutMs: 9 });
    expect(log).toEqual(['publish o.eu.placed {"messageId":"m1","timeoutMs":9}']);
    expect(await failure(topic.publish("x"))).toMatchObject({ code: "INVALID_ARGUMENT" });
    for (const subject of ["o.eu.paid", "o.*.placed", "o.eu.placed.late", ""]) {
      expect(await failure(topic.publish("x", { subject }))).toMatchObject({
        code: "INVALID_ARGUMENT",
      });
    }
    expect(log).toHaveLength(1);
  });

  it("tells a schema that throws from a value that does not fit", async () => {
    const { bus } = fakeBus();
    const topic = typedBus(bus).topic(defineTopic({ subject: "b", schema: brokenSchema(1) }));
    const error = await failure(topic.publish("x"));
    expect(error).toMatchObject({ code: "INTERNAL", cause: { message: "the table is away" } });
  });
});

describe("TypedTopic.subscribe", () => {
  it("gives values and everything a message has", async () => {
    const { bus, log } = fakeBus();
    const topic = typedBus(bus).topic(orders);
    const subscription = await topic.subscribe({ durable: "d", maxInFlight: 3 });
    await topic.publish({ id: "a", cents: 5 });
    for await (const message of subscription) {
      expect(message.value).toEqual({ id: "a", cents: 5, tags: [] });
      expect(message).toMatchObject({ subject: "orders.placed", sequence: 1, deliveryCount: 1 });
      expect(message.publishedAtMs).toBe(1_000);
      expect(message.headers).toEqual({});
      expect(toText(message.payload)).toContain('"a"');
      await message.extend();
      await message.nak({ delayMs: 5 });
      await message.term({ reason: "r" });
      await message.ack({ confirm: true });
      break;
    }
    expect(log).toEqual([
      'subscribe orders.placed {"durable":"d","maxInFlight":3}',
      "publish orders.placed {}",
      "extend",
      'nak {"delayMs":5}',
      'term {"reason":"r"}',
      'ack {"confirm":true}',
      "left",
    ]);
  });

  it("terms what does not fit, counts it, and tells of it", async () => {
    const { bus, log } = fakeBus();
    const onInvalid = vi.fn<(error: BusError, message: Message) => void>();
    const topic = typedBus(bus).topic(orders);
    const subscription = await topic.subscribe({ onInvalid });
    await bus.pubsub.publish("orders.placed", "hello secret");
    await bus.pubsub.publish("orders.placed", JSON.stringify({ id: 7, cents: "secret" }));
    await topic.publish({ id: "good", cents: 0 });
    const values: unknown[] = [];
    for await (const message of subscription) {
      values.push(message.value.id);
      break;
    }
    expect(values).toEqual(["good"]);
    expect(subscription.invalid).toBe(2);
    const terms = log.filter((line) => line.startsWith("term"));
    expect(terms).toEqual([
      'term {"reason":"invalid payload: not JSON (12 bytes)"}',
      expect.stringMatching(/^term {"reason":"invalid payload: id: .*; cents: /),
    ]);
    expect(onInvalid.mock.calls.map(([error]) => error.code)).toEqual([
      "INVALID_ARGUMENT",
      "INVALID_ARGUMENT",
    ]);
    expect(onInvalid.mock.calls[0]?.[1].sequence).toBe(1);
    expect(JSON.stringify([terms, onInvalid.mock.calls.map(([error]) => error)])).not.toContain(
      "secret",
    );
  });

  it("keeps the reason within what a term allows", async () => {
    const { bus, log } = fakeBus();
    const schema = z.array(z.string("not\na text, a second line, and many more words than fit"));
    const topic = typedBus(bus).topic(defineTopic({ subject: "many", schema }));
    const subscription = await topic.subscribe();
    await bus.pubsub.publish("many", JSON.stringify(Array.from({ length: 200 }, () => 5)));
    await bus.pubsub.publish("many", "[]");
    for await (const _ of subscription) break;
    const { reason } = JSON.parse(log.find((line) => line.startsWith("term"))!.slice(5));
    expect(reason.length).toBeLessThanOrEqual(256);
    expect(reason).not.toContain("\n");
  });

  it("gives a message back whose check could not be made", async () => {
    const { bus, log } = fakeBus();
    const onInvalid = vi.fn<(error: BusError) => void>();
    const topic = typedBus(bus).topic(defineTopic({ subject: "b", schema: brokenSchema(1) }));
    const subscription = await topic.subscribe({ onInvalid });
    await bus.pubsub.publish("b", '"first"');
    await bus.pubsub.publish("b", '"second"');
    for await (const message of subscription) {
      expect(message.value).toBe("second");
      break;
    }
    expect(log).toContain('nak {"delayMs":1000}');
    expect(onInvalid.mock.calls[0]?.[0].code).toBe("INTERNAL");
  });

  it("can be closed while the loop waits", async () => {
    const { bus } = fakeBus();
    const subscription = await typedBus(bus).topic(orders).subscribe();
    const iterator = subscription[Symbol.asyncIterator]();
    const waiting = iterator.next();
    await iterator.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await subscription.close();
    await subscription[Symbol.asyncDispose]();
  });

  it("narrows a subject with wildcards, and only narrows it", async () => {
    const { bus, log } = fakeBus();
    const topic = typedBus(bus).topic(defineTopic({ subject: "o.*", schema: pointSchema }));
    await topic.subscribe({ subject: "o.eu" });
    expect(log).toEqual(["subscribe o.eu {}"]);
    for (const subject of ["o.>", ">", "o", "p.eu", "o.eu.x", "o. "]) {
      expect(await failure(topic.subscribe({ subject }))).toMatchObject({
        code: "INVALID_ARGUMENT",
      });
    }
    const open = typedBus(bus).topic(defineTopic({ subject: "o.>", schema: pointSchema }));
    await open.listen({ subject: "o.*" });
    await open.listen({ subject: "o.eu.>" });
    expect(log.slice(1)).toEqual(["listen o.*", "listen o.eu.>"]);
  });
});

describe("TypedTopic.listen", () => {
  it("gives values, and drops and counts what does not fit", async () => {
    const { bus } = fakeBus();
    const onInvalid = vi.fn();
    const topic = typedBus(bus).topic(defineTopic({ subject: "p", schema: slowPointSchema }));
    await using listener = await topic.listen({ onInvalid });
    await bus.pubsub.notify("p", "{");
    await topic.notify({ x: 1, y: 2 });
    for await (const message of listener) {
      expect(message.value).toEqual({ x: 1, y: 2 });
      break;
    }
    expect(listener.invalid).toBe(1);
    expect(listener.dropped).toBe(0);
    expect(onInvalid).toHaveBeenCalledTimes(1);
    await listener.close();
  });
});

describe("codecs of a topic", () => {
  it("writes text and bytes as they are", async () => {
    const { bus, sent } = fakeBus();
    const text = defineTopic({ subject: "t", schema: z.string(), codec: textCodec });
    await typedBus(bus).topic(text).publish("Grüße");
    expect(toText(sent()!)).toBe("Grüße");
    const bytes = defineTopic({
      subject: "t",
      schema: z.instanceof(Uint8Array),
      codec: bytesCodec,
    });
    await typedBus(bus)
      .topic(bytes)
      .publish(new Uint8Array([0, 255]));
    expect(sent()).toEqual(new Uint8Array([0, 255]));
  });

  it("does not quote what a codec of somebody else throws", async () => {
    const { bus, log } = fakeBus();
    const codec = {
      contentType: "text/x-own",
      encode: (value: string) => new TextEncoder().encode(value),
      decode: (bytes: Uint8Array): string => {
        throw new SyntaxError(`cannot read ${toText(bytes)}`);
      },
    };
    const topic = typedBus(bus).topic(defineTopic({ subject: "o", schema: z.string(), codec }));
    expect(await failure(topic.publish("secret"))).toBeInstanceOf(TypeError);
    const subscription = await topic.subscribe();
    await bus.pubsub.publish("o", "secret");
    const iterator = subscription[Symbol.asyncIterator]();
    const waiting = iterator.next();
    await vi.waitFor(() => {
      expect(log).toContain('term {"reason":"invalid payload: cannot be read as text/x-own"}');
    });
    await iterator.return?.();
    await waiting;
  });
});

describe("onInvalid", () => {
  it("may throw without harm to the loop: the error is the program's own", async () => {
    const uncaught = new Promise<unknown>((resolve) => {
      const listeners = process.listeners("uncaughtException");
      process.removeAllListeners("uncaughtException");
      process.once("uncaughtException", (error) => {
        for (const listener of listeners) process.on("uncaughtException", listener);
        resolve(error);
      });
    });
    const { bus } = fakeBus();
    const topic = typedBus(bus).topic(orders);
    const subscription = await topic.subscribe({
      onInvalid: () => {
        throw new Error("the program's own");
      },
    });
    await bus.pubsub.publish("orders.placed", "no");
    await topic.publish({ id: "a", cents: 1 });
    for await (const message of subscription) {
      expect(message.value.id).toBe("a");
      break;
    }
    expect(await uncaught).toMatchObject({ message: "the program's own" });
  });
});
