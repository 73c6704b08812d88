import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { BusError, defineMethod, typedBus } from "../../src/index.ts";
import { fakeBus } from "./fake-bus.ts";
import { brokenSchema, pointSchema, slowPointSchema } from "./schemas.ts";

const norm = defineMethod({
  subject: "math.norm",
  request: pointSchema,
  reply: z.object({ norm: z.number(), unit: z.string().default("m") }),
});

describe("TypedMethod", () => {
  it("types both ways", async () => {
    const { bus } = fakeBus();
    const method = typedBus(bus).method(norm);
    await method.serve(({ x, y }, request) => {
      expect(request.subject).toBe("math.norm");
      expect(request.signal.aborted).toBe(false);
      return { norm: Math.hypot(x, y) };
    });
    expect(await method.request({ x: "3", y: 4 })).toEqual({ norm: 5, unit: "m" });
  });

  it("refuses a request that does not fit before it is sent", async () => {
    const { bus, sent } = fakeBus();
    await expect(typedBus(bus).method(norm).request({ x: "x", y: 1 })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      details: { part: "request", issues: [{ path: "x", problem: "must be a number" }] },
    });
    expect(sent()).toBeUndefined();
  });

  it("answers a foreign request that does not fit with REMOTE INVALID_ARGUMENT", async () => {
    const { bus } = fakeBus();
    const onInvalid = vi.fn();
    const handler = vi.fn(() => ({ norm: 0 }));
    await typedBus(bus).method(norm).serve(handler, { onInvalid });
    await expect(bus.rpc.request("math.norm", '{"x":"secret"}')).rejects.toMatchObject({
      code: "REMOTE",
      details: {
        code: "INVALID_ARGUMENT",
        message:
          "the request to math.norm is not allowed: x: must be a number; y: must be a number",
      },
    });
    expect(handler).not.toHaveBeenCalled();
    expect(onInvalid).toHaveBeenCalledTimes(1);
  });

  it("rejects a foreign reply that does not fit with INVALID_ARGUMENT, naming the reply", async () => {
    const { bus } = fakeBus();
    await bus.rpc.serve("math.norm", () => "not json");
    await expect(typedBus(bus).method(norm).request({ x: 1, y: 1 })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: "the reply of math.norm is not allowed: not JSON (8 bytes)",
      details: { part: "reply" },
    });
  });

  it("does not blame the caller for a handler's reply that does not fit", async () => {
    const { bus } = fakeBus();
    const method = typedBus(bus).method(norm);
    await method.serve(() => ({ norm: "five" }) as never);
    await expect(method.request({ x: 1, y: 1 })).rejects.toMatchObject({
      code: "REMOTE",
      details: { code: "INTERNAL", message: expect.stringContaining("the handler's reply") },
    });
  });

  it("passes on what the handler throws, and a schema's own failure", async () => {
    const { bus } = fakeBus();
    const method = typedBus(bus).method({ ...norm, request: slowPointSchema });
    await method.serve(() => {
      throw new BusError("NOT_FOUND", "no such point");
    });
    await expect(method.request({ x: 1, y: 1 })).rejects.toMatchObject({
      code: "REMOTE",
      details: { code: "NOT_FOUND" },
    });
    const broken = defineMethod({
      subject: "broken",
      request: brokenSchema(1),
      reply: z.string(),
    });
    await typedBus(bus)
      .method(broken)
      .serve(() => "ok");
    await expect(bus.rpc.request("broken", '"x"')).rejects.toMatchObject({
      details: { code: "INTERNAL" },
    });
  });

  it("asks for a subject where there are wildcards", async () => {
    const { bus } = fakeBus();
    const all = defineMethod({ subject: "echo.*", request: z.string(), reply: z.string() });
    const method = typedBus(bus).method(all);
    await expect(method.request("x")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await method.serve((text, { subject }) => `${subject} ${text}`, { subject: "echo.eu" });
    expect(await method.request("x", { subject: "echo.eu", timeoutMs: 5 })).toBe("echo.eu x");
    await expect(method.request("x", { subject: "echo.us" })).rejects.toMatchObject({
      code: "NO_RESPONDERS",
    });
  });
});
