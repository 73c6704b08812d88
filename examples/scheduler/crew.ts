import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** What a scheduler process is told at its start. */
export interface SchedulerConfig {
  readonly url: string;
  readonly name: string;
  /** How long the leadership of a killed process stands. */
  readonly ttlMs: number;
  /** From one tick to the next. */
  readonly everyMs: number;
}

/** What a scheduler process is told later. */
export interface SchedulerCommand {
  readonly type: "resign" | "stop";
}

/** What a scheduler process says. */
export type SchedulerEvent =
  | { readonly type: "ready" }
  | { readonly type: "led"; readonly term: number }
  | { readonly type: "refused" };

/** Who leads since when, by the clock of this process. */
export interface Led {
  readonly name: string;
  readonly term: number;
  readonly atMs: number;
}

const SCRIPT = fileURLToPath(new URL("scheduler-process.ts", import.meta.url));
const LIMIT_MS = 60_000;

/** Processes of which one runs the scheduler. */
export class Crew implements AsyncDisposable {
  /** Writes that came too late and were refused. */
  refused = 0;
  readonly #config: Omit<SchedulerConfig, "name">;
  readonly #processes = new Map<string, ChildProcess>();
  readonly #waiting = new Set<() => void>();
  #last: Led = { name: "", term: 0, atMs: 0 };

  constructor(config: Omit<SchedulerConfig, "name">) {
    this.#config = config;
  }

  /** Starts a process; also one that was killed. Resolves when it is ready to lead. */
  async start(name: string): Promise<void> {
    const config: SchedulerConfig = { ...this.#config, name };
    const child = fork(SCRIPT, [JSON.stringify(config)], {
      execArgv: ["--conditions=@busbar/source"],
    });
    this.#processes.set(name, child);
    child.on("message", (event: SchedulerEvent) => this.#heard(name, event));
    // The first thing that it says.
    await once(child, "message", { signal: AbortSignal.timeout(LIMIT_MS) });
  }

  /** The first leader after that term. */
  async leaderAfter(term: number): Promise<Led> {
    const deadline = AbortSignal.timeout(LIMIT_MS);
    while (this.#last.term <= term) {
      deadline.throwIfAborted();
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          deadline.removeEventListener("abort", wake);
          resolve();
        };
        this.#waiting.add(wake);
        deadline.addEventListener("abort", wake);
      });
    }
    return this.#last;
  }

  /** Kills a process (SIGKILL), stops it (SIGSTOP), or lets it go on (SIGCONT). */
  signal(name: string, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    this.#process(name).kill(signal);
  }

  /** Asks a process to give its leadership up. */
  resign(name: string): void {
    this.#process(name).send({ type: "resign" } satisfies SchedulerCommand);
  }

  /** Ends all of them in good order. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ends = [...this.#processes.values()].map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGCONT");
      if (child.connected) child.send({ type: "stop" } satisfies SchedulerCommand);
      await ended;
    });
    await Promise.all(ends);
  }

  #heard(name: string, event: SchedulerEvent): void {
    if (event.type === "refused") this.refused += 1;
    if (event.type !== "led" || event.term <= this.#last.term) return;
    this.#last = { name, term: event.term, atMs: performance.now() };
    for (const wake of this.#waiting) wake();
  }

  #process(name: string): ChildProcess {
    const child = this.#processes.get(name);
    if (child === undefined) throw new RangeError(`there is no process ${name}`);
    return child;
  }
}
