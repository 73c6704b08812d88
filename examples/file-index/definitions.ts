import { defineBucket, defineJob, defineMethod, defineTopic } from "@busbar/core";
import { z } from "zod";

// What the programs of the example send each other, in one place: data, shared by all of them.

const amount = z.int().min(0);

/** What is counted of a text. */
const countsSchema = z.object({ lines: amount, words: amount, bytes: amount });
export type Counts = z.infer<typeof countsSchema>;

const recordSchema = countsSchema.extend({ path: z.string(), sha256: z.string() });
/** What is known of one file. */
export type FileRecord = z.infer<typeof recordSchema>;

const totalsSchema = countsSchema.extend({
  files: amount,
  /** Keys of files that are in the totals, while their records may not be written yet. */
  unrecorded: z.array(z.string()),
});
export type TotalsValue = z.infer<typeof totalsSchema>;

/** The work: one job a file. The path is relative to the input folder. */
export const fileJobs = defineJob({ queue: "files", schema: z.object({ path: z.string() }) });

/** The news: one event a file. */
export const fileIndexed = defineTopic({ subject: "files.indexed", schema: recordSchema });

/** One record a file. */
export const fileRecords = defineBucket({ bucket: "records", schema: recordSchema });

/** The sums, under one key that all workers race for. */
export const indexTotals = defineBucket({ bucket: "totals", schema: totalsSchema });

/** The question: what is there with this extension? */
export const askIndex = defineMethod({
  subject: "index.by-extension",
  request: z.object({ extension: z.string().regex(/^\.[\w-]+$/) }),
  reply: countsSchema.extend({ files: amount }),
});
export type IndexAnswer = z.infer<typeof askIndex.reply>;
