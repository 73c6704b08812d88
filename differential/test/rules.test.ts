import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { explain, RULES } from "../src/rules.ts";
import type { Step } from "../src/script.ts";

const CONTRACTS = new URL("../../docs/contracts.md", import.meta.url);
/** One of each generation that is tested. */
const VERSIONS = ["2.9.10", "2.10.27", "2.15.1"];

describe("RULES", () => {
  it("have ids of their own", () => {
    const ids = RULES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[a-z]+(-[a-z]+)*$/);
  });

  it("name the part of the contracts that leaves it open", async () => {
    const page = await readFile(CONTRACTS, "utf8");
    const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading);
    for (const { id, contract } of RULES) expect(headings, id).toContain(contract);
  });

  it("apply to a version that is tested", () => {
    for (const rule of RULES) {
      expect(
        VERSIONS.some((version) => rule.appliesTo(version)),
        rule.id,
      ).toBe(true);
    }
  });

  it("say what differs and why, in sentences", () => {
    for (const { id, what, why } of RULES) {
      expect(what, id).toMatch(/^[A-Z].*\.$/s);
      expect(why, id).toMatch(/^[A-Z].*\.$/s);
    }
  });

  it("explain a redelivery that comes too late or too early after a give-back, and nothing else", () => {
    const poll = (backoff: boolean): Step => ({
      op: "poll",
      bus: 0,
      durable: "d",
      subject: ">",
      options: backoff ? { backoff: [1.45, 0.45] } : {},
      id: 1,
    });
    const told = (...counts: readonly number[]) => ({
      messages: counts.map((count, index) => ({ body: `s${index}`, count })),
    });
    const by = (step: Step, expected: object, actual: object): string | undefined =>
      explain("2.10.27", step, { expected, actual } as Parameters<typeof explain>[2]);
    expect(by(poll(true), told(2, 2), told(2))).toBe("backoff-after-give-back");
    expect(by(poll(true), told(2), told(2, 2))).toBe("backoff-after-give-back");
    expect(by(poll(true), told(2), told(2, 1))).toBeUndefined();
    expect(by(poll(true), told(2, 1), told(2))).toBeUndefined();
    expect(by(poll(false), told(2), told(2, 2))).toBeUndefined();
  });
});
