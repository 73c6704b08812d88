import { matchesSubject } from "@busbar/core/adapter";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Router } from "../../src/engine/router.ts";
import { SubjectTree } from "../../src/engine/subject-tree.ts";

const token = fc.constantFrom("a", "b", "c");
const subject = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join("."));
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant("*")), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([tokens, open]) => [...tokens, ...(open ? [">"] : [])].join("."));

describe("SubjectTree", () => {
  it("finds exactly whose pattern matches, also after some were removed", () => {
    const patterns = fc.array(fc.oneof(pattern, fc.constant(">")), { maxLength: 12 });
    fc.assert(
      fc.property(
        patterns,
        fc.array(subject, { maxLength: 5 }),
        fc.nat(),
        (all, asked, removed) => {
          const tree = new SubjectTree<number>();
          for (const [index, one] of all.entries()) tree.add(one, index);
          for (const one of asked) tree.match(one);
          const gone = all.length === 0 ? -1 : removed % all.length;
          if (gone >= 0) tree.remove(all[gone] as string, gone);
          for (const one of asked) {
            const wanted = all.flatMap((each, index) => {
              return index !== gone && matchesSubject(each, one) ? [index] : [];
            });
            expect(new Set(tree.match(one))).toEqual(new Set(wanted));
          }
          expect([...tree.values()]).toHaveLength(tree.size);
          for (const [index, one] of all.entries()) if (index !== gone) tree.remove(one, index);
          expect(tree.size).toBe(0);
        },
      ),
    );
  });
});

describe("Router", () => {
  it("selects everybody without a group, and one of each group in turn", () => {
    const router = new Router<string>();
    const routes = [
      { pattern: "a.*", group: undefined, target: "alone" },
      { pattern: "a.*", group: "g", target: "g1" },
      { pattern: "a.>", group: "g", target: "g2" },
      { pattern: "a.b", group: "h", target: "h1" },
    ];
    for (const route of routes) router.add(route);
    const selections = [1, 2, 3, 4].map(() => router.select("a.b").toSorted().join(" "));
    expect(selections.toSorted()).toEqual([
      "alone g1 h1",
      "alone g1 h1",
      "alone g2 h1",
      "alone g2 h1",
    ]);
    expect(selections[0]).not.toBe(selections[1]);
    expect(router.select("b")).toEqual([]);
    for (const route of routes) router.remove(route);
    expect(router.size).toBe(0);
    expect(router.select("a.b")).toEqual([]);
  });

  it("is fair to a group also if every subject is new", () => {
    const router = new Router<string>();
    for (const target of ["one", "two"]) router.add({ pattern: ">", group: "g", target });
    const chosen = Array.from({ length: 10 }, (_, index) => router.select(`s.${index}`)[0]);
    expect(chosen.filter((target) => target === "one")).toHaveLength(5);
  });
});
