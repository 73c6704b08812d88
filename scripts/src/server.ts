import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findNatsServer, type NatsServerBinary, type NatsServerGeneration } from "./nats-server.ts";
import { pickPort } from "./port.ts";

const POLL_MS = 10;
const START_ATTEMPTS = 10;
const LOG_TAIL_LINES = 20;
const PORT_TAKEN = /address already in use/;

/** How a nats-server is started. */
export interface StartNatsServerOptions {
  /** The binary to run. Default: what `findNatsServer` finds. */
  readonly binary?: NatsServerBinary;
  /** The generation to find when no `binary` is given. */
  readonly version?: NatsServerGeneration;
  /** The port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Whether JetStream is on. Default: true. */
  readonly jetstream?: boolean;
  /** Lines for the `jetstream` block of the configuration, such as `sync_interval: always`. */
  readonly jetstreamConfig?: string;
  /** Text appended to the configuration, such as an `authorization` or a `tls` block. */
  readonly config?: string;
  /** How long the server may take to accept connections. Default: 20,000. */
  readonly startTimeoutMs?: number;
}

/** A nats-server process that belongs to the caller. */
export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** The process id of the current run; `undefined` while the server is down. */
  readonly pid: number | undefined;
  readonly storeDir: string;
  readonly logPath: string;
  readonly version: string;
  /** Shuts the server down in good order and removes its folder. Idempotent. */
  stop(): Promise<void>;
  /** Kills the process (SIGKILL) and keeps the store; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts again on the same port and store, after an orderly shutdown if it is running. */
  restart(): Promise<void>;
  /** Freezes the process (SIGSTOP): connections stay open and nothing answers. Resolves when it stands still. */
  pause(): Promise<void>;
  /** Ends a `pause` (SIGCONT). */
  resume(): void;
}

/** Starts a nats-server of the caller's own, with its own store, and waits until it accepts clients. */
export async function startNatsServer(options: StartNatsServerOptions = {}): Promise<NatsServer> {
  const binary =
    options.binary ??
    (await findNatsServer(options.version === undefined ? {} : { version: options.version }));
  const home = await mkdtemp(join(tmpdir(), "busbar-nats-"));
  await mkdir(join(home, "ports"));
  const server = new NatsServerProcess(binary, home, options);
  try {
    await server.launch();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

class NatsServerProcess implements NatsServer {
  readonly version: string;
  readonly storeDir: string;
  readonly logPath: string;
  #port = 0;
  #child: ChildProcess | undefined;
  readonly #home: string;
  readonly #path: string;
  readonly #options: StartNatsServerOptions;

  constructor(binary: NatsServerBinary, home: string, options: StartNatsServerOptions) {
    this.version = binary.version;
    this.storeDir = join(home, "store");
    this.logPath = join(home, "server.log");
    this.#home = home;
    this.#path = binary.path;
    this.#options = options;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The first start: picks ports until one is free. */
  async launch(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.#port = this.#options.port ?? (await pickPort());
      try {
        await this.#start();
        return;
      } catch (error) {
        // Between the choice of a port and its use another process can take it.
        const retry = this.#options.port === undefined && PORT_TAKEN.test(String(error));
        if (!retry || attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  async restart(): Promise<void> {
    await this.#end("SIGTERM");
    await this.#start();
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    await rm(this.#home, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async pause(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    child.kill("SIGSTOP");
    // The signal is taken in a moment later; a thread may answer until then.
    while (!(await isStopped(child.pid as number))) await sleep(1);
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  async #start(): Promise<void> {
    const configPath = join(this.#home, "nats.conf");
    const portsDir = join(this.#home, "ports");
    await writeFile(configPath, this.#config(portsDir));
    const log = openSync(this.logPath, "w");
    const child = spawn(this.#path, ["--config", configPath], { stdio: ["ignore", log, log] });
    closeSync(log);
    this.#child = child;
    const ended = endOf(child);
    track(child, this.#home);
    // A forgotten server must not keep its owner's process alive; the exit hook ends it then.
    child.unref();
    // The server writes this file once it accepts clients, also where a client needs TLS or a
    // password to get that far.
    const portsFile = join(portsDir, `${basename(this.#path)}_${child.pid}.ports`);
    const deadline = performance.now() + (this.#options.startTimeoutMs ?? 20_000);
    while (!(await exists(portsFile))) {
      const reason = await Promise.race([ended, sleep(POLL_MS)]);
      if (reason === undefined && performance.now() < deadline) continue;
      await this.#end("SIGKILL");
      throw new Error(
        `${this.#path} did not start: ${reason ?? "not ready in time"}\n${this.#logTail()}`,
      );
    }
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    // Without a process id nothing was started, and no end will be reported.
    if (child.pid === undefined) return untrack(child);
    const ended = endOf(child);
    child.ref();
    child.kill(signal);
    // A paused process acts on no signal but these two.
    if (signal !== "SIGKILL") child.kill("SIGCONT");
    const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await ended;
    clearTimeout(timer);
    untrack(child);
  }

  #config(portsDir: string): string {
    const { jetstream = true, jetstreamConfig = "", config = "" } = this.#options;
    const lines = [
      `listen: "127.0.0.1:${this.#port}"`,
      `server_name: ${JSON.stringify(basename(this.#home))}`,
      `ports_file_dir: ${JSON.stringify(portsDir)}`,
    ];
    if (jetstream) {
      lines.push(
        `jetstream {\n  store_dir: ${JSON.stringify(this.storeDir)}\n${jetstreamConfig}\n}`,
      );
    }
    return `${[...lines, config].join("\n")}\n`;
  }

  #logTail(): string {
    return readFileSync(this.logPath, "utf8")
      .trimEnd()
      .split("\n")
      .slice(-LOG_TAIL_LINES)
      .join("\n");
  }
}

/** Resolves with why the process ended. */
function endOf(child: ChildProcess): Promise<string> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve(`exit ${child.exitCode ?? child.signalCode}`);
  }
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(`exit ${code ?? signal}`));
    child.once("error", (error) => resolve(error.message));
  });
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** The processes that this one started and that still run, with their folders. */
const running = new Map<ChildProcess, string>();
let hooked = false;

function track(child: ChildProcess, home: string): void {
  running.set(child, home);
  if (hooked) return;
  hooked = true;
  process.on("exit", endAll);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      endAll();
      // This listener is gone by now: where it was the only one, the signal does what it does
      // by default.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    });
  }
}

function untrack(child: ChildProcess): void {
  running.delete(child);
}

function endAll(): void {
  for (const [child, home] of running) {
    child.kill("SIGKILL");
    rmSync(home, { recursive: true, force: true, maxRetries: 3 });
  }
  running.clear();
}

/** Whether the kernel has stopped every thread of a process (the letter behind the name in its stat). */
async function isStopped(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const stats = threads.map((thread) =>
    readFile(`/proc/${pid}/task/${thread}/stat`, "utf8").catch(() => ") T"),
  );
  return (await Promise.all(stats)).every((stat) => /\) [TtZX]/.test(stat));
}
