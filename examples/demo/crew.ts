import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { openBus } from "@busbar/core";
import { runWorker, type WorkerEvent } from "./worker.ts";

/** What every worker is told at its start. */
export interface WorkerConfig {
  readonly url: string;
  readonly name: string;
}

/** A worker as the demo sees it, wherever it runs. */
export interface Worker {
  readonly name: string;
  /** "in this process" or "process 4711". */
  readonly place: string;
  /** Ends it without a word to the bus. @returns how it ended */
  kill(): Promise<string>;
  /** Ends it in good order. Does nothing if it is dead. */
  stop(): Promise<void>;
}

type OnEvent = (worker: Worker, event: WorkerEvent) => void;

/** Starts a worker: on a bus in memory in this process, else in a process of its own. */
export function startWorker(config: WorkerConfig, onEvent: OnEvent): Promise<Worker> {
  const start = config.url.startsWith("memory:") ? startHere : startProcess;
  return start(config, onEvent);
}

async function startHere({ url, name }: WorkerConfig, onEvent: OnEvent): Promise<Worker> {
  const bus = await openBus(url);
  let dead = false;
  const running = await runWorker(bus, name, (event) => {
    if (!dead) onEvent(worker, event);
  });
  const worker: Worker = {
    name,
    place: "in this process",
    async kill() {
      dead = true;
      // Its pool is not stopped: it finds itself without a bus.
      await bus.close({ drainMs: 0 });
      return "its bus is gone";
    },
    async stop() {
      await running.stop();
      await bus.close();
    },
  };
  return worker;
}

async function startProcess(config: WorkerConfig, onEvent: OnEvent): Promise<Worker> {
  const script = fileURLToPath(new URL("worker-process.ts", import.meta.url));
  // It runs with the options of this process, so that it reads the same sources.
  const child = fork(script, [JSON.stringify(config)], { execArgv: process.execArgv });
  // After its last word.
  const ended = new Promise<string>((resolve) => {
    child.once("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const worker: Worker = {
    name: config.name,
    place: `process ${child.pid}`,
    async kill() {
      child.kill("SIGKILL");
      return `killed with ${await ended}`;
    },
    async stop() {
      if (child.connected) child.send("stop");
      await ended;
    },
  };
  const ready = new Promise<void>((resolve) => {
    child.on("message", (event: WorkerEvent | { readonly type: "ready" }) => {
      if (event.type === "ready") resolve();
      else onEvent(worker, event);
    });
  });
  const failed = ended.then((end) => {
    throw new Error(`${config.name} ended before it was ready: ${end}`);
  });
  await Promise.race([ready, failed]);
  failed.catch(() => undefined);
  return worker;
}
