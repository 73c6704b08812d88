import { type Capabilities, isBusError, systemClock, systemRandom } from "@busbar/core";
import { settle } from "@busbar/core/adapter";
import { ConformanceFailure } from "./assert.ts";
import type { ConformanceCase, Harness, HarnessFactory } from "./case.ts";
import { CaseScope } from "./case-scope.ts";
import { allCases } from "./cases/index.ts";
import { levelOf, type Selection, selectCases } from "./levels.ts";
import { watchRejections, withRejections } from "./rejections.ts";
import { buildReport, type CaseResult, type ConformanceReport, resultOf } from "./report/report.ts";
import { runtimeName, suiteName } from "./suite-name.ts";
import { clockOf, type Limit, poll, underTime, unlessAborted, withLimits } from "./time.ts";

const DEFAULT_CASE_MS = 30_000;
/** Most real time of a case under virtual time: it would compute for ever. */
const REAL_GUARD_MS = 60_000;
const LEAK_GRACE_MS = 2_000;
/** How long an interrupted run waits for its harness to end. */
const INTERRUPTED_CLOSE_MS = 3_000;
const STACK_LINES = 6;

/** What {@link runConformance} may be told. */
export interface RunOptions extends Selection {
  /** The cases to choose from. Default: all of the suite. */
  readonly cases?: readonly ConformanceCase[];
  /** Seed of all random choices. Default: a random one; it is in the report. */
  readonly seed?: number | undefined;
  /**
   * How many cases run at a time. Cases of level L4 always run alone, since they kill the server,
   * and so do all under virtual time.
   * @defaultValue 1
   */
  readonly concurrency?: number | undefined;
  /**
   * Interrupts the run: no case begins any more, those under way are given up, and the report has
   * what has run so far. Before anything has run the result rejects with the signal's reason.
   */
  readonly signal?: AbortSignal | undefined;
  /** Told each result when it is known; once more if a finished case is found to have failed. */
  readonly onResult?: (result: CaseResult) => void;
}

/** Runs cases on the harnesses of a factory, one by one or several at a time. */
export class SuiteRun {
  /** What the backend declares. */
  readonly capabilities: Capabilities;
  /** The seed of the run. */
  readonly seed: number;
  readonly #factory: HarnessFactory;
  readonly #harness: Harness;
  readonly #options: RunOptions;
  readonly #unwatch: () => void;
  readonly #startedAt = systemClock.monotonic();
  readonly #startedAtMs = systemClock.now();
  #ended = false;
  readonly #results = new Map<string, CaseResult>();

  private constructor(
    factory: HarnessFactory,
    harness: Harness,
    capabilities: Capabilities,
    options: RunOptions,
  ) {
    this.capabilities = capabilities;
    this.seed = options.seed ?? Math.floor(systemRandom.next() * 0x1_0000_0000);
    this.#factory = factory;
    this.#harness = harness;
    this.#options = options;
    this.#unwatch = watchRejections();
  }

  /** Makes the first harness and asks a first bus for its capabilities. */
  static async start(factory: HarnessFactory, options: RunOptions = {}): Promise<SuiteRun> {
    const harness = await factory();
    try {
      const bus = await underTime(harness, harness.open({ namespace: "cf-probe" }));
      const { capabilities } = bus;
      await underTime(harness, bus.close({ drainMs: 0 }));
      await harness.clean?.("cf-probe");
      return new SuiteRun(factory, harness, capabilities, options);
    } catch (error) {
      await harness.close();
      throw error;
    }
  }

  /** Whether several cases may run at a time. */
  get canOverlap(): boolean {
    return this.#harness.time === undefined;
  }

  /** Runs one case. Never rejects because of the case. */
  async runCase(item: ConformanceCase): Promise<CaseResult> {
    const startedAt = systemClock.monotonic();
    const context = { capabilities: this.capabilities, harness: this.#harness };
    const unmet = item.requires?.find((requirement) => !requirement.met(context));
    if (unmet) return this.#record(item, { status: "skipped", reason: unmet.reason, ms: 0 });
    this.#expect(item, "the run ended while it ran");
    const problems: Problem[] = [];
    let finished = false;
    const onRejection = (reason: unknown): void => {
      const problem = { what: "unhandled rejection", thrown: reason };
      problems.push(problem);
      if (finished) this.#record(item, this.#failed(problems, startedAt));
    };
    await withRejections(onRejection, () => this.#run(item, problems));
    finished = true;
    if (problems.length > 0) return this.#record(item, this.#failed(problems, startedAt));
    return this.#record(item, { status: "passed", ms: systemClock.monotonic() - startedAt });
  }

  /** Ends the harness and gives the report. */
  async finish(): Promise<ConformanceReport> {
    const interrupted = this.#options.signal?.aborted ?? false;
    if (!interrupted) await settle();
    this.#ended = true;
    this.#unwatch();
    await this.#closeHarness(interrupted);
    return buildReport({
      suite: suiteName(),
      harness: this.#harness.name,
      level: levelOf(this.#options),
      seed: this.seed,
      runtime: runtimeName(),
      startedAtMs: this.#startedAtMs,
      ms: systemClock.monotonic() - this.#startedAt,
      interrupted,
      capabilities: this.capabilities,
      cases: [...this.#results.values()],
    });
  }

  /** Keeps the places of the report in this order, whatever ends first. */
  expect(cases: readonly ConformanceCase[]): void {
    for (const item of cases) this.#expect(item, "the run ended before it");
  }

  #expect(item: ConformanceCase, reason: string): void {
    this.#results.set(item.id, resultOf(item, { status: "skipped", reason, ms: 0 }));
  }

  /** What is under way may keep the harness of an interrupted run from closing. */
  async #closeHarness(interrupted: boolean): Promise<void> {
    const closing = this.#harness.close();
    if (!interrupted) return closing;
    const limit = { clock: systemClock, limitMs: INTERRUPTED_CLOSE_MS, what: "harness.close()" };
    await withLimits(closing, [limit]).catch(() => undefined);
  }

  async #run(item: ConformanceCase, problems: Problem[]): Promise<void> {
    const own = this.#harness.time !== undefined;
    let harness: Harness | undefined;
    try {
      harness = own ? await this.#factory() : this.#harness;
      await this.#runOn(harness, item, problems);
    } catch (thrown) {
      problems.push({ what: "harness", thrown });
    } finally {
      if (own) await harness?.close();
    }
  }

  async #runOn(harness: Harness, item: ConformanceCase, problems: Problem[]): Promise<void> {
    const scope = new CaseScope(harness, item, this.seed);
    const body = async (): Promise<void> => item.run(await scope.context());
    try {
      await underTime(harness, withLimits(body(), limitsOf(harness, item)));
    } catch (thrown) {
      problems.push({ what: "", thrown });
    }
    const closing = scope.close();
    for (const problem of await underTime(harness, closing)) {
      problems.push({ what: "", thrown: new ConformanceFailure(problem) });
    }
    for (const namespace of scope.namespaces) {
      const leaks = await underTime(harness, leaksOf(harness, namespace));
      if (leaks.length > 0) {
        const thrown = new ConformanceFailure(`left behind: ${leaks.join(", ")}`);
        problems.push({ what: "leak", thrown });
      }
      await harness.clean?.(namespace);
    }
    // What was rejected in the last turn is reported in the next one.
    await settle();
    await settle();
  }

  #failed(
    problems: readonly Problem[],
    startedAt: number,
  ): Pick<CaseResult, "status" | "reason" | "stack" | "ms"> {
    const reason = `${problems.map(describeProblem).join("; ")} (seed ${this.seed})`;
    const ms = systemClock.monotonic() - startedAt;
    const stack = problems.map(({ thrown }) => stackOf(thrown)).find((text) => text !== "");
    return stack === undefined
      ? { status: "failed", reason, ms }
      : { status: "failed", reason, stack, ms };
  }

  #record(
    item: ConformanceCase,
    outcome: Pick<CaseResult, "status" | "reason" | "stack" | "ms">,
  ): CaseResult {
    const result = resultOf(item, outcome);
    if (this.#ended) return result;
    this.#results.set(item.id, result);
    this.#options.onResult?.(result);
    return result;
  }
}

/**
 * Runs the selected cases and gives the report. Rejects only if the backend cannot be opened, or if
 * `signal` aborts before it is.
 */
export async function runConformance(
  factory: HarnessFactory,
  options: RunOptions = {},
): Promise<ConformanceReport> {
  const { signal } = options;
  const selected = selectCases(options.cases ?? allCases, options);
  const run = await unlessAborted(SuiteRun.start(factory, options), signal);
  run.expect(selected);
  try {
    await unlessAborted(runAll(run, selected, options), signal);
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
  return run.finish();
}

async function runAll(
  run: SuiteRun,
  selected: readonly ConformanceCase[],
  { signal, concurrency = 1 }: RunOptions,
): Promise<void> {
  const together = selected.filter((item) => item.level !== "L4");
  const alone = selected.filter((item) => item.level === "L4");
  const workers = run.canOverlap ? Math.max(1, concurrency) : 1;
  const work = async (queue: ConformanceCase[]): Promise<void> => {
    while (!signal?.aborted) {
      const item = queue.shift();
      if (item === undefined) return;
      await run.runCase(item);
    }
  };
  await Promise.all(Array.from({ length: workers }, () => work(together)));
  await work(alone);
}

interface Problem {
  readonly what: string;
  readonly thrown: unknown;
}

function limitsOf(harness: Harness, item: ConformanceCase): Limit[] {
  const scale = harness.timeScale ?? 1;
  const limitMs = (item.timeoutMs ?? DEFAULT_CASE_MS) * scale;
  const budget = { clock: clockOf(harness), limitMs, what: `not done within ${limitMs} ms` };
  if (!harness.time) return [budget];
  const realMs = REAL_GUARD_MS * scale;
  return [
    budget,
    { clock: systemClock, limitMs: realMs, what: `not done within ${realMs} ms of real time` },
  ];
}

async function leaksOf(harness: Harness, namespace: string): Promise<readonly string[]> {
  if (!harness.leaks) return [];
  let leaks: readonly string[] = [];
  const limitMs = LEAK_GRACE_MS * (harness.timeScale ?? 1);
  await poll(clockOf(harness), limitMs, async () => {
    leaks = (await harness.leaks?.(namespace)) ?? [];
    return leaks.length === 0;
  });
  return leaks;
}

function describeProblem({ what, thrown }: Problem): string {
  const text = describe(thrown);
  return what === "" ? text : `${what}: ${text}`;
}

function describe(thrown: unknown): string {
  if (thrown instanceof ConformanceFailure) return thrown.message;
  if (isBusError(thrown)) return `${thrown.code}: ${thrown.message}`;
  if (thrown instanceof Error) return `${thrown.name}: ${thrown.message}`;
  return `thrown was ${String(thrown)}`;
}

function stackOf(thrown: unknown): string {
  if (!(thrown instanceof Error) || thrown.stack === undefined) return "";
  const frames = thrown.stack.split("\n").filter((line) => /^\s+at /.test(line));
  return frames
    .filter((line) => !line.includes("node:internal"))
    .slice(0, STACK_LINES)
    .join("\n");
}
