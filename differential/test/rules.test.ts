import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { explain, RULES } from "../src/rules.ts";
import type { Step } from "../src/script.ts";

const CONTRACTS = new URL("../../docs/contracts.md", import.meta.url);
/** One of each generation that is tested. */
const VERSIONS = ["2.9.10", "2.10.27", "2.15.1"];

/** Which rule explains a difference. */
function by(version: string, step: Step, expected: object, actual: object): string | undefined {
  return explain(version, step, { expected, actual } as Parameters<typeof explain>[2]);
}

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

  it("explain a dead letter that comes late on 2.9, but no other that is missing", () => {
    const look: Step = { op: "dead", bus: 0, kind: "durable", owner: "d", verb: "list", id: 1 };
    const told = (...reasons: readonly string[]) => ({
      list: reasons.map((reason, index) => ({ body: `s${index}`, reason, dead: 3 })),
    });
    const [both, one] = [told("max deliveries", "max deliveries"), told("max deliveries")];
    expect(by("2.9.10", look, both, one)).toBe("late-backoff");
    expect(by("2.9.10", look, one, both)).toBeUndefined();
    expect(by("2.10.27", look, both, one)).toBeUndefined();
    expect(by("2.9.10", { ...look, kind: "queue" }, both, one)).toBeUndefined();
    expect(by("2.9.10", look, told("max deliveries", "no use"), one)).toBeUndefined();
    const at = (dead: number, reason = "max deliveries") => ({
      list: [{ body: "s1", reason, dead }],
    });
    expect(by("2.9.10", look, at(3), at(5))).toBe("late-backoff");
    expect(by("2.9.10", look, at(3), at(2))).toBeUndefined();
    expect(by("2.9.10", look, at(3, "no use"), at(5, "no use"))).toBeUndefined();
    expect(by("2.15.1", look, at(3), at(5))).toBeUndefined();
  });

  it("explain a redelivery that comes behind a message that nobody had", () => {
    const take: Step = { op: "take", name: "sub1", id: 1 };
    const told = (...messages: readonly (readonly [string, number])[]) => ({
      messages: messages.map(([body, count]) => ({ body, count })),
      ended: [null],
    });
    const expected = told(["s1", 1], ["s2", 2]);
    expect(by("2.15.1", take, expected, told(["s1", 1], ["s3", 1]))).toBe("redelivery-overtaken");
    expect(by("2.15.1", take, expected, told(["s1", 1], ["s3", 2]))).toBeUndefined();
    expect(by("2.15.1", take, expected, told(["s1", 1]))).toBeUndefined();
    expect(by("2.15.1", take, expected, told(["s3", 1], ["s2", 2]))).toBeUndefined();
  });

  it("explain a redelivery by backoff that a poll does not meet yet on 2.9", () => {
    const poll = (backoff: readonly number[] | undefined): Step => {
      const options = backoff ? { backoff } : {};
      return { op: "poll", bus: 0, durable: "d", subject: ">", options, id: 1 };
    };
    const told = (...counts: readonly number[]) => ({
      messages: counts.map((count, index) => ({ body: `s${index}`, count })),
    });
    expect(by("2.9.10", poll([1.45, 0.45]), told(2, 2), told(2))).toBe("late-backoff");
    expect(by("2.9.10", poll([1.45, 0.45]), told(2), told(2, 2))).toBeUndefined();
    expect(by("2.9.10", poll([1.45, 0.45]), told(2, 1), told(2))).toBeUndefined();
    expect(by("2.9.10", poll(undefined), told(2, 2), told(2))).toBeUndefined();
    expect(by("2.15.1", poll([1.45, 0.45]), told(2, 2), told(2))).toBeUndefined();
  });

  it("explain one job that counts as ready instead of leased, or as leased instead of dead, and no other counts", () => {
    const stats: Step = { op: "stats", bus: 0, queue: "q", id: 1 };
    const told = (ready: number, leased: number, dead = 0) => ({
      ready,
      delayed: 0,
      leased,
      dead,
      paused: false,
    });
    expect(by("2.15.1", stats, told(0, 2), told(1, 1))).toBe("lease-over-and-given-back");
    expect(by("2.15.1", stats, told(1, 0, 1), told(1, 1, 0))).toBe("lease-over-and-given-back");
    expect(by("2.15.1", stats, told(1, 1, 0), told(1, 0, 1))).toBeUndefined();
    expect(by("2.15.1", stats, told(0, 2), told(1, 2))).toBeUndefined();
    expect(by("2.15.1", stats, told(1, 1), told(0, 2))).toBeUndefined();
    expect(by("2.15.1", stats, told(0, 2), told(2, 0))).toBeUndefined();
    expect(by("2.15.1", stats, told(0, 2), told(1, 1, 1))).toBeUndefined();
  });
});
