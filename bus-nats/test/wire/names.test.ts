import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flat, messagePrefix, WireNames } from "../../src/wire/names.ts";

const word = fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/);
const plainName = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join("."));
const namespace = fc.stringMatching(/^[A-Za-z0-9-]{1,8}$/);

describe("WireNames", () => {
  it("gives two names to two names, and keeps namespaces apart", () => {
    fc.assert(
      fc.property(namespace, plainName, namespace, plainName, (space, one, other, two) => {
        const same = space === other && one === two;
        const [left, right] = [new WireNames(space), new WireNames(other)];
        for (const make of [
          (names: WireNames, name: string) => names.bucket(name),
          (names: WireNames, name: string) => names.jobStream(name),
          (names: WireNames, name: string) => names.jobSubject(name, 0),
          (names: WireNames, name: string) => names.deadSubject("job", name, "1"),
          (names: WireNames, name: string) => names.ledgerSubject("sub", name, 1),
        ]) {
          expect(make(left, one) === make(right, two)).toBe(same);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("makes one token of a name, without what NATS reserves in names of streams", () => {
    fc.assert(
      fc.property(plainName, (name) => {
        expect(flat(name)).toMatch(/^[A-Za-z0-9_=-]+$/);
      }),
    );
  });

  it("never takes a bucket of leases for a bucket of values", () => {
    fc.assert(
      fc.property(namespace, plainName, namespace, (space, bucket, other) => {
        expect(new WireNames(space).bucket(bucket)).not.toBe(new WireNames(other).leaseBucket);
      }),
    );
  });

  it("never takes a lease for the clock", () => {
    const names = new WireNames("n");
    fc.assert(
      fc.property(plainName, plainName, (bucket, key) => {
        expect(names.leaseKey(bucket, key)).not.toBe(names.leaseClockKey);
      }),
    );
  });
});

describe("messagePrefix", () => {
  const names = new WireNames("app");

  it("is the namespace's, or that of the bound stream", () => {
    const prefixOf = (stream?: { name: string; subjectPrefix: string }): string =>
      messagePrefix(names, { stream });
    expect(prefixOf()).toBe("busbar.app.msg.");
    expect(prefixOf({ name: "S", subjectPrefix: "a.b" })).toBe("a.b.");
    expect(prefixOf({ name: "S", subjectPrefix: "" })).toBe("");
  });
});
