const MAX_OTHERS = 12;

/**
 * Simpler versions of a step, the simplest first: each number in it as 1 or half of what it is, each list
 * without its second half. Only one thing changes at a time.
 */
export function* smallerSteps<Step>(step: Step): Generator<Step> {
  let given = 0;
  for (const [path, value] of leaves(step, [])) {
    for (const smaller of smallerThan(value)) {
      if (given++ === MAX_OTHERS) return;
      yield replaced(step, path, smaller) as Step;
    }
  }
}

type Path = readonly (string | number)[];

function* leaves(value: unknown, path: Path): Generator<[Path, unknown]> {
  if (typeof value === "number" || Array.isArray(value)) yield [path, value];
  if (typeof value !== "object" || value === null) return;
  for (const [key, own] of Object.entries(value)) {
    yield* leaves(own, [...path, Array.isArray(value) ? Number(key) : key]);
  }
}

function smallerThan(value: unknown): unknown[] {
  if (Array.isArray(value)) {
    return value.length > 1 ? [value.slice(0, value.length >> 1)] : [];
  }
  if (typeof value !== "number" || value <= 1) return [];
  return [...new Set([1, Math.floor(value / 2)])].filter((smaller) => smaller < value);
}

function replaced(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value)) {
    const index = Number(key);
    return value.with(index, replaced(value[index], rest, by));
  }
  const own = value as Readonly<Record<string, unknown>>;
  return { ...own, [key]: replaced(own[key], rest, by) };
}
