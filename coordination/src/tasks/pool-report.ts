import { type Bus, errorCode, toText } from "@busbar/core";
import { z } from "zod";

/** What a worker pool says of itself, and of a lane or a task that it is asked about. */
export interface PoolReport {
  readonly workerId: string;
  readonly concurrency: number;
  readonly running: number;
  /** The types that it has handlers for. */
  readonly types: readonly string[];
  /** Whether it begins tasks: not while it stops. */
  readonly isOpen: boolean;
  /** Whether it has heard that the whole queue is paused. */
  readonly isPaused: boolean;
  /** The tasks of the lane that it runs, and whether its tenant has no more permits. */
  readonly lane?: { readonly running: number; readonly isFull: boolean } | undefined;
  /** The attempt at the task, if it runs here. */
  readonly attempt?: number | undefined;
}

/** What pools are asked. */
export interface PoolQuestion {
  readonly lane?: string | undefined;
  readonly id?: string | undefined;
}

const report: z.ZodType<PoolReport, unknown> = z.object({
  workerId: z.string(),
  concurrency: z.number(),
  running: z.number(),
  types: z.array(z.string()),
  isOpen: z.boolean(),
  isPaused: z.boolean(),
  lane: z.object({ running: z.number(), isFull: z.boolean() }).optional(),
  attempt: z.number().optional(),
});
const question: z.ZodType<PoolQuestion, unknown> = z.object({
  lane: z.string().optional(),
  id: z.string().optional(),
});

/** How long is waited for the answers of all pools. */
const ANSWERS_MS = 1_000;
/** How long for another one. */
const STALL_MS = 100;

/** Asks all pools of a queue. Who does not answer in time is left out. */
export async function askPools(
  bus: Bus,
  queue: string,
  about: PoolQuestion = {},
): Promise<PoolReport[]> {
  const options = { timeoutMs: ANSWERS_MS, stallMs: STALL_MS };
  const reports: PoolReport[] = [];
  try {
    for await (const reply of bus.rpc.requestMany(
      subjectOf(queue),
      JSON.stringify(about),
      options,
    )) {
      const { data } = report.safeParse(JSON.parse(toText(reply.payload)));
      if (data) reports.push(data);
    }
  } catch (error) {
    const code = errorCode(error);
    if (code !== "NO_RESPONDERS" && code !== "TIMEOUT" && code !== "REMOTE") throw error;
  }
  return reports;
}

/** Answers the questions. @returns what ends it */
export async function answerAsPool(
  bus: Bus,
  queue: string,
  answer: (about: PoolQuestion) => PoolReport,
): Promise<() => Promise<void>> {
  const server = await bus.rpc.serve(
    subjectOf(queue),
    ({ payload }) => JSON.stringify(answer(question.parse(JSON.parse(toText(payload))))),
    { group: false },
  );
  return async () => void (await server.close({ drainMs: 0 }));
}

function subjectOf(queue: string): string {
  return `tasks.${queue}.pools`;
}
