import { describe, expect, it } from "vitest";
import { Journal } from "../../src/engine/journal.ts";

/** A journal with one change of each kind every 10 ms from 0 on, and what was undone. */
function written(count: number): { journal: Journal; undone: string[] } {
  const journal = new Journal(100);
  const undone: string[] = [];
  for (let at = 0; at < count * 10; at += 10) {
    journal.add("write", at, () => undone.push(`write ${at}`));
    journal.add("settle", at, () => undone.push(`settle ${at}`));
  }
  return { journal, undone };
}

describe("Journal", () => {
  it("undoes each kind as far back as it is lost: writes newest first, settles in order", () => {
    const { journal, undone } = written(5);
    journal.undo(50, { write: 21, settle: 31 });
    expect(undone).toEqual(["write 40", "write 30", "settle 20", "settle 30", "settle 40"]);
  });

  it("does not undo what is as old as the window", () => {
    const { journal, undone } = written(5);
    journal.undo(50, { write: 10, settle: 0 });
    expect(undone).toEqual([]);
  });

  it("undoes nothing twice, and nothing that an earlier crash has kept", () => {
    const { journal, undone } = written(5);
    journal.undo(50, { write: 11, settle: 0 });
    expect(journal.size).toBe(0);
    journal.undo(50, { write: 100, settle: 100 });
    expect(undone).toEqual(["write 40"]);
  });

  it("keeps only what is young enough to be lost", () => {
    const { journal } = written(1_000);
    expect(journal.size).toBe(20);
  });
});
