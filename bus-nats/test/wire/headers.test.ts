import { headers as clientHeaders, MsgHdrsImpl } from "@nats-io/transport-node";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeHeaders,
  encodeHeaders,
  field,
  H,
  numberField,
  userHeaders,
} from "../../src/wire/headers.ts";

const decode = (encoded: ReturnType<typeof encodeHeaders>): MsgHdrsImpl =>
  MsgHdrsImpl.decode((encoded as unknown as { encode(): Uint8Array }).encode());

const name = fc.stringMatching(/^X-[!-9;-~]{1,20}$/);
const value = fc
  .string({ unit: "grapheme", maxLength: 20 })
  .map((text) => text.replace(/\p{Cc}/gu, "").trim());

describe("encodeHeaders", () => {
  it("writes what the client reads: fields first, every value, UTF-8", () => {
    const encoded = encodeHeaders({ "X-A": "ü 😀", "X-B": ["1", "2"] }, [[H.msgId, "m"]]);
    const decoded = decode(encoded);
    expect(decoded.get("X-A")).toBe("ü 😀");
    expect(decoded.values("X-B")).toEqual(["1", "2"]);
    expect(decoded.get("Nats-Msg-Id")).toBe("m");
  });

  it("is nothing for no headers", () => {
    expect(encodeHeaders({})).toBeUndefined();
  });

  it("gives back any headers that pass the check", () => {
    fc.assert(
      fc.property(fc.dictionary(name, value, { maxKeys: 5 }), (headers) => {
        const encoded = encodeHeaders(headers);
        if (encoded === undefined) return;
        expect({ ...userHeaders(decode(encoded)) }).toEqual({ ...headers });
        const bytes = (encoded as unknown as { encode(): Buffer }).encode();
        expect({ ...userHeaders(decodeHeaders(bytes)) }).toEqual({ ...headers });
      }),
    );
  });
});

describe("userHeaders", () => {
  it("leaves out what Busbar and the server add, in any case", () => {
    const headers = clientHeaders();
    for (const key of ["Nats-Msg-Id", "nats-x", "Busbar-Reason", "KV-Operation"]) {
      headers.set(key, "1");
    }
    headers.set("Mine", "2");
    expect({ ...userHeaders(headers) }).toEqual({ Mine: "2" });
    expect({ ...userHeaders(undefined) }).toEqual({});
  });
});

describe("field and numberField", () => {
  it("are undefined for what is missing or no number", () => {
    const headers = clientHeaders();
    headers.set("N", "42");
    headers.set("T", "text");
    expect([field(headers, "T"), field(headers, "none"), field(undefined, "T")]).toEqual([
      "text",
      undefined,
      undefined,
    ]);
    expect([numberField(headers, "N"), numberField(headers, "T")]).toEqual([42, undefined]);
  });
});
