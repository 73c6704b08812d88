import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import {
  type Exploration,
  explore,
  type ExploreOptions,
  resolveExploreOptions,
  Tally,
} from "./explore.ts";
import { loadScenario } from "./scenario-file.ts";

/** What {@link exploreFile} may be told. */
export interface ExploreFileOptions extends ExploreOptions {
  /** On how many threads. @defaultValue 1 */
  readonly jobs?: number | undefined;
  /** What `file` is relative to. */
  readonly cwd: string;
  /** Called now and then with how many seeds were played. */
  readonly onProgress?: (seeds: number) => void;
}

/** Some seeds, for one thread. */
export interface Chunk extends ExploreOptions {
  readonly file: string;
  readonly cwd: string;
}

const MOST_PER_CHUNK = 25;

/**
 * Plays many seeds of the scenario in a file, on several threads. The seeds are handed out in their
 * order, and what was handed out is played to its end: so of the failures that come back the first is
 * the same whatever the number of threads.
 */
export async function exploreFile(
  file: string,
  options: ExploreFileOptions,
): Promise<Exploration<unknown>> {
  const { jobs = 1, cwd, onProgress } = options;
  const { seeds, from, maxFailures, twice } = resolveExploreOptions(options);
  const scenario = await loadScenario(file, cwd);
  const tally = new Tally<unknown>(scenario, from);
  const end = from + seeds;
  const perChunk = Math.max(1, Math.min(MOST_PER_CHUNK, Math.ceil(seeds / jobs / 4)));
  let next = from;
  let done = 0;
  const work = async (play: (chunk: Chunk) => Promise<Exploration<unknown>>): Promise<void> => {
    while (next < end && tally.failed < maxFailures) {
      const count = Math.min(perChunk, end - next);
      const chunk = { file, cwd, from: next, seeds: count, maxFailures, twice };
      next += count;
      const played = await play(chunk);
      tally.merge(played);
      done += played.seeds;
      onProgress?.(done);
    }
  };
  if (jobs === 1) await work((chunk) => explore(scenario, chunk));
  else await Promise.all(Array.from({ length: jobs }, () => onThread(work)));
  const result = tally.result();
  return { ...result, failures: result.failures.slice(0, maxFailures) };
}

async function onThread(
  work: (play: (chunk: Chunk) => Promise<Exploration<unknown>>) => Promise<void>,
): Promise<void> {
  const worker = new Worker(
    new URL(`./explore-thread${extname(import.meta.url)}`, import.meta.url),
  );
  try {
    await work((chunk) => answerOf(worker, chunk));
  } finally {
    await worker.terminate();
  }
}

function answerOf(worker: Worker, chunk: Chunk): Promise<Exploration<unknown>> {
  return new Promise((resolve, reject) => {
    const ended = (code: number): void => reject(new Error(`a thread ended with code ${code}`));
    worker.once("error", reject);
    worker.once("exit", ended);
    worker.once("message", (answer: Exploration<unknown>) => {
      worker.off("error", reject);
      worker.off("exit", ended);
      resolve(answer);
    });
    worker.postMessage(chunk);
  });
}
