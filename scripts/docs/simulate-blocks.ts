import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { runSimulateCli } from "@busbar/bus-memory/run-cli";
import type { Renderer } from "./blocks.ts";

const EXAMPLES = fileURLToPath(new URL("../../examples/simulate/", import.meta.url));
const CALL = /<!-- begin: simulate (?<args>[^>]+?) -->/g;

/**
 * Runs the command lines of a page, `simulate FILE OPTIONS` with a file of `examples/simulate`, and
 * gives the renderer of their blocks: the command and what it prints.
 */
export async function simulateBlocks(page: string): Promise<Renderer> {
  const printed = new Map<string, string>();
  for (const { groups } of page.matchAll(CALL)) {
    const args = groups?.["args"] ?? "";
    if (!printed.has(args)) printed.set(args, await printedBy(args));
  }
  return (args) => {
    const call = args.join(" ");
    const command = `$ npx busbar-simulate ${call}`;
    return `\`\`\`console\n${command}\n${printed.get(call)?.trimEnd() ?? ""}\n\`\`\``;
  };
}

async function printedBy(args: string): Promise<string> {
  let text = "";
  const output = { write: (more: string) => (text += more) };
  const errors = { write: () => undefined };
  await runSimulateCli(args.split(/\s+/), { cwd: EXAMPLES, output, errors });
  const [, replay] = /--replay (\S+)$/m.exec(text) ?? [];
  if (replay !== undefined) await rm(EXAMPLES + replay);
  return text;
}
