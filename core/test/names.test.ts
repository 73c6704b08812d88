import { describe, expect, it } from "vitest";
import {
  checkKey,
  checkKeyPattern,
  checkName,
  checkNamespace,
  checkSubject,
  checkSubjectPattern,
  isNamespaceWithin,
  namespaceBelow,
} from "../src/adapter.ts";
import { isBusError } from "../src/index.ts";

interface Table {
  readonly check: (text: string) => void;
  readonly field: string;
  readonly longest: number;
  readonly good: readonly string[];
  readonly bad: readonly string[];
}

const NEVER = [
  "",
  " ",
  "a b",
  " a",
  "a ",
  ".",
  ".a",
  "a.",
  "a..b",
  "a\n",
  "a\r\nb",
  "a\tb",
  "a\u0000",
  "a\u007f",
  "ä",
  "a\u2028",
  "日本",
  "\ud800",
];
const WILD = ["*", ">", "a.*", "a.>", "*.a", "a.*.b"];
const BAD_WILD = ["a*", "*a", "a.b*", "a>", "a.>.b", ">.a", ">>", "**", "a.>>"];

const TABLES: Readonly<Record<string, Table>> = {
  subject: {
    check: checkSubject,
    field: "subject",
    longest: 256,
    good: ["a", "a.b.c", "A-9_/x=", "$JS.API", "a!b#c%&'()+,:;<?@[]^`{|}~", "0"],
    bad: [...NEVER, ...WILD, ...BAD_WILD],
  },
  "subject pattern": {
    check: checkSubjectPattern,
    field: "subject",
    longest: 256,
    good: ["a", "a.b", "$X.y", ...WILD, "*.*.>", "*.>"],
    bad: [...NEVER, ...BAD_WILD],
  },
  name: {
    check: (text) => checkName("queue", text),
    field: "queue",
    longest: 128,
    good: ["a", "A_b-9", "a.b", "0.1.2", "-", "_"],
    bad: [...NEVER, ...WILD, ...BAD_WILD, "a/b", "a=b", "a:b", "a$", "$JS", "a\\b"],
  },
  key: {
    check: checkKey,
    field: "key",
    longest: 256,
    good: ["a", "A_b-9", "a.b", "a/b", "a=b", "/", "="],
    bad: [...NEVER, ...WILD, ...BAD_WILD, "a:b", "a$", "a\\b", "a/../b", "a@b"],
  },
  "key pattern": {
    check: checkKeyPattern,
    field: "key",
    longest: 256,
    good: ["a", "a/b.c", ...WILD],
    bad: [...NEVER, ...BAD_WILD, "a:b"],
  },
  namespace: {
    check: checkNamespace,
    field: "namespace",
    longest: 64,
    good: ["a", "A-9", "-"],
    bad: [...NEVER, ...WILD, ...BAD_WILD, "a.b", "a_b", "a/b"],
  },
};

describe.each(Object.entries(TABLES))(
  "names: %s",
  (_name, { check, field, longest, good, bad }) => {
    it.each(good)("allows %j", (text) => {
      expect(() => check(text)).not.toThrow();
    });

    it.each(bad)("refuses %j", (text) => {
      expect(() => check(text)).toThrow(
        expect.objectContaining({
          code: "INVALID_ARGUMENT",
          details: expect.objectContaining({ field, value: text, maxLength: longest }),
        }),
      );
    });

    it(`allows ${longest} characters and no more`, () => {
      expect(() => check("a".repeat(longest))).not.toThrow();
      expect(() => check("a".repeat(longest + 1))).toThrow(
        `${field} is too long (${longest + 1} characters)`,
      );
    });

    it("says which rule it is, and refuses what is no text", () => {
      expect(() => check("")).toThrow(new RegExp(`^${field} must not be empty: allowed are 1 to`));
      for (const value of [undefined, null, 5, {}, ["a"]]) {
        expect(() => check(value as never)).toThrow(
          `${field} must be a string, got ${typeof value}`,
        );
      }
    });

    it("is quick on long hostile text", () => {
      const started = performance.now();
      for (const text of ["a.".repeat(127) + " ", "*.".repeat(127) + "*>", "a".repeat(255) + " "]) {
        try {
          check(text);
        } catch (error) {
          expect(isBusError(error)).toBe(true);
        }
      }
      expect(performance.now() - started).toBeLessThan(500);
    });
  },
);

describe("names in errors", () => {
  it("are cut", () => {
    try {
      checkSubject(`${"x".repeat(300)}`);
    } catch (error) {
      if (!isBusError(error)) throw error;
      expect(error.details["value"]).toBe(`${"x".repeat(64)}...`);
      expect(error.message.length).toBeLessThan(200);
      return;
    }
    throw new Error("was not refused");
  });
});

describe("namespaceBelow", () => {
  it("allows 64 characters together, and no name that begins with a dash", () => {
    expect(namespaceBelow("app", "a")).toBe("app--a");
    expect(namespaceBelow("a".repeat(30), "b".repeat(32))).toHaveLength(64);
    for (const name of ["b".repeat(33), "-a", "", "a.b", "a_b", 7 as never]) {
      expect(() => namespaceBelow("a".repeat(30), name)).toThrow(/^namespace /);
    }
  });

  it("makes what isNamespaceWithin finds below its parent, and below no other", () => {
    const parents = ["a", "a-", "-", "a--b", "ab", "A"];
    const names = ["a", "b", "b-", "b--c", "B"];
    for (const parent of parents) {
      for (const name of names) {
        expect(isNamespaceWithin(namespaceBelow(parent, name), parent)).toBe(true);
      }
    }
    for (const [namespace, parent] of [
      ["a---b", "a"],
      ["a--", "a"],
      ["a---", "a"],
      ["a-b", "a"],
      ["ab", "a"],
      ["a--b", "A"],
      ["a", "a--b"],
    ] as const) {
      expect(isNamespaceWithin(namespace, parent), `${namespace} in ${parent}`).toBe(false);
    }
    expect(isNamespaceWithin("a", "a")).toBe(true);
    expect(isNamespaceWithin("a---b", "a-")).toBe(true);
  });
});
