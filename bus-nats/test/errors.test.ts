import { BusError } from "@busbar/core";
import { errors } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { apiCode, fromApiError, fromClientError } from "../src/errors.ts";

describe("fromApiError", () => {
  it("maps the codes of JetStream, and falls back to the status", () => {
    const code = (err_code: number, status = 400): string =>
      fromApiError({ code: status, err_code, description: "d" }, "what").code;
    expect(code(10_071)).toBe("CONFLICT");
    expect(code(10_059)).toBe("NOT_FOUND");
    expect(code(10_077)).toBe("LIMIT_EXCEEDED");
    expect(code(10_039)).toBe("UNSUPPORTED");
    expect(code(1, 503)).toBe("DISCONNECTED");
    expect(code(1, 404)).toBe("NOT_FOUND");
    expect(code(1)).toBe("INTERNAL");
  });

  it("tells a cluster that is too small from one of which a server is away", () => {
    const code = (description: string): string =>
      fromApiError({ code: 400, err_code: 10_005, description }, "what").code;
    expect(code("no suitable peers for placement, insufficient peers")).toBe("UNSUPPORTED");
    expect(code("no suitable peers for placement, peer offline")).toBe("DISCONNECTED");
  });

  it("says what was tried, and keeps the code", () => {
    const error = fromApiError(
      { code: 400, err_code: 10_071, description: "wrong" },
      "publish on s",
    );
    expect(error.message).toContain("publish on s");
    expect(apiCode(error)).toBe(10_071);
    expect(apiCode(new Error("other"))).toBeUndefined();
  });
});

describe("fromClientError", () => {
  it("maps the client's classes, also inside its request errors, and keeps them as cause", () => {
    const code = (cause: unknown): string => fromClientError(cause, "what").code;
    expect(code(new errors.AuthorizationError("no"))).toBe("PERMISSION_DENIED");
    expect(code(new errors.ClosedConnectionError())).toBe("CLOSED");
    expect(code(new errors.TimeoutError())).toBe("TIMEOUT");
    expect(code(new errors.InvalidSubjectError("a b"))).toBe("INVALID_ARGUMENT");
    expect(code(new errors.RequestError("r", { cause: new errors.NoRespondersError("s") }))).toBe(
      "NO_RESPONDERS",
    );
    expect(code(Object.assign(new Error("connect"), { code: "ECONNREFUSED" }))).toBe(
      "DISCONNECTED",
    );
    expect(code("text")).toBe("INTERNAL");
    const cause = new Error("x");
    expect(fromClientError(cause, "what").cause).toBe(cause);
    const own = new BusError("CLOSED", "c");
    expect(fromClientError(own, "what")).toBe(own);
  });
});
