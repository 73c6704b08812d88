import { expect, it } from "vitest";
import { virtualStage } from "../src/fairness/arena.ts";
import { NOISY_TASKS, quietWaitMs, SLOTS } from "../src/fairness/quiet-tenants.ts";
import { slotUseAlone, worstShareError } from "../src/fairness/shares.ts";

// In virtual time: what the bench prints is the same each time.

it("quiet tenants wait at most twice as long beside one with 10,000 queued tasks", async () => {
  const alone = await virtualStage.play((arena) => quietWaitMs(arena, 0));
  const beside = await virtualStage.play((arena) => quietWaitMs(arena, NOISY_TASKS));
  expect(alone).toBeGreaterThan(0);
  expect(beside).toBeLessThanOrEqual(2 * alone);
}, 60_000);

it("weights 1, 2, 4 give shares within 5 % over 10,000 tasks", async () => {
  expect(await virtualStage.play(worstShareError)).toBeLessThanOrEqual(5);
}, 60_000);

it("a tenant that is the only one with tasks has every slot all the time", async () => {
  const { most, average } = await virtualStage.play(slotUseAlone);
  expect(most).toBe(SLOTS);
  expect(average).toBeCloseTo(SLOTS, 1);
}, 60_000);
