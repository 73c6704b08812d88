import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Execution, executionsOf, type WorkerLine } from "./history.ts";

/** What a worker process is told at its start. */
export interface WorkerConfig {
  readonly url: string;
  readonly namespace: string;
  readonly leaseMs: number;
  /** Where it writes what it does. */
  readonly file: string;
}

/** One life of a process. */
interface Life {
  readonly worker: string;
  readonly file: string;
  readonly child: ChildProcess;
  killedAtMs: number | undefined;
}

const SCRIPT = fileURLToPath(new URL("worker-process.ts", import.meta.url));
const READY_MS = 60_000;

/** Worker processes that can be killed. */
export class Crew implements AsyncDisposable {
  readonly #config: Omit<WorkerConfig, "file">;
  readonly #folder: string;
  readonly #lives: Life[] = [];
  readonly #ready = new Map<string, Life>();

  private constructor(config: Omit<WorkerConfig, "file">, folder: string) {
    this.#config = config;
    this.#folder = folder;
  }

  static async open(config: Omit<WorkerConfig, "file">): Promise<Crew> {
    return new Crew(config, await mkdtemp(join(tmpdir(), "busbar-kill-")));
  }

  /** Starts a process, or the next life of one that was killed. Resolves when it runs tasks. */
  async start(name: string): Promise<void> {
    const worker = `${name}-${this.#lives.length}`;
    const file = join(this.#folder, `${worker}.jsonl`);
    const config: WorkerConfig = { ...this.#config, file };
    const child = fork(SCRIPT, [JSON.stringify(config)], {
      execArgv: ["--conditions=@busbar/source"],
    });
    const life: Life = { worker, file, child, killedAtMs: undefined };
    this.#lives.push(life);
    await once(child, "message", { signal: AbortSignal.timeout(READY_MS) });
    this.#ready.set(name, life);
  }

  /** Those that run something at this moment; if none does, all that could. */
  async busy(): Promise<string[]> {
    const names: string[] = [];
    for (const [name, { worker, file }] of this.#ready) {
      const executions = executionsOf(worker, linesOf(await readFile(file, "utf8")), undefined);
      if (executions.some(({ toMs }) => toMs === Number.POSITIVE_INFINITY)) names.push(name);
    }
    return names.length > 0 ? names : [...this.#ready.keys()];
  }

  /** Ends a process as a power cut does. */
  async kill(name: string): Promise<void> {
    const life = this.#ready.get(name);
    if (life === undefined) throw new RangeError(`there is no process ${name}`);
    this.#ready.delete(name);
    const ended = once(life.child, "exit");
    life.child.kill("SIGKILL");
    life.killedAtMs = Number(process.hrtime.bigint()) / 1e6;
    await ended;
  }

  /** What all of them did, in all their lives. */
  async history(): Promise<Execution[]> {
    const all = this.#lives.map(async ({ worker, file, killedAtMs }) =>
      executionsOf(worker, linesOf(await readFile(file, "utf8")), killedAtMs),
    );
    return (await Promise.all(all)).flat();
  }

  /** Ends those that live, in good order. */
  async stop(): Promise<void> {
    const living = this.#lives.filter(
      ({ child }) => child.exitCode === null && child.signalCode === null,
    );
    const ends = living.map(async ({ child }) => {
      const ended = once(child, "exit");
      if (child.connected) child.send("stop");
      await ended;
    });
    await Promise.all(ends);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#lives) child.kill("SIGKILL");
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Whole lines: the last one of a killed process may have been cut. */
function linesOf(text: string): WorkerLine[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as WorkerLine);
}
