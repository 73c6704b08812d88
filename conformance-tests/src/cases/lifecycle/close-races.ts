import { check, checkCode, checkEqual } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import { finishAll, outcomeOf, storedTexts } from "../shared.ts";

/** Writes that race with close(). */
export const closeRaceCases: readonly ConformanceCase[] = [
  {
    id: "LC-CLOSE-013",
    title:
      "publishes that race with close() resolve or reject with CLOSED; what resolved is stored",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const resolved = await raceWithClose(context, (other, text) =>
        other.pubsub.publish("race", text),
      );
      const stored = await storedTexts(context.bus, "race", "race");
      for (const text of resolved) checkEqual(stored.get(text), 1, `how often ${text} is stored`);
      for (const [text, count] of stored) checkEqual(count, 1, `how often ${text} is stored`);
    },
  },
  {
    id: "LC-CLOSE-014",
    title: "enqueues that race with close() resolve or reject with CLOSED; what resolved is there",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const resolved = await raceWithClose(context, (other, text) =>
        other.jobs.enqueue("race", { payload: text }),
      );
      const jobs = await finishAll(context.bus, "race");
      checkEqual(new Set(jobs).size, jobs.length, "jobs without doubles");
      const lost = resolved.filter((text) => !jobs.includes(text));
      checkEqual(lost, [], "jobs that are lost");
    },
  },
  {
    id: "LC-CLOSE-015",
    title: "puts that race with close() resolve or reject with CLOSED; what resolved is there",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const resolved = await raceWithClose(context, (other, text) =>
        other.kv.put("race", text, text),
      );
      const { keys } = await context.bus.kv.keys("race");
      const lost = resolved.filter((text) => !keys.includes(text));
      checkEqual(lost, [], "keys that are lost");
    },
  },
];

/** Writes before, during and after the close of a bus; gives the texts whose writes resolved. */
async function raceWithClose(
  context: CaseContext,
  write: (bus: CaseContext["bus"], text: string) => Promise<unknown>,
): Promise<string[]> {
  const { clock, random } = context;
  const other = await context.open();
  const start = (from: number) =>
    Array.from({ length: 60 }, async (_, index) => {
      const text = `m${from + index}`;
      return { text, outcome: await outcomeOf(clock, () => write(other, text)) };
    });
  await write(other, "m0");
  const racing = start(100);
  // Some are on their way, some not yet: how many differs from seed to seed.
  await Promise.all(racing.slice(0, Math.floor(random.next() * 30)));
  const closing = other.close();
  const late = start(200);
  await context.within("the close", closing, 10_000);
  for (const { text, outcome } of await Promise.all([...racing, ...late])) {
    if (!outcome.ok) await checkCode(Promise.reject(outcome.error), "CLOSED", `write of ${text}`);
  }
  for (const { text, outcome } of await Promise.all(late)) {
    check(!outcome.ok, `${text} was written after close() was called`);
  }
  const all = await Promise.all(racing);
  return ["m0", ...all.flatMap(({ text, outcome }) => (outcome.ok ? [text] : []))];
}
