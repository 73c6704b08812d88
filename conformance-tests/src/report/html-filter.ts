import type { Contract } from "../case.ts";
import { html, type Markup } from "./markup.ts";
import type { CaseResult } from "./report.ts";

const STATUSES: readonly CaseResult["status"][] = ["passed", "failed", "skipped"];

// Radio buttons that the style sheet reads with `:has()`: filtering needs no script, so it also works
// where a CI system shows artifacts without it. Browsers older than `:has()` show all cases.

/** The fields by which the cases are filtered. */
export function filterFields(contracts: readonly Contract[]): Markup {
  return html`<div class="filter">
${group("status", STATUSES)}
${group("contract", contracts)}
</div>`;
}

/** The rules that hide what the fields leave out. */
export function filterRules(contracts: readonly Contract[]): string {
  return [
    ...STATUSES.map((status) => hide("status", status, "tr[data-status]")),
    ...contracts.map((contract) => hide("contract", contract, "section[data-contract]")),
    // A contract of which nothing is left.
    ...STATUSES.map(
      (status) =>
        `.cases:has(#status-${status}:checked) section[data-contract]:not(:has([data-status=${status}])) { display: none }`,
    ),
    // Where a link leads is shown, filtered or not.
    ".cases tr:target { display: table-row !important }",
    ".cases section:has(tr:target) { display: block !important }",
    "",
  ].join("\n");
}

function group(name: string, values: readonly string[]): Markup {
  const option = (value: string, checked: Markup = html``): Markup =>
    html`<label><input type="radio" name="${name}" id="${name}-${value}" value="${value}"${checked}> ${value}</label>\n`;
  return html`<fieldset>
<legend>Show ${name}</legend>
${option("all", html` checked`)}${values.map((value) => option(value))}</fieldset>`;
}

function hide(name: string, value: string, what: string): string {
  return `.cases:has(#${name}-${value}:checked) ${what}:not([data-${name}=${value}]) { display: none }`;
}
