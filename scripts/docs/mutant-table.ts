import { allMutants } from "../../conformance-tests/test/mutants/index.ts";
import { markdownTable } from "./blocks.ts";

/** Every broken backend, with the cases that must fail on it. */
export function renderMutants(): string {
  const rows = allMutants.map(({ id, title, contract, killedBy }) => [
    `\`${id}\``,
    contract,
    title,
    killedBy.map((killer) => `\`${killer}\``).join(", "),
  ]);
  const table = markdownTable(["Mutant", "Contract", "What is wrong", "Killed by"], rows);
  return `${allMutants.length} mutants:\n\n${table}`;
}
