import { once } from "node:events";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { Verdict } from "../../conformance-tests/test/mutants/kill.ts";
import type { Task } from "./worker.ts";

/** Most real time for one mutant: it may keep a case computing for ever. */
const LIMIT_MS = 120_000;
/** A run of the suite computes all the time: more workers than this are no faster on CI machines. */
const MAX_WORKERS = 8;

/** Runs the suite on each of these mutants, several at a time; gives the verdicts in their order. */
export async function tryAll(ids: readonly string[], seed: number): Promise<Verdict[]> {
  const verdicts = new Map<string, Verdict>();
  const queue = [...ids];
  const work = async (): Promise<void> => {
    let worker = startWorker();
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      const verdict = await ask(worker, { id, seed });
      if (verdict === undefined) {
        await worker.terminate();
        worker = startWorker();
      }
      const problems = [`did not end within ${LIMIT_MS / 1_000} s`];
      verdicts.set(id, verdict ?? { id, ran: 0, kills: [], problems });
    }
    await worker.terminate();
  };
  const count = Math.min(availableParallelism(), MAX_WORKERS, ids.length);
  await Promise.all(Array.from({ length: count }, work));
  return ids.map((id) => verdicts.get(id) as Verdict);
}

function startWorker(): Worker {
  return new Worker(new URL("./worker.ts", import.meta.url));
}

/** The verdict, or `undefined` if it takes too long. Rejects if the worker fails. */
async function ask(worker: Worker, task: Task): Promise<Verdict | undefined> {
  const answer = once(worker, "message", { signal: AbortSignal.timeout(LIMIT_MS) });
  worker.postMessage(task);
  try {
    const [verdict] = (await answer) as [Verdict];
    return verdict;
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") return undefined;
    throw error;
  }
}
