import { describe, expect, it } from "vitest";
import { DeadLetterStore, type StoredDeadLetter } from "../../src/engine/dead-letter-store.ts";

function letter(id: string): StoredDeadLetter<string> {
  const payload = new Uint8Array(0);
  const [subject, reason, headers] = ["s", "r", {}];
  return {
    id,
    subject,
    reason,
    attempts: 1,
    payload,
    headers,
    publishedAtMs: 0,
    deadAtMs: 0,
    origin: id,
  };
}

describe("DeadLetterStore", () => {
  it("pages from oldest to newest while entries come and go", () => {
    const store = new DeadLetterStore<string>();
    for (let id = 0; id < 500; id++) store.add(letter(String(id)));
    const first = store.page(undefined, 100);
    expect(first.letters.map(({ id }) => Number(id))).toEqual([...Array(100).keys()]);
    // The last of the page, and most of what comes, is removed meanwhile.
    for (let id = 50; id < 450; id++) store.remove(String(id));
    store.add(letter("late"));
    const second = store.page(first.next, 100);
    expect(second.letters[0]?.id).toBe("450");
    expect(second.letters.at(-1)?.id).toBe("late");
    expect(second.next).toBeUndefined();
    expect(store.size).toBe(101);
    expect(store.clear()).toBe(101);
    expect(store.page(undefined, 10).letters).toEqual([]);
  });

  it("has at most one for an id", () => {
    const store = new DeadLetterStore<string>();
    store.add(letter("a"));
    store.add(letter("a"));
    expect(store.size).toBe(1);
    expect(store.page(undefined, 10).letters).toHaveLength(1);
  });

  it("refuses a cursor that is none", () => {
    const store = new DeadLetterStore<string>();
    expect(() => store.page("x", 1)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });
});
