import type { Contract, Level } from "../case.ts";
import { contractsIn, levelsIn, passedOf, skipsByReason } from "./counts.ts";
import { filterFields, filterRules } from "./html-filter.ts";
import { PAGE_STYLE } from "./html-style.ts";
import { html, Markup } from "./markup.ts";
import { type CaseResult, type ConformanceReport, repeatCommand } from "./report.ts";

/** Nothing is loaded and nothing runs, whatever a backend puts into its messages. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

/**
 * The report as a page in one file, without script and without anything to be loaded: counts, what
 * failed and why, what was skipped and why, capabilities, and every case, to be filtered.
 */
export function formatHtml(report: ConformanceReport): string {
  const { cases, server } = report;
  const style = new Markup(PAGE_STYLE + filterRules(contractsIn(cases)));
  const page = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Conformance of ${server}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>Conformance of ${server}</h1>
${verdict(report)}
${facts(report)}
</header>
<main>
${failureSection(report)}
${levelSection(cases)}
${skipSection(cases)}
${capabilitySection(report)}
${caseSection(report)}
</main>
</body>
</html>
`;
  return page.text;
}

function verdict({ passed, failed, skipped, interrupted, badge }: ConformanceReport): Markup {
  const status = failed > 0 ? "failed" : interrupted ? "skipped" : "passed";
  const end = interrupted ? ". The run was interrupted before all cases had run" : "";
  return html`<p class="verdict ${status}"><strong>${passed} passed, ${failed} failed, ${skipped} skipped${end}.</strong></p>
<p><code>${badge}</code></p>`;
}

function facts(report: ConformanceReport): Markup {
  const { suite, backend, harness, level, seed, runtime, startedAtMs, ms, command } = report;
  const rows: readonly (readonly [string, string | number])[] = [
    ["Suite", suite],
    ["Backend", backend],
    ["Harness", harness],
    ["Levels", `up to ${level}`],
    ["Seed", seed],
    ["Runtime", runtime],
    ["Began", new Date(startedAtMs).toISOString()],
    ["Took", `${(ms / 1_000).toFixed(1)} s`],
  ];
  const repeat =
    command === undefined
      ? html``
      : html`<div class="wide"><dt>Repeat one case</dt><dd><code>${repeatCommand(report, "ID") ?? ""}</code></dd></div>\n`;
  return html`<dl>
${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>\n`)}${repeat}</dl>`;
}

function failureSection({ cases }: ConformanceReport): Markup {
  const failed = cases.filter(({ status }) => status === "failed");
  if (failed.length === 0) return html``;
  return html`<section>
<h2>Failures</h2>
<ul>
${failed.map(({ id, title }) => html`<li><a href="#${id}">${id}</a> ${title}</li>\n`)}</ul>
</section>`;
}

function levelSection(cases: readonly CaseResult[]): Markup {
  const levels = levelsIn(cases);
  const counts = (name: string, own: readonly CaseResult[]): Markup =>
    html`<tr><th scope="row">${name}</th>${levels.map((level) => countCell(own, level))}<td>${passedOf(own)}</td></tr>\n`;
  return html`<section>
<h2>Levels and contracts</h2>
${scrolling(
  "Passed of all, by contract and level",
  html`<thead><tr><th scope="col">Contract</th>${levels.map((level) => html`<th scope="col">${level}</th>`)}<th scope="col">All</th></tr></thead>
<tbody>
${contractsIn(cases).map((contract) => counts(contract, ofContract(cases, contract)))}</tbody>
<tfoot>
${counts("All", cases)}</tfoot>`,
)}
</section>`;
}

function countCell(cases: readonly CaseResult[], level: Level): Markup {
  return html`<td>${passedOf(cases.filter((result) => result.level === level))}</td>`;
}

function skipSection(cases: readonly CaseResult[]): Markup {
  const groups = [...skipsByReason(cases)];
  if (groups.length === 0) return html``;
  const links = (ids: readonly string[]): Markup[] =>
    ids.map((id) => html`<a href="#${id}">${id}</a> `);
  return html`<section>
<h2>Skips</h2>
<dl class="stacked">
${groups.map(([reason, ids]) => html`<div><dt>${reason}</dt><dd>${links(ids)}</dd></div>\n`)}</dl>
</section>`;
}

function capabilitySection({ capabilities }: ConformanceReport): Markup {
  const row = ([name, value]: [string, string]): Markup =>
    html`<tr><th scope="row"><code>${name}</code></th><td>${value}</td></tr>\n`;
  return html`<section>
<h2>Capabilities</h2>
${scrolling(
  "What the backend declares",
  html`<thead><tr><th scope="col">Capability</th><th scope="col">Value</th></tr></thead>
<tbody>
${flatten(capabilities).map(row)}</tbody>`,
)}
</section>`;
}

function caseSection(report: ConformanceReport): Markup {
  const { cases } = report;
  return html`<section class="cases">
<h2>Cases</h2>
${filterFields(contractsIn(cases))}
${contractsIn(cases).map((contract) => contractSection(report, contract))}
</section>`;
}

function contractSection(report: ConformanceReport, contract: Contract): Markup {
  const own = ofContract(report.cases, contract);
  return html`<section data-contract="${contract}">
<h3>${contract}</h3>
${scrolling(
  `Cases of ${contract}: ${passedOf(own)} passed`,
  html`<thead><tr><th scope="col">Case</th><th scope="col">Level</th><th scope="col">Status</th><th scope="col">Time (ms)</th></tr></thead>
<tbody>
${own.map((result) => caseRow(report, result))}</tbody>`,
)}
</section>`;
}

function caseRow(report: ConformanceReport, result: CaseResult): Markup {
  const { id, title, level, status, ms, reason, stack } = result;
  const why = reason === undefined ? html`` : html`<p class="reason">${reason}</p>`;
  const trace = stack === undefined ? html`` : html`<pre>${stack.replace(/^ +/gm, "")}</pre>`;
  const command = status === "failed" ? repeatCommand(report, id) : undefined;
  const repeat = command === undefined ? html`` : html`<p>Repeat: <code>${command}</code></p>`;
  return html`<tr id="${id}" data-status="${status}"><th scope="row"><code>${id}</code> ${title}${why}${trace}${repeat}</th><td>${level}</td><td><span class="${status}">${status}</span></td><td>${ms.toFixed(1)}</td></tr>\n`;
}

/** A table that scrolls by itself where it is wider than the page. */
function scrolling(caption: string, rows: Markup): Markup {
  return html`<section class="scrolling" aria-label="${caption}" tabindex="0"><table>
<caption>${caption}</caption>
${rows}
</table></section>`;
}

function ofContract(cases: readonly CaseResult[], contract: Contract): CaseResult[] {
  return cases.filter((result) => result.contract === contract);
}

function flatten(facts: object, prefix = ""): [string, string][] {
  return Object.entries(facts).flatMap(([name, value]: [string, unknown]) =>
    typeof value === "object" && value !== null
      ? flatten(value, `${prefix}${name}.`)
      : [[`${prefix}${name}`, String(value)] as [string, string]],
  );
}
