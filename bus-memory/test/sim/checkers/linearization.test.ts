import { seededRandom } from "@busbar/core";
import { expect, it } from "vitest";
import {
  ANY_VALUE,
  apply,
  type KvOperation,
  type KvState,
  NO_VALUE,
} from "../../../src/sim/checkers/kv-model.ts";
import { linearize } from "../../../src/sim/checkers/linearization.ts";

/** A few operations that overlap, with results that may well be impossible. */
function history(random: { next(): number }): KvOperation[] {
  const upTo = (most: number): number => Math.floor(random.next() * (most + 1));
  return Array.from({ length: 3 + upTo(4) }, (_, index) => {
    const kind = (["get", "put", "create", "cas", "delete"] as const)[upTo(4)] ?? "get";
    const outcomes = kind === "get" ? ["done"] : ["done", "done", "conflict", "unknown"];
    const outcome = (kind === "put" ? ["done", "unknown"] : outcomes)[upTo(3)] ?? "done";
    const called = upTo(12);
    const isRead = kind === "get" || outcome === "conflict";
    const revision = isRead ? upTo(4) || undefined : 1 + upTo(3);
    const hasValue = kind === "get" ? revision !== undefined : kind !== "delete";
    return {
      kind,
      process: `p${index}`,
      atMs: 0,
      called,
      returned: outcome === "unknown" ? Number.POSITIVE_INFINITY : called + 1 + upTo(6),
      outcome: outcome as KvOperation["outcome"],
      value: hasValue ? "ab"[upTo(1)] : undefined,
      expected:
        kind === "cas" || (kind === "delete" && outcome === "conflict") ? upTo(3) : undefined,
      // The answer to a delete has none.
      revision: outcome === "unknown" || (kind === "delete" && !isRead) ? undefined : revision,
    };
  });
}

/** Tries every order. */
function hasOrder(left: readonly KvOperation[], state: KvState): boolean {
  const certain = left.filter(({ outcome }) => outcome !== "unknown");
  if (certain.length === 0) return true;
  const earliest = Math.min(...certain.map(({ returned }) => returned));
  return left.some((operation) => {
    if (operation.called > earliest) return false;
    const next = apply(state, operation);
    return (
      next !== undefined &&
      hasOrder(
        left.filter((one) => one !== operation),
        next,
      )
    );
  });
}

it("linearize answers as a search without any shortcut does, seeds 1 to 5,000", () => {
  const answers = { found: 0, none: 0, gaveUp: 0 };
  for (let seed = 1; seed <= 5_000; seed += 1) {
    const operations = history(seededRandom(seed));
    const start = seed % 4 === 0 ? ANY_VALUE : NO_VALUE;
    const { answer } = linearize(operations, start, 1_000_000);
    answers[answer] += 1;
    expect(answer, `seed ${seed}`).toBe(hasOrder(operations, start) ? "found" : "none");
  }
  // Both really occur.
  expect(Math.min(answers.found, answers.none)).toBeGreaterThan(500);
});
