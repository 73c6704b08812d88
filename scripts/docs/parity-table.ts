import { RULES } from "../../differential/src/rules.ts";
import { markdownTable } from "./blocks.ts";

/** The differences that are known, with the servers on which each is allowed. */
export function renderParityRules(servers: readonly string[]): string {
  if (RULES.length === 0) return "None: every step tells the same on all of them.";
  const versions = servers.map((server) => server.split(" ").at(-1) as string);
  const rows = RULES.map((rule) => [
    `\`${rule.id}\``,
    ...versions.map((version) => (rule.appliesTo(version) ? "yes" : "")),
    rule.what,
    rule.why,
    `[${rule.contract}](contracts.md#${anchorOf(rule.contract)})`,
  ]);
  return markdownTable(["Rule", ...versions, "What differs", "Why", "Left open by"], rows);
}

/** The address of a heading on its page. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w -]/g, "")
    .replaceAll(" ", "-");
}
