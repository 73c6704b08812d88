import { styleText } from "node:util";
import Table from "cli-table3";
import type { Counts } from "./definitions.ts";

/** What a run found out. */
export interface IndexingReport {
  readonly bus: string;
  readonly server: string;
  readonly workers: number;
  readonly files: number;
  readonly skipped: { readonly binary: number; readonly unreadable: number };
  readonly jobs: number;
  readonly deliveries: number;
  readonly redelivered: number;
  /** How many jobs the dead worker had in its hands. */
  readonly heldByDead: number;
  /** Files that had been counted when their job came back: their worker died in between. */
  readonly countedBefore: number;
  readonly deadLettered: number;
  /** Dead letters of files that somebody removed before they were read. */
  readonly vanished: number;
  /** Dead letters that should not be there. */
  readonly deadByMistake: number;
  readonly lost: number;
  readonly countedTwice: number;
  readonly casConflicts: number;
  readonly events: {
    readonly published: number;
    readonly seen: number;
    readonly duplicates: number;
  };
  readonly answers: number;
  /** Files that somebody changed or removed between the work and the plain count: not compared. */
  readonly changed: number;
  readonly totals: Counts;
  readonly plainCount: Counts;
  readonly seconds: number;
  /** What is off; empty if all is well. */
  readonly problems: readonly string[];
}

/** One fact of the table, and what it has to be. */
interface Fact {
  readonly name: string;
  readonly value: number;
  readonly must: string;
  readonly ok: boolean;
}

type Findings = Omit<IndexingReport, "problems">;

/** The findings with what is off about them. */
export function judge(findings: Findings): IndexingReport {
  const problems = factsOf(findings)
    .filter(({ ok }) => !ok)
    .map(({ name, value, must }) => `${name}: ${shown(value)}, must be ${must}`);
  return { ...findings, problems };
}

function factsOf(found: Findings): Fact[] {
  const { events, totals, plainCount } = found;
  const is = (name: string, value: number, wanted: number): Fact => {
    return { name, value, must: shown(wanted), ok: value === wanted };
  };
  const least = (name: string, value: number, wanted: number): Fact => {
    return { name, value, must: `${shown(wanted)} or more`, ok: value >= wanted };
  };
  return [
    is("jobs", found.jobs, found.files + 1),
    least("deliveries", found.deliveries, found.jobs + found.heldByDead),
    least("redelivered", found.redelivered, found.heldByDead),
    // With few files it may have got none.
    least("jobs of the dead worker", found.heldByDead, found.files < 100 ? 0 : 1),
    least("dead-lettered", found.deadLettered, 1),
    is("dead-lettered by mistake", found.deadByMistake, 0),
    is("lost", found.lost, 0),
    is("counted twice", found.countedTwice, 0),
    is("events published", events.published, found.files - found.vanished),
    is("events seen", events.seen, events.published),
    is("events seen twice", events.duplicates, 0),
    least("questions answered", found.answers, 1),
    is("lines", totals.lines, plainCount.lines),
    is("words", totals.words, plainCount.words),
    is("bytes", totals.bytes, plainCount.bytes),
  ];
}

function shown(value: number): string {
  return value.toLocaleString("en");
}

/** The report as a table for people. */
export function formatReport(report: IndexingReport): string {
  const table = new Table({
    head: ["", "found", "must be", ""],
    colAligns: ["left", "right", "right", "left"],
    // The table's own colours know nothing of files and pipes.
    style: { head: [], border: [], compact: true },
  });
  for (const { name, value, must, ok } of factsOf(report)) {
    table.push([name, shown(value), must, ok ? styleText("green", "ok") : styleText("red", "OFF")]);
  }
  const { skipped } = report;
  const verdict =
    report.problems.length === 0
      ? styleText("green", "Nothing lost, nothing counted twice: the totals equal a plain count.")
      : styleText("red", `Off: ${report.problems.join("; ")}`);
  return [
    table.toString(),
    `${report.workers} workers on ${report.server}, ${report.seconds.toFixed(1)} s. ` +
      `Lost races for the totals, run again: ${shown(report.casConflicts)}. ` +
      `Jobs done again whose files were counted before: ${report.countedBefore}. ` +
      `Skipped files: ${skipped.binary} binary, ${skipped.unreadable} unreadable.`,
    ...(report.changed > 0
      ? [`Files that changed meanwhile and were not compared: ${report.changed}.`]
      : []),
    verdict,
  ].join("\n");
}
