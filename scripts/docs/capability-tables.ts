import { allCases } from "@busbar/conformance-tests";
import { markdownTable } from "./blocks.ts";
import type { BusFacts } from "./buses.ts";
import { groupOf } from "./case-lists.ts";

/** The capabilities of all backends, side by side. */
export function renderCapabilities(buses: readonly BusFacts[]): string {
  const rows = buses.map(({ capabilities }) => flatten(capabilities));
  const names = Object.keys(rows[0] ?? {}).filter(
    (name) => name !== "backend" && name !== "server",
  );
  return markdownTable(
    ["", ...buses.map(({ name }) => name)],
    names.map((name) => [`\`${name}\``, ...rows.map((row) => shown(row[name]))]),
  );
}

/** What the conformance runs of the backends leave out, why, and where. */
export function renderSkipped(buses: readonly BusFacts[]): string {
  const rows = new Map<string, { cases: string; reason: string; names: string[] }>();
  for (const { name, skipped } of buses) {
    for (const [reason, ids] of skipped) {
      const cases = shortened(ids);
      const row = rows.get(`${reason}\n${cases}`) ?? { cases, reason, names: [] };
      row.names.push(name);
      rows.set(`${reason}\n${cases}`, row);
    }
  }
  return markdownTable(
    ["cases", "reason", "left out on"],
    [...rows.values()].map(({ cases, reason, names }) => [cases, reason, names.join(", ")]),
  );
}

/** Ids of cases; a group that is skipped as a whole is one entry. */
function shortened(ids: readonly string[]): string {
  const entries = ids.map((id) => {
    const group = allCases.filter((item) => groupOf(item.id) === groupOf(id));
    const isWhole = group.length > 1 && group.every((item) => ids.includes(item.id));
    return isWhole ? `\`${groupOf(id)}-*\`` : `\`${id}\``;
  });
  return [...new Set(entries)].join(" ");
}

function flatten(facts: object, prefix = ""): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(facts).flatMap(([name, value]: [string, unknown]) =>
      typeof value === "object" && value !== null
        ? Object.entries(flatten(value, `${prefix}${name}.`))
        : [[`${prefix}${name}`, value]],
    ),
  );
}

function shown(value: unknown): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? value.toLocaleString("en") : String(value);
}
