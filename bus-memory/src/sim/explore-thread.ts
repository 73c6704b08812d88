import { parentPort } from "node:worker_threads";
import { explore } from "./explore.ts";
import type { Chunk } from "./explore-file.ts";
import { loadScenario } from "./scenario-file.ts";

// A thread of exploreFile: plays the seeds that it is given. What goes wrong ends it, which is seen there.
parentPort?.on("message", (chunk: Chunk) => {
  void loadScenario(chunk.file, chunk.cwd)
    .then((scenario) => explore(scenario, chunk))
    .then((played) => parentPort?.postMessage(played));
});
