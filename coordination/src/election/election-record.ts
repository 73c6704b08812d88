import { type BucketDefinition, defineBucket } from "@busbar/core";
import { z } from "zod";

/** The last leadership of an election, as it is stored under the name of the election. */
export interface ElectionRecord {
  readonly term: number;
  readonly leader: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Owner of the lease that this leadership rests on. */
  readonly owner: string;
  /** Fence of that lease. */
  readonly fence: number;
  /** Who shall lead next. */
  readonly successor?: string | undefined;
}

const schema: z.ZodType<ElectionRecord, unknown> = z.strictObject({
  term: z.int().min(1),
  leader: z.string(),
  metadata: z.record(z.string(), z.string()),
  owner: z.string(),
  fence: z.int().min(1),
  successor: z.string().optional(),
});

/** How many terms an observer may be behind without missing one. */
export const KEPT_TERMS = 64;

export function electionBucket(bucket: string): BucketDefinition<typeof schema> {
  return defineBucket({ bucket, schema });
}
