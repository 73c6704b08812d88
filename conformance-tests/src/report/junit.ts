import type { CaseResult, ConformanceReport } from "./report.ts";

/** The report as JUnit XML: a suite for each contract. */
export function formatJunit(report: ConformanceReport): string {
  const contracts = [...new Set(report.cases.map((result) => result.contract))];
  const suites = contracts.map((contract) => {
    const results = report.cases.filter((result) => result.contract === contract);
    const open = element("testsuite", { name: contract, ...countsOf(results) });
    return [`  <${open}>`, ...results.map(formatCase), "  </testsuite>"].join("\n");
  });
  const name = `${report.suite} on ${report.server}`;
  const root = element("testsuites", { name, ...countsOf(report.cases) });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${[`${root}>`, ...suites].join("\n")}\n</testsuites>\n`;
}

function formatCase(result: CaseResult): string {
  const open = element("testcase", {
    name: `${result.id} ${result.title}`,
    classname: `${result.contract}.${result.level}`,
    time: seconds(result.ms),
  });
  if (result.status === "passed") return `    <${open}/>`;
  const message = { message: result.reason ?? "" };
  const inner =
    result.status === "skipped"
      ? `<${element("skipped", message)}/>`
      : `<${element("failure", message)}>${escapeXml(result.stack ?? "")}</failure>`;
  return `    <${open}>${inner}</testcase>`;
}

function countsOf(results: readonly CaseResult[]): Record<string, string | number> {
  const count = (status: CaseResult["status"]): number =>
    results.filter((result) => result.status === status).length;
  return {
    tests: results.length,
    failures: count("failed"),
    errors: 0,
    skipped: count("skipped"),
    time: seconds(results.reduce((total, { ms }) => total + ms, 0)),
  };
}

function element(name: string, attributes: Readonly<Record<string, string | number>>): string {
  const list = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${escapeXml(String(value))}"`,
  );
  return `${name}${list.join("")}`;
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(3);
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
  "\n": "&#10;",
  "\t": "&#9;",
};

function escapeXml(text: string): string {
  // XML has no way to write the other control characters, nor half a surrogate pair.
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f\p{Surrogate}\ufffe\uffff]/gu, "\ufffd")
    .replace(/[&<>"'\n\t]/g, (character) => ESCAPES[character] ?? character);
}
