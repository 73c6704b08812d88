import { expect, it } from "vitest";
import { ownBytes } from "../../src/wire/bytes.ts";

it("copies a small part of a large buffer", () => {
  const large = Buffer.alloc(10_000, 7);
  const own = ownBytes(large.subarray(10, 20));
  large.fill(0);
  expect(own).toEqual(new Uint8Array(10).fill(7));
  expect(own.buffer.byteLength).toBe(10);
});

it("gives a plain byte array, also where it copies nothing", () => {
  const own = ownBytes(new Uint8Array(Buffer.from("abcdef").slice()));
  expect(Object.getPrototypeOf(own)).toBe(Uint8Array.prototype);
  const buffer = Buffer.from(new ArrayBuffer(8));
  const whole = ownBytes(buffer);
  expect(Object.getPrototypeOf(whole)).toBe(Uint8Array.prototype);
  expect(whole.buffer).toBe(buffer.buffer);
  expect(ownBytes(new Uint8Array(0))).toEqual(new Uint8Array(0));
});
