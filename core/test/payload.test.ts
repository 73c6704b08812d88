import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkHeaders, NO_HEADERS, payloadBytes } from "../src/adapter.ts";
import { type Headers, toBytes, toText } from "../src/index.ts";

const invalid = (details: object) =>
  expect.objectContaining({ code: "INVALID_ARGUMENT", details: expect.objectContaining(details) });

describe("payloadBytes", () => {
  it("gives bytes as they are and text as UTF-8", () => {
    const bytes = new Uint8Array([1, 2]);
    expect(payloadBytes(bytes, 2, "a")).toBe(bytes);
    expect(payloadBytes("Grüße", 10, "a")).toEqual(toBytes("Grüße"));
    expect(payloadBytes("", 0, "a")).toHaveLength(0);
    expect(payloadBytes(Buffer.from("x"), 1, "a")).toHaveLength(1);
  });

  it("counts bytes, not characters, and says both numbers", () => {
    expect(() => payloadBytes("ü", 1, "a.b")).toThrow(
      expect.objectContaining({
        code: "PAYLOAD_TOO_LARGE",
        message: "payload for a.b has 2 bytes, the limit is 1",
        details: { bytes: 2, maxBytes: 1 },
      }),
    );
    expect(payloadBytes("ü", 2, "a.b")).toHaveLength(2);
  });

  it("refuses what is neither", () => {
    for (const value of [undefined, null, 5, {}, [1], new ArrayBuffer(1), new Uint16Array(1)]) {
      expect(() => payloadBytes(value as never, 10, "a")).toThrow(invalid({ field: "payload" }));
    }
  });
});

describe("toBytes and toText", () => {
  it("are each other's inverse for Unicode text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(toText(toBytes(`x${text}`))).toBe(`x${text}`);
      }),
    );
  });
});

describe("checkHeaders", () => {
  it("gives a frozen copy", () => {
    const given = { a: "1", b: ["2", "3"], c: ["4"] };
    const headers = checkHeaders(given);
    expect({ ...headers }).toEqual({ a: "1", b: ["2", "3"], c: "4" });
    expect(Object.isFrozen(headers)).toBe(true);
    expect(Object.isFrozen(headers["b"])).toBe(true);
    given.b.push("5");
    expect(headers["b"]).toEqual(["2", "3"]);
    expect(checkHeaders(undefined)).toBe(NO_HEADERS);
    expect(checkHeaders({})).toBe(NO_HEADERS);
  });

  it("takes names that mean something to JavaScript", () => {
    const headers = checkHeaders(JSON.parse('{"__proto__":"x","constructor":"y"}') as Headers);
    expect(Object.keys(headers)).toEqual(["__proto__", "constructor"]);
    expect(headers["__proto__"]).toBe("x");
  });

  it.each(["", "a b", "a:b", "a\n", "ä", "x".repeat(129), "Nats-Msg-Id", "nats-x", "BUSBAR-y"])(
    "refuses the name %j",
    (name) => {
      expect(() => checkHeaders({ [name]: "x" })).toThrow(
        invalid({ field: "headers", header: name.slice(0, 64) }),
      );
    },
  );

  it.each([["Nats"], ["nats"], ["Busbar"], ["x-nats-y"], ["a!#$%&'*+-.^_`|~9"]])(
    "allows the name %j",
    (name) => {
      expect(checkHeaders({ [name]: "x" })[name]).toBe("x");
    },
  );

  it.each(["a\r\nb", "a\u0000", "\ta", "a ", " a", "\u00a0a", "a\u007f", "half \ud800 a pair"])(
    "refuses the value %j, alone and in an array, without showing it",
    (value) => {
      for (const given of [value, ["ok", value]]) {
        expect(() => checkHeaders({ h: given })).toThrow(invalid({ header: "h" }));
        expect(() => checkHeaders({ h: given })).toThrow(/^header "h": a value is/);
      }
    },
  );

  it("allows empty values and Unicode", () => {
    expect(checkHeaders({ h: "" })["h"]).toBe("");
    expect(checkHeaders({ h: "Grüße 😀 x" })["h"]).toBe("Grüße 😀 x");
  });

  it("refuses what is no text", () => {
    for (const value of [5, null, undefined, {}, [], [5], [["a"]]]) {
      expect(() => checkHeaders({ h: value as never })).toThrow(invalid({ header: "h" }));
    }
    for (const headers of [null, "text", 5, ["a"]]) {
      expect(() => checkHeaders(headers as never)).toThrow(invalid({ field: "headers" }));
    }
  });

  it("allows 8 KiB in all, as UTF-8", () => {
    // A name of one character and four bytes of framing.
    expect(() => checkHeaders({ h: "x".repeat(8_187) })).not.toThrow();
    expect(() => checkHeaders({ h: "x".repeat(8_188) })).toThrow(
      invalid({ bytes: 8_193, maxBytes: 8_192 }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 20 }), (text) => {
        const filler = "é😀€".repeat(1_000) + text.replace(/[\s\p{C}]/gu, "");
        const bytes = Buffer.byteLength(filler) + 5;
        expect(() => checkHeaders({ h: filler })).toThrow(invalid({ bytes }));
      }),
      { numRuns: 50 },
    );
  });
});
