import { expect, it } from "vitest";
import { openMemory } from "../src/memory/setup.ts";
import { FinishLine } from "../src/tasks/finish-line.ts";
import { TaskPipeline } from "../src/tasks/pipeline.ts";

it("a finish line is reached when all have passed, and can be used again", async () => {
  const line = new FinishLine();
  for (const count of [2, 1]) {
    let isOver = false;
    const over = line.after(count).then(() => (isOver = true));
    for (let passed = 1; passed < count; passed++) line.passed();
    await new Promise((resolve) => setImmediate(resolve));
    expect(isOver).toBe(false);
    line.passed();
    await over;
  }
});

it.each([1, 4])(
  "a pipeline runs each task, submitted in bulks of %i, of the tenants that are to be active",
  async (bulk) => {
    await using bus = await openMemory();
    const tenants = ["a", "b", "c"].map((id) => ({ id, name: id }));
    await using pipeline = await TaskPipeline.open(bus, {
      name: "",
      keepResult: true,
      bulk,
      tenants,
    });
    const { operations, ms } = await pipeline.run(40, 2);
    expect(operations).toBe(40);
    expect(ms).toBeGreaterThan(0);
    const records = await bus.kv.keys("task-records.bench", { limit: 1_000 });
    expect(records.keys).toHaveLength(40);
    expect(new Set(records.keys.map((key) => key.split(".")[0])).size).toBe(2);
  },
);
