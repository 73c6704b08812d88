import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePattern, hasWildcard, matchesSubject } from "../src/adapter.ts";

/** The rule, word for word. */
function naive(pattern: string[], subject: string[]): boolean {
  const [wanted, ...wantedRest] = pattern;
  const [token, ...rest] = subject;
  if (wanted === ">" && wantedRest.length === 0) return subject.length > 0;
  if (wanted === undefined || token === undefined) return wanted === token;
  return (wanted === "*" || wanted === token) && naive(wantedRest, rest);
}

const token = fc.constantFrom("a", "b", "aa", "-", "$");
const subject = fc.array(token, { minLength: 1, maxLength: 6 });
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant("*")), { maxLength: 6 }), fc.boolean())
  .map(([tokens, open]) => (open ? [...tokens, ">"] : tokens))
  .filter((tokens) => tokens.length > 0);

describe("matchesSubject", () => {
  it("agrees with the rule", () => {
    fc.assert(
      fc.property(pattern, subject, (wanted, given) => {
        const expected = naive(wanted, given);
        expect(matchesSubject(wanted.join("."), given.join("."))).toBe(expected);
        expect(compilePattern(wanted.join("."))(given.join("."))).toBe(expected);
      }),
      { numRuns: 5_000 },
    );
  });

  it("covers every subject made by filling in its wildcards", () => {
    fc.assert(
      fc.property(pattern, subject, (wanted, filling) => {
        const given = wanted.flatMap((one) => {
          return one === ">" ? filling : [one === "*" ? filling[0]! : one];
        });
        expect(matchesSubject(wanted.join("."), given.join("."))).toBe(true);
      }),
    );
  });

  it.each([
    [">", "a", true],
    ["a.>", "a", false],
    ["a.>", "a.b", true],
    ["a.>", "a.b.c", true],
    ["*.>", "a", false],
    ["a.*", "a", false],
    ["a.*", "a.b.c", false],
    ["a.*.c", "a.b.c", true],
    ["a", "A", false],
    ["a.b", "a.b", true],
  ])("%s covers %s: %s", (wanted, given, expected) => {
    expect(matchesSubject(wanted, given)).toBe(expected);
  });
});

describe("hasWildcard", () => {
  it("is true for a token that is a wildcard", () => {
    fc.assert(
      fc.property(pattern, (tokens) => {
        const expected = tokens.includes("*") || tokens.at(-1) === ">";
        expect(hasWildcard(tokens.join("."))).toBe(expected);
      }),
    );
    expect(hasWildcard("a*b.c")).toBe(false);
  });
});
