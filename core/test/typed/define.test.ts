import { describe, expect, it } from "vitest";
import { z } from "zod";
import { defineBucket, defineJob, defineMethod, defineTopic, jsonCodec } from "../../src/index.ts";
import { pointSchema } from "./schemas.ts";

describe("definitions", () => {
  it("are frozen data with JSON as the default", () => {
    const topic = defineTopic({ subject: "a.>", schema: pointSchema });
    expect(topic).toEqual({ subject: "a.>", schema: pointSchema, codec: jsonCodec });
    expect(Object.isFrozen(topic)).toBe(true);
    const method = defineMethod({ subject: "a", request: z.string(), reply: z.number() });
    expect(method.replyCodec).toBe(jsonCodec);
    expect(Object.isFrozen(method)).toBe(true);
  });

  it("refuse names that are not allowed", () => {
    const schema = z.string();
    const refused = expect.objectContaining({ code: "INVALID_ARGUMENT" });
    expect(() => defineTopic({ subject: "a b", schema })).toThrow(refused);
    expect(() => defineJob({ queue: "a*", schema })).toThrow(refused);
    expect(() => defineBucket({ bucket: "", schema })).toThrow(refused);
    expect(() => defineMethod({ subject: "a..b", request: schema, reply: schema })).toThrow(
      refused,
    );
  });

  it("refuse what is no schema", () => {
    for (const schema of [undefined, null, {}, () => true, { "~standard": { version: 2 } }, 5]) {
      expect(() => defineTopic({ subject: "a", schema: schema as never })).toThrow(
        /schema must be a schema that follows Standard Schema 1/,
      );
    }
    expect(() =>
      defineMethod({ subject: "a", request: z.string(), reply: undefined as never }),
    ).toThrow(/^reply must be/);
  });
});
