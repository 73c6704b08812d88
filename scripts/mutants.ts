import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { allMutants } from "../conformance-tests/test/mutants/index.ts";
import { DEFAULT_SEED } from "../conformance-tests/test/mutants/kill.ts";
import { unbroken } from "../conformance-tests/test/mutants/unbroken.ts";
import { formatMatrix, matrixOf } from "./mutants/matrix.ts";
import { tryAll } from "./mutants/pool.ts";

// Runs the conformance suite on broken backends, and on the same backend without a fault. Fails if
// one survives, if a case that must kill it does not, or if the good backend is not green.

const { values } = parseArgs({
  options: {
    json: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
    seed: { type: "string", default: String(DEFAULT_SEED) },
  },
});
const seed = Number(values.seed);
if (!Number.isInteger(seed)) throw new RangeError(`--seed must be an integer, got ${values.seed}`);
const unknown = values.only.filter((id) => allMutants.every((mutant) => mutant.id !== id));
if (unknown.length > 0) throw new RangeError(`no mutant has the id ${unknown.join(", ")}`);
const mutants = allMutants.filter(({ id }) => !values.only.length || values.only.includes(id));

const startedAt = performance.now();
const ids = [unbroken.id, ...mutants.map(({ id }) => id)];
const [good, ...verdicts] = await tryAll(ids, seed);
const matrix = matrixOf(mutants, verdicts, seed);
console.log(formatMatrix(matrix, mutants));
if (values.json !== undefined) {
  await writeFile(values.json, `${JSON.stringify(matrix, undefined, 2)}\n`);
}
if (values.only.length > 0) {
  for (const { id, kills } of verdicts) {
    for (const kill of kills) console.log(`${id}: ${kill.id}: ${kill.reason}`);
  }
}

const problems = [
  ...(good?.kills ?? []).map(({ id, reason }) => `the good backend fails ${id}: ${reason}`),
  ...(good?.problems ?? []).map((problem) => `the good backend: ${problem}`),
  ...verdicts.flatMap(({ id, problems: own }) => own.map((problem) => `${id}: ${problem}`)),
];
for (const problem of problems) console.error(problem);
const killed = verdicts.filter(({ kills }) => kills.length > 0).length;
const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
console.log(
  `${killed} of ${mutants.length} mutants killed by ${good?.ran} cases, seed ${seed}, ${seconds} s`,
);
if (problems.length > 0 || killed < mutants.length) process.exitCode = 1;
