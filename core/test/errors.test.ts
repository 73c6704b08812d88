import { describe, expect, it } from "vitest";
import type * as Errors from "../src/errors.ts";
import { BusError, type BusErrorCode, errorCode, isBusError } from "../src/index.ts";

const RETRYABLE: Readonly<Record<BusErrorCode, boolean>> = {
  INVALID_ARGUMENT: false,
  INVALID_CONFIG: false,
  NOT_FOUND: false,
  CONFLICT: false,
  ALREADY_SETTLED: false,
  LEASE_HELD: true,
  LEASE_LOST: false,
  TIMEOUT: true,
  NO_RESPONDERS: true,
  REMOTE: false,
  CLOSED: false,
  DISCONNECTED: true,
  PAYLOAD_TOO_LARGE: false,
  LIMIT_EXCEEDED: true,
  PERMISSION_DENIED: false,
  UNSUPPORTED: false,
  INTERNAL: false,
};

describe("BusError", () => {
  it.each(Object.entries(RETRYABLE))("%s: retryable is %s", (code, retryable) => {
    const error = new BusError(code as BusErrorCode, "text");
    expect(error).toMatchObject({ code, retryable, name: "BusError", message: "text" });
    expect(error.details).toEqual({});
    expect(error).toBeInstanceOf(Error);
  });

  it("keeps details and cause", () => {
    const cause = new Error("vendor");
    const error = new BusError("CONFLICT", "text", { details: { revision: 7 }, cause });
    expect(error.details).toEqual({ revision: 7 });
    expect(error.cause).toBe(cause);
    expect("cause" in new BusError("CONFLICT", "text")).toBe(false);
  });

  it("shows its brand to nobody who prints it", () => {
    expect(Object.keys(new BusError("CLOSED", "text"))).not.toContain("busbar.BusError");
    expect(JSON.stringify(new BusError("CLOSED", "text"))).not.toContain("busbar");
  });
});

describe("isBusError", () => {
  it("recognises errors of another copy of the package", async () => {
    const path = "../src/errors.ts?copy";
    const copy = (await import(/* @vite-ignore */ path)) as typeof Errors;
    expect(copy.BusError).not.toBe(BusError);
    const foreign = new copy.BusError("TIMEOUT", "text");
    expect(foreign).not.toBeInstanceOf(BusError);
    expect(isBusError(foreign)).toBe(true);
    expect(errorCode(foreign)).toBe("TIMEOUT");
    expect(copy.isBusError(new BusError("CLOSED", "text"))).toBe(true);
  });

  it("takes nothing else for one", () => {
    for (const value of [null, undefined, "CLOSED", 5, {}, new Error("x"), { code: "CLOSED" }]) {
      expect(isBusError(value)).toBe(false);
      expect(errorCode(value)).toBeUndefined();
    }
  });
});
