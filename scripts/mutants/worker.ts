import { parentPort } from "node:worker_threads";
import { allMutants } from "../../conformance-tests/test/mutants/index.ts";
import { tryMutant } from "../../conformance-tests/test/mutants/kill.ts";
import { unbroken } from "../../conformance-tests/test/mutants/unbroken.ts";

/** What a worker is asked. */
export interface Task {
  readonly id: string;
  readonly seed: number;
}

// Tries one mutant for each message, and answers with the verdict.
const mutants = new Map([unbroken, ...allMutants].map((mutant) => [mutant.id, mutant]));
// Thousands of errors are raised that are expected, and nobody reads where.
Error.stackTraceLimit = 3;

async function answer({ id, seed }: Task): Promise<void> {
  const mutant = mutants.get(id);
  if (mutant === undefined) throw new RangeError(`no mutant has the id ${id}`);
  parentPort?.postMessage(await tryMutant(mutant, { seed }));
}

parentPort?.on("message", (task: Task) => void answer(task));
