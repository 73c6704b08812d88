import { mkdir, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { newId } from "@busbar/core";
import { formatBadge } from "./badge.ts";
import { formatHtml } from "./html.ts";
import { formatJson } from "./json.ts";
import { formatJunit } from "./junit.ts";
import { formatMarkdown } from "./markdown.ts";
import type { ConformanceReport } from "./report.ts";

type ReportKind = "json" | "junit" | "markdown" | "html" | "badge";

const FORMATS: Readonly<Record<ReportKind, (report: ConformanceReport) => string>> = {
  json: formatJson,
  junit: formatJunit,
  markdown: formatMarkdown,
  html: formatHtml,
  badge: formatBadge,
};

/** Where each report goes; those without a path are not written. */
export type ReportFiles = Readonly<Partial<Record<ReportKind, string>>>;

/**
 * Makes the folders of the reports, before a run whose reports could not be written.
 * @throws Error naming the path
 */
export async function prepareReports(files: ReportFiles): Promise<void> {
  for (const [, path] of pathsOf(files)) {
    await naming(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      const found = await stat(path).catch(() => undefined);
      if (found?.isDirectory()) throw new Error("it is a folder");
    });
  }
}

/**
 * Writes every report that has a path. Each is there as a whole or not at all.
 * @throws AggregateError with an error for each that could not be written, naming its path; the
 * others are written all the same
 */
export async function writeReports(report: ConformanceReport, files: ReportFiles): Promise<void> {
  const errors: unknown[] = [];
  for (const [kind, path] of pathsOf(files)) {
    await naming(path, () => replaceFile(path, FORMATS[kind](report))).catch((error: unknown) =>
      errors.push(error),
    );
  }
  if (errors.length > 0) throw new AggregateError(errors, errors.map(messageOf).join("; "));
}

function pathsOf(files: ReportFiles): (readonly [ReportKind, string])[] {
  return (Object.keys(FORMATS) as ReportKind[]).flatMap((kind) => {
    const path = files[kind];
    return path === undefined ? [] : [[kind, path] as const];
  });
}

async function replaceFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  // A link stays a link; /dev/stdout and its like cannot be replaced.
  const target = await realpath(path).catch(() => path);
  const found = await stat(target).catch(() => undefined);
  if (found !== undefined && !found.isFile()) return writeFile(target, text);
  const whole = `${target}.${newId(undefined, 8)}.tmp`;
  try {
    await writeFile(whole, text, { flag: "wx" });
    await rename(whole, target);
  } finally {
    await rm(whole, { force: true });
  }
}

async function naming(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new Error(`the report ${path} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
