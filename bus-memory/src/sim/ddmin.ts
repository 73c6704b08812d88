/**
 * Makes a list as short as it gets while it still fails: leaves out ever smaller runs of items, from
 * the end to the beginning, until no single one can go. From the end, because what comes before
 * what is left out happens as it did.
 *
 * `fails` is asked for lists in a fixed order; when it always says false, the rest stays.
 */
export async function ddmin<T>(
  items: readonly T[],
  fails: (items: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  if (items.length === 0 || (await fails([]))) return [];
  let left = items;
  let size = Math.ceil(left.length / 2);
  for (;;) {
    let isShorter = false;
    for (let end = left.length; end > 0 && left.length > 1; end -= size) {
      const without = [...left.slice(0, Math.max(0, end - size)), ...left.slice(end)];
      if (without.length === left.length || !(await fails(without))) continue;
      left = without;
      isShorter = true;
    }
    if (size === 1 && !isShorter) return left;
    size = Math.max(1, isShorter ? Math.min(size, Math.ceil(left.length / 2)) : size >> 1);
  }
}
