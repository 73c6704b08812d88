/** What a worker process writes down, a line each, before it goes on: a kill does not take it back. */
export interface WorkerLine {
  readonly type: "begin" | "end" | "aborted";
  /** Of the task. */
  readonly id: string;
  readonly tenant: string;
  readonly fence: number;
  readonly attempt: number;
  /** By the monotonic clock of the machine, which all processes share, in milliseconds. */
  readonly atMs: number;
}

/** One time that a handler was begun. */
export interface Execution extends Omit<WorkerLine, "type" | "atMs"> {
  /** The process, each of its lives with a name of its own. */
  readonly worker: string;
  readonly fromMs: number;
  /** The handler's end; if the process was killed before, its kill. */
  readonly toMs: number;
  /** From when on nothing of it can be settled: its process was killed, or its signal aborted. */
  readonly lostAtMs: number | undefined;
}

/** The executions of one process. @param killedAtMs when it was killed, if it was */
export function executionsOf(
  worker: string,
  lines: readonly WorkerLine[],
  killedAtMs: number | undefined,
): Execution[] {
  const ends = new Map(
    lines.filter(({ type }) => type !== "begin").map((line) => [keyOf(line), line]),
  );
  return lines
    .filter(({ type }) => type === "begin")
    .map((line) => {
      const { id, tenant, fence, attempt, atMs: fromMs } = line;
      const end = ends.get(keyOf(line));
      const toMs = end?.atMs ?? Math.max(fromMs, killedAtMs ?? Number.POSITIVE_INFINITY);
      const lostAtMs = end?.type === "aborted" ? end.atMs : killedAtMs;
      return { worker, id, tenant, fence, attempt, fromMs, toMs, lostAtMs };
    });
}

/** What is wrong with a history. */
export function problemsOf(
  executions: readonly Execution[],
  caps: Readonly<Record<string, number>>,
  submitted: readonly string[],
): string[] {
  const problems: string[] = [];
  for (const [tenant, cap] of Object.entries(caps)) {
    const own = executions.filter((one) => one.tenant === tenant);
    for (const { fromMs, id } of own) {
      const beside = own.filter((one) => one.fromMs <= fromMs && fromMs < one.toMs);
      if (beside.length > cap) {
        problems.push(`${beside.length} of ${cap} of ${tenant} run when ${id} begins`);
      }
    }
  }
  const ordered = executions.toSorted((a, b) => a.fromMs - b.fromMs);
  for (const id of submitted) {
    const all = ordered.filter((one) => one.id === id);
    if (all.length === 0) problems.push(`${id} was never begun`);
    for (const [index, next] of all.slice(1).entries()) {
      const before = all[index] as Execution;
      if (next.fence <= before.fence) problems.push(`${id}: fence ${next.fence} came twice`);
      if (before.lostAtMs === undefined || before.lostAtMs > next.fromMs) {
        problems.push(`${id} is begun at ${next.worker} while it is that of ${before.worker}`);
      }
    }
  }
  return problems;
}

/** How many a task was begun more than once. */
export function doubledOf(executions: readonly Execution[]): number {
  return executions.length - new Set(executions.map(({ id }) => id)).size;
}

function keyOf({ id, fence }: WorkerLine): string {
  return `${id} ${fence}`;
}
