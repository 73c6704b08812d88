import { extname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Bus, newId, openBus, typedBus } from "@busbar/core";
import { startLocalWorker, startWorkerProcess, type Worker } from "./crew.ts";
import { askIndex, fileJobs } from "./definitions.ts";
import { listFiles } from "./files.ts";
import { compare } from "./findings.ts";
import { Follower } from "./follower.ts";
import { IndexService } from "./index-service.ts";
import { Milestones } from "./milestones.ts";
import { Progress } from "./progress.ts";
import { type IndexingReport, judge } from "./report.ts";
import { Tally } from "./tally.ts";
import { keyOf } from "./totals.ts";
import { LEASE_MS } from "./worker.ts";

const MAX_ATTEMPTS = 3;
const POLL_MS = 100;
/** When nothing moves for so long the run gives up, and the report says what is missing. */
const STUCK_MS = 20_000;

export interface IndexingOptions {
  readonly root: string;
  readonly url: string;
  readonly workers: number;
}

/** Indexes a folder and says what it found. */
export async function runIndexing(options: IndexingOptions): Promise<IndexingReport> {
  const id = newId(undefined, 8);
  // One namespace for this run alone.
  const namespace = `files-${id}`;
  const url = inNamespace(options.url, namespace);
  const listing = await listFiles(options.root);
  if (listing.texts.length === 0) throw new Error(`no text file in ${options.root}`);
  await using bus = await openBus(url);
  const startedAtMs = Date.now();
  using run = new Run(bus, { ...options, url }, listing.texts);
  try {
    await run.start();
    await run.enqueue(`poison-${id}.txt`);
    await run.toTheEnd();
    await run.stop();
    return judge({
      ...run.counters,
      ...(await compare(bus, options.root, listing.texts, startedAtMs)),
      // What stands before the @ is a secret.
      bus: options.url.replace(/\/\/.*@/, "//"),
      server: bus.capabilities.server,
      skipped: { binary: listing.binary, unreadable: listing.unreadable },
      seconds: (Date.now() - startedAtMs) / 1_000,
    });
  } finally {
    await bus.removeNamespace();
  }
}

/** The same bus in another namespace. Buses in memory meet under a name. */
function inNamespace(url: string, namespace: string): string {
  const [base = "", query = ""] = url.split("?", 2);
  const parameters = new URLSearchParams(query);
  parameters.set("namespace", namespace);
  return `${base === "memory:" ? `memory://${namespace}` : base}?${parameters.toString()}`;
}

/** One run: the workers, and what happens to them on the way. */
class Run implements Disposable {
  readonly #bus: Bus;
  readonly #options: IndexingOptions;
  readonly #paths: readonly string[];
  readonly #milestones = new Milestones();
  readonly #tally = new Tally();
  readonly #follower: Follower;
  readonly #progress: Progress;
  readonly #workers: Worker[] = [];
  #service: IndexService | undefined;
  #story: Promise<unknown> = Promise.resolve();
  /** Nothing more will be indexed. */
  #queueEmpty = false;
  #answers = 0;
  #note = "";

  constructor(bus: Bus, options: IndexingOptions, paths: readonly string[]) {
    this.#bus = bus;
    this.#options = options;
    this.#paths = paths;
    this.#follower = new Follower(bus, () => this.#milestones.check());
    this.#progress = new Progress(() => {
      return { done: this.#tally.files, total: paths.length, note: this.#note };
    });
  }

  /** Everybody is there and waits. */
  async start(): Promise<void> {
    this.#service = await IndexService.start(this.#bus);
    await this.#follower.start();
    await Promise.all(
      Array.from({ length: this.#options.workers }, (_, index) => this.#startWorker(index + 1)),
    );
    const places = this.#workers.map(({ name, place }) => `${name} ${place}`);
    this.#progress.say(`${places.join(", ")}`);
  }

  /** On a bus that processes can share, every second worker is a process of its own. */
  async #startWorker(number: number): Promise<void> {
    const { url, root } = this.#options;
    const isProcess = this.#bus.capabilities.crossProcess && number % 2 === 0;
    const start = isProcess ? startWorkerProcess : startLocalWorker;
    const config = { url, root, name: `worker-${number}` };
    this.#workers[number - 1] = await start(config, (worker, event) => {
      this.#tally.add(event);
      this.#milestones.check();
      if (event.type === "failed") {
        this.#progress.say(`${worker.name}: attempt ${event.attempt} at ${event.path} failed`);
      }
    });
  }

  /** One job for each file, and one that nobody can do. */
  async enqueue(poison: string): Promise<void> {
    this.#story = Promise.all([this.#killOne(), this.#interruptFollower(), this.#askQuestions()]);
    const jobs = [...this.#paths, poison].map((path) => {
      return { value: { path }, maxAttempts: MAX_ATTEMPTS, dedupKey: keyOf(path) };
    });
    await typedBus(this.#bus).job(fileJobs).enqueueMany(jobs);
    this.#progress.say(`${jobs.length} jobs enqueued, one of them for a file that is not there`);
  }

  /** The last worker hangs while it holds jobs, and is killed. Its jobs come back when their lease is over. */
  async #killOne(): Promise<void> {
    const victim = this.#workers.at(-1) as Worker;
    const tally = this.#tally;
    await this.#indexed(1 / 3);
    victim.hang();
    await this.#milestones.until(() => tally.heldByDead > 0 || this.#queueEmpty);
    const end = await victim.kill();
    this.#progress.say(
      `${victim.name} dies (${end}) with ${tally.heldByDead} jobs in its hands; ` +
        `their leases are over in ${LEASE_MS} ms at most`,
    );
  }

  /** The follower stops in the middle and goes on later, where it was. */
  async #interruptFollower(): Promise<void> {
    const follower = this.#follower;
    await this.#milestones.until(
      () => follower.seen >= this.#paths.length * 0.4 || this.#hasSeenAll(),
    );
    await follower.stop();
    this.#progress.say(`the follower stops after ${follower.seen} events`);
    await this.#indexed(2 / 3);
    await follower.start();
    this.#progress.say(`the follower goes on with event ${follower.seen + 1}`);
  }

  /** A program asks about the index while it is being built. */
  async #askQuestions(): Promise<void> {
    const index = typedBus(this.#bus).method(askIndex);
    const extension = mostCommonExtension(this.#paths);
    for (const quarter of [1, 2, 3, 4]) {
      await this.#indexed(quarter / 4);
      const { files, lines } = await index.request({ extension });
      this.#answers += 1;
      this.#progress.say(
        `asked about ${extension}: ${files} files, ${lines.toLocaleString("en")} lines so far`,
      );
    }
  }

  #indexed(share: number): Promise<void> {
    const wanted = this.#paths.length * share;
    return this.#milestones.until(() => this.#tally.files >= wanted || this.#queueEmpty);
  }

  #hasSeenAll(): boolean {
    return this.#queueEmpty && this.#follower.seen >= this.#tally.announced;
  }

  /** Waits until no job is left and the follower has seen every event. */
  async toTheEnd(): Promise<void> {
    const finish = async (): Promise<boolean> => {
      await this.#untilQueueIsEmpty();
      this.#queueEmpty = true;
      this.#milestones.check();
      await this.#story;
      await this.#milestones.until(() => this.#hasSeenAll());
      return true;
    };
    const over = new AbortController();
    const finished = await Promise.race([finish(), this.#nothingMoves(over.signal)]);
    over.abort();
    this.#progress.say(finished ? "every job is settled" : "nothing moves any more: given up");
  }

  async #untilQueueIsEmpty(): Promise<void> {
    for (;;) {
      const { ready, delayed, leased } = await this.#bus.jobs.stats(fileJobs.queue);
      if (ready + delayed + leased === 0) return;
      this.#note = `${ready} jobs ready, ${leased} leased, ${delayed} to be tried again`;
      await sleep(POLL_MS);
    }
  }

  async #nothingMoves(signal: AbortSignal): Promise<boolean> {
    let before = -1;
    for (let quietMs = 0; quietMs < STUCK_MS && !signal.aborted; quietMs += POLL_MS) {
      const now = this.#tally.deliveries + this.#tally.files + this.#follower.seen;
      if (now !== before) quietMs = 0;
      before = now;
      await sleep(POLL_MS);
    }
    return false;
  }

  /** Everybody goes home. */
  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    await this.#follower.stop();
    await this.#service?.[Symbol.asyncDispose]();
    this[Symbol.dispose]();
  }

  /** What was counted on the way. */
  get counters() {
    const { deliveries, redelivered, heldByDead, conflicts, announced, countedBefore } =
      this.#tally;
    return {
      workers: this.#options.workers,
      files: this.#paths.length,
      jobs: this.#paths.length + 1,
      deliveries,
      redelivered,
      heldByDead,
      countedBefore,
      casConflicts: conflicts,
      answers: this.#answers,
      events: {
        published: announced,
        seen: this.#follower.seen,
        duplicates: this.#follower.duplicates,
      },
    };
  }

  [Symbol.dispose](): void {
    this.#progress[Symbol.dispose]();
  }
}

/** What most files end with, so that there is something to ask about. */
function mostCommonExtension(paths: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const path of paths) {
    const extension = extname(path);
    if (/^\.[\w-]+$/.test(extension)) counts.set(extension, (counts.get(extension) ?? 0) + 1);
  }
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  return most?.[0] ?? ".txt";
}
