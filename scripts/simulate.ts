import { runSimulateCli } from "@busbar/bus-memory/run-cli";

// `busbar-simulate` for this repository: a word without a slash or dot is a scenario of the examples.

const argv = process.argv
  .slice(2)
  .map((word, index) =>
    index === 0 && /^[a-z-]+$/.test(word) && !word.startsWith("-")
      ? `examples/simulate/${word}.ts`
      : word,
  );
process.exitCode = await runSimulateCli(argv, { program: "npm run simulate --" });
