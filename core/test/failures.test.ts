import { describe, expect, it } from "vitest";
import {
  alreadySettled,
  closedError,
  describeThrown,
  jobLeaseLost,
  noResponders,
  optionsConflict,
  remoteError,
  revisionConflict,
  sequenceConflict,
  timeoutError,
} from "../src/adapter.ts";
import { BusError } from "../src/index.ts";

describe("failures", () => {
  it("say what failed on which name, with the facts in details", () => {
    expect(alreadySettled("message 5")).toMatchObject({ code: "ALREADY_SETTLED" });
    expect(closedError("the bus")).toMatchObject({ code: "CLOSED", message: "the bus is closed" });
    expect(jobLeaseLost("q", "j", 2)).toMatchObject({
      code: "LEASE_LOST",
      details: { queue: "q", id: "j", attempt: 2 },
    });
    expect(noResponders("a.b")).toMatchObject({
      code: "NO_RESPONDERS",
      details: { subject: "a.b" },
    });
    expect(remoteError("a", "E_X", "text")).toMatchObject({
      code: "REMOTE",
      details: { subject: "a", code: "E_X", message: "text" },
    });
    expect(revisionConflict("b", "k", 3, 4)).toMatchObject({
      code: "CONFLICT",
      details: { bucket: "b", key: "k", expected: 3, revision: 4 },
    });
    expect(sequenceConflict("s", 3, 4)).toMatchObject({
      code: "CONFLICT",
      details: { subject: "s", expected: 3, sequence: 4 },
    });
    expect(timeoutError("x", 5)).toMatchObject({ code: "TIMEOUT", details: { timeoutMs: 5 } });
    expect(optionsConflict("bucket b", [["history", 1, 5]])).toMatchObject({
      code: "CONFLICT",
      message: "bucket b exists with other options: history is 1, wanted 5",
      details: { differences: [{ option: "history", existing: 1, wanted: 5 }] },
    });
  });
});

describe("describeThrown", () => {
  it("gives code and message, never the stack", () => {
    const error = new BusError("NOT_FOUND", "no such\r\nthing\u0000here");
    expect(describeThrown(error)).toEqual({ code: "NOT_FOUND", message: "no such thing here" });
    expect(describeThrown(Object.assign(new Error("m"), { code: "E-1.x" }))).toEqual({
      code: "E-1.x",
      message: "m",
    });
  });

  it("takes anything that can be thrown", () => {
    expect(describeThrown("text")).toEqual({ code: "INTERNAL", message: "text" });
    expect(describeThrown(undefined)).toEqual({ code: "INTERNAL", message: "undefined" });
    expect(describeThrown(null)).toEqual({ code: "INTERNAL", message: "null" });
    expect(describeThrown({})).toEqual({
      code: "INTERNAL",
      message: "the handler threw an object",
    });
    expect(describeThrown({ code: "a b", message: "m" }).code).toBe("INTERNAL");
    expect(describeThrown({ code: 5, message: "m" }).code).toBe("INTERNAL");
    expect(describeThrown(new Error("x".repeat(2_000))).message).toHaveLength(512);
  });
});
