import type { DeadLetter, DeadLetters } from "@busbar/core";

/**
 * Dead letters with some left out, doubled or changed; pages begin at a place in the list. What a
 * walk over them sees is the mistake; replay, discard and purge are the good ones.
 */
export function shownLetters(
  letters: DeadLetters,
  show: (letter: DeadLetter) => readonly DeadLetter[],
): Partial<DeadLetters> {
  const all = async (owner: string): Promise<DeadLetter[]> => {
    const entries: DeadLetter[] = [];
    let after: string | undefined;
    do {
      const page = await letters.list(owner, after === undefined ? {} : { after });
      entries.push(...page.entries);
      after = page.next;
    } while (after !== undefined);
    return entries.flatMap(show);
  };
  return {
    list: async (owner, options = {}) => {
      await letters.list(owner, { ...options, limit: options.limit ?? 100 });
      const { after = "0", limit = 100 } = options;
      const end = Number(after) + limit;
      const entries = await all(owner);
      const next = end < entries.length ? String(end) : undefined;
      return { entries: entries.slice(Number(after), end), next };
    },
    get: async (owner, id) => {
      const letter = await letters.get(owner, id);
      return letter && show(letter)[0];
    },
    count: async (owner) => (await all(owner)).length,
  };
}

/** Dead letters whose count ends with the first page. */
export function countedByPage(letters: DeadLetters): Partial<DeadLetters> {
  return { count: async (owner) => (await letters.list(owner)).entries.length };
}
