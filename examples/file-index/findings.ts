import { access, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Bus } from "@busbar/core";
import { type Counts, fileJobs } from "./definitions.ts";
import { countPlainly } from "./files.ts";
import { readRecords, readTotals } from "./totals.ts";

/** What is on the bus at the end, next to what a plain count says. */
export interface Findings {
  readonly deadLettered: number;
  readonly deadByMistake: number;
  /** Dead letters of files that were there at the beginning. */
  readonly vanished: number;
  readonly lost: number;
  readonly countedTwice: number;
  readonly changed: number;
  readonly totals: Counts;
  readonly plainCount: Counts;
}

/** Compares what is on the bus with the files themselves. `startedAtMs` is when the work began. */
export async function compare(
  bus: Bus,
  root: string,
  paths: readonly string[],
  startedAtMs: number,
): Promise<Findings> {
  const { files, lines, words, bytes } = await readTotals(bus);
  const records = new Map((await readRecords(bus)).map((record) => [record.path, record]));
  const dead = await deadPaths(bus);
  const plainCount = { lines: 0, words: 0, bytes: 0 };
  let changed = 0;
  for (const path of paths) {
    if (dead.has(path)) continue;
    const record = records.get(path);
    let counts: Counts | undefined = await countPlainly(root, path).catch(() => undefined);
    const isSame = counts !== undefined && (record === undefined || sameCounts(record, counts));
    if (!isSame && (await touchedSince(join(root, path), startedAtMs))) {
      changed += 1;
      counts = record;
    }
    if (counts === undefined) continue;
    plainCount.lines += counts.lines;
    plainCount.words += counts.words;
    plainCount.bytes += counts.bytes;
  }
  const readable = await Promise.all([...dead].map((path) => canRead(join(root, path))));
  return {
    deadLettered: dead.size,
    deadByMistake: readable.filter(Boolean).length,
    vanished: paths.filter((path) => dead.has(path)).length,
    lost: paths.filter((path) => !records.has(path) && !dead.has(path)).length,
    countedTwice: files - records.size,
    changed,
    totals: { lines, words, bytes },
    plainCount,
  };
}

function sameCounts(a: Counts, b: Counts): boolean {
  return a.lines === b.lines && a.words === b.words && a.bytes === b.bytes;
}

/** The files of all dead letters, page by page. */
async function deadPaths(bus: Bus): Promise<Set<string>> {
  const paths = new Set<string>();
  let after: string | undefined;
  do {
    const page = await bus.jobs.deadLetters.list(fileJobs.queue, after ? { after } : {});
    for (const { payload } of page.entries) {
      paths.add(fileJobs.schema.parse(fileJobs.codec.decode(payload)).path);
    }
    after = page.next;
  } while (after !== undefined);
  return paths;
}

/** Whether somebody changed or removed a file. */
async function touchedSince(path: string, timeMs: number): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  return stats === undefined || stats.mtimeMs >= timeMs;
}

function canRead(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
