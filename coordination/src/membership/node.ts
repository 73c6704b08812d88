import { type BucketDefinition, defineBucket } from "@busbar/core";
import { z } from "zod";

/** How long a node was not heard of: the thresholds are options of {@link Membership}. */
export type NodeStatus = "healthy" | "degraded" | "unhealthy" | "offline";

/** What a node says about itself. */
export interface NodeInput {
  /** A plain name, its own as long as it lives and when it is started again. */
  readonly id: string;
  /** Where it can be reached. */
  readonly address: string;
  readonly region?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** A node as this process sees it. */
export interface ClusterNode extends NodeInput {
  readonly metadata: Readonly<Record<string, string>>;
  /** Tells one life of a node from the next: each has a higher one. */
  readonly incarnation: number;
  readonly status: NodeStatus;
  /** Its last sign of life, by the server's clock, in milliseconds since the Unix epoch. For people. */
  readonly lastHeartbeatAtMs: number;
}

/** What {@link Membership.changes} yields. */
export type NodeChange =
  /** It is new, or another incarnation took the place of one that was there. */
  | { readonly type: "joined"; readonly node: ClusterNode }
  | { readonly type: "status"; readonly node: ClusterNode; readonly from: NodeStatus }
  /** It left or was removed. `node` is what was known last. */
  | { readonly type: "left"; readonly node: ClusterNode };

/** What {@link Membership.summary} gives. */
export interface ClusterSummary {
  readonly total: number;
  readonly healthy: number;
  /** Id of the leader, by the lease of the election; also of one that is no member. */
  readonly leader: string | undefined;
}

/** A node as it is stored, under its id. */
export interface NodeRecord extends Omit<NodeInput, "id"> {
  readonly metadata: Readonly<Record<string, string>>;
  /** Revision of the first record of this life; 0 in that record itself. */
  readonly incarnation: number;
  /** Random, of the process that joined: it knows its own record by it, also one whose answer was lost. */
  readonly instance: string;
}

const schema: z.ZodType<NodeRecord, unknown> = z.strictObject({
  incarnation: z.int().min(0),
  instance: z.string().min(1).max(64),
  address: z.string().min(1).max(1_024),
  region: z.string().min(1).max(64).optional(),
  metadata: z.record(z.string(), z.string()),
});

export type NodeSchema = typeof schema;

export function nodeBucket(bucket: string): BucketDefinition<NodeSchema> {
  return defineBucket({ bucket, schema });
}

/** Which life a stored record belongs to. */
export function incarnationOf(record: NodeRecord, revision: number): number {
  return record.incarnation === 0 ? revision : record.incarnation;
}
