import { contractsIn, countStatuses } from "./counts.ts";
import { escapeMarkup, printable } from "./markup.ts";
import { type CaseResult, type ConformanceReport, repeatCommand } from "./report.ts";

type Attributes = Readonly<Record<string, string | number>>;

/**
 * The report as JUnit XML: a suite for each contract. CI systems differ in what they show of a
 * failure, its `message` or the text in it: both say what happened.
 */
export function formatJunit(report: ConformanceReport): string {
  const { cases, interrupted } = report;
  const suites = contractsIn(cases).map((contract) => {
    const results = cases.filter((result) => result.contract === contract);
    const inner = results.map((result) => formatCase(report, result));
    return formatSuite(report, { name: contract, ...countsOf(results) }, inner);
  });
  if (interrupted) suites.push(formatInterruption(report));
  const counts = countsOf(cases);
  const root = {
    name: `${report.suite} on ${report.server}`,
    ...counts,
    tests: counts.tests + Number(interrupted),
    errors: Number(interrupted),
  };
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element("testsuites", root, suites)}\n`;
}

function formatSuite(
  report: ConformanceReport,
  attributes: Attributes,
  inner: readonly string[],
): string {
  const { backend, server, harness, seed, runtime, suite } = report;
  const facts = Object.entries({ suite, backend, server, harness, seed, runtime });
  const properties = facts.map(([name, value]) => element("property", { name, value }));
  const timestamp = new Date(report.startedAtMs).toISOString().slice(0, 19);
  return element("testsuite", { ...attributes, timestamp }, [
    element("properties", {}, properties),
    ...inner,
  ]);
}

function formatCase(report: ConformanceReport, result: CaseResult): string {
  const { id, title, contract, level, status, reason = "", stack = "", ms } = result;
  const attributes = {
    name: `${id} ${title}`,
    classname: `${contract}.${level}`,
    time: seconds(ms),
  };
  if (status === "passed") return element("testcase", attributes);
  if (status === "skipped") {
    return element("testcase", attributes, [element("skipped", { message: reason })]);
  }
  const text = [reason, stack, repeatCommand(report, id)].filter(Boolean).join("\n");
  return element("testcase", attributes, [element("failure", { message: reason }, text)]);
}

/** An error of its own: many skips alone would look like a run that is well. */
function formatInterruption(report: ConformanceReport): string {
  const message = "interrupted before all cases had run";
  const counts = { tests: 1, failures: 0, errors: 1, skipped: 0, time: seconds(0) };
  return formatSuite(report, { name: "run", ...counts }, [
    element("testcase", { name: "the run comes to its end", classname: "run", time: seconds(0) }, [
      element("error", { message }, message),
    ]),
  ]);
}

function countsOf(results: readonly CaseResult[]): Attributes & { readonly tests: number } {
  const { failed, skipped } = countStatuses(results);
  const ms = results.reduce((total, result) => total + result.ms, 0);
  return { tests: results.length, failures: failed, errors: 0, skipped, time: seconds(ms) };
}

/** An element with text, or with elements in lines of their own. */
function element(
  name: string,
  attributes: Attributes,
  inner: string | readonly string[] = "",
): string {
  const list = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${escapeXml(String(value)).replace(/[\n\t]/g, reference)}"`,
  );
  const open = `${name}${list.join("")}`;
  if (inner.length === 0) return `<${open}/>`;
  if (typeof inner === "string") return `<${open}>${escapeXml(inner)}</${name}>`;
  const lines = inner.map((text) => `\n${text}`).join("");
  return `<${open}>${lines}\n</${name}>`;
}

/** A reader of XML makes plain spaces of line ends in attributes. */
function reference(space: string): string {
  return `&#${space.charCodeAt(0)};`;
}

function escapeXml(text: string): string {
  return escapeMarkup(printable(text));
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(3);
}
