import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BusError, bytesCodec, jsonCodec, textCodec, toBytes, toText } from "../src/index.ts";

function refused(work: () => unknown): BusError {
  try {
    work();
  } catch (error) {
    if (error instanceof BusError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

describe("jsonCodec", () => {
  it("gives back what JSON can say", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const back = jsonCodec.decode(jsonCodec.encode(value));
        expect(JSON.stringify(back)).toBe(JSON.stringify(value));
      }),
    );
  });

  it("leaves out optional properties and lets objects say what they are", () => {
    const value = { a: undefined, at: new Date(0), nested: { toJSON: () => 5 } };
    expect(toText(jsonCodec.encode(value))).toBe('{"at":"1970-01-01T00:00:00.000Z","nested":5}');
    expect(toText(jsonCodec.encode("half \ud800"))).toBe('"half \\ud800"');
  });

  const cycle: Record<string, unknown> = { secret: "s3cret" };
  cycle["self"] = cycle;
  let deep: unknown = 1;
  for (let level = 0; level < 100_000; level++) deep = [deep];

  it.each([
    ["undefined", undefined, "", "is undefined"],
    ["a function", () => 1, "", "is a function"],
    ["a symbol", Symbol("s3cret"), "", "is a symbol"],
    ["a BigInt", 5n, "", "BigInt"],
    ["a BigInt inside", { a: [5n] }, "", "BigInt"],
    ["a cycle", cycle, "", "cycle"],
    ["too deep nesting", deep, "", "nested"],
    ["a toJSON that throws", { toJSON: () => null!["x"] }, "", "toJSON"],
    ["NaN", Number.NaN, "", "not a finite number"],
    ["an infinity inside", { a: { b: [0, -Infinity] } }, "a.b.1", "not a finite number"],
    ["a function inside", { a: () => "s3cret" }, "a", "a function"],
    ["a symbol inside", [Symbol("s3cret")], "0", "a symbol"],
    ["a hole", [undefined], "0", "undefined"],
    ["a Map", { m: new Map([["s3cret", 1]]) }, "m", "a Map"],
    ["a Set", { m: new Set(["s3cret"]) }, "m", "a Set"],
    ["a promise", { m: Promise.resolve() }, "m", "a Promise"],
    ["bytes", { m: new Uint8Array(2) }, "m", "a Uint8Array"],
    ["a buffer", { m: new ArrayBuffer(2) }, "m", "a ArrayBuffer"],
  ])("refuses %s", (_what, value, path, problem) => {
    const error = refused(() => jsonCodec.encode(value));
    expect(error.code).toBe("INVALID_ARGUMENT");
    expect(error.details["issues"]).toEqual([{ path, problem: expect.stringContaining(problem) }]);
    expect(error.message).toContain("cannot be sent as JSON");
    expect(JSON.stringify([error.message, error.details])).not.toContain("s3cret");
    expect(error.cause).toBeUndefined();
  });

  it.each([
    ["nothing", ""],
    ["text", "s3cret"],
    ["half an object", '{"s3cret":'],
    ["two values", "1 2"],
  ])("refuses to read %s, without quoting it", (_what, text) => {
    const error = refused(() => jsonCodec.decode(toBytes(text)));
    expect(error).toMatchObject({
      code: "INVALID_ARGUMENT",
      details: { issues: [{ path: "", problem: `not JSON (${text.length} bytes)` }] },
    });
    expect(JSON.stringify([error.message, error.details, error.cause])).not.toContain("s3cret");
  });

  it("refuses bytes that are no UTF-8, where a lenient reader would change the text", () => {
    const bytes = new Uint8Array([0x22, 0xff, 0x22]);
    expect(refused(() => jsonCodec.decode(bytes)).code).toBe("INVALID_ARGUMENT");
  });

  it("does not let a payload reach a prototype", () => {
    const value = jsonCodec.decode(toBytes('{"__proto__":{"polluted":1}}')) as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect("polluted" in {}).toBe(false);
  });
});

describe("textCodec", () => {
  it("gives back any text, a byte order mark too", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(textCodec.decode(textCodec.encode(text))).toBe(text);
      }),
    );
    expect(textCodec.decode(textCodec.encode("\ufeffx"))).toBe("\ufeffx");
  });

  it("refuses what is no text, both ways", () => {
    expect(refused(() => textCodec.encode(5 as never)).message).toContain("it is a number");
    expect(refused(() => textCodec.encode("a\ud800")).code).toBe("INVALID_ARGUMENT");
    expect(refused(() => textCodec.decode(new Uint8Array([0xc3]))).message).toBe(
      "the payload has 1 bytes and is not UTF-8 text",
    );
  });
});

describe("bytesCodec", () => {
  it("gives back the same bytes and refuses everything else", () => {
    const bytes = new Uint8Array([0, 255]);
    expect(bytesCodec.decode(bytesCodec.encode(bytes))).toBe(bytes);
    expect(refused(() => bytesCodec.encode("text" as never)).message).toContain("a string");
    expect(refused(() => bytesCodec.encode(null as never)).message).toContain("null");
  });
});
