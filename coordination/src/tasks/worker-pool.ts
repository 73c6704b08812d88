import { type Clock, newId, systemClock, systemRandom } from "@busbar/core";
import {
  checkDuration,
  checkInteger,
  checkJobLease,
  DEFAULT_JOB_LEASE_MS,
} from "@busbar/core/adapter";
import { resolveBackoff } from "./backoff.ts";
import { FairOrder } from "./fair-order.ts";
import { Lane } from "./lane.ts";
import { LaneClaims } from "./lane-claims.ts";
import { LanePermits } from "./lane-permits.ts";
import { LaneSweep } from "./lane-sweep.ts";
import { type LaneEntry, Lanes } from "./lanes.ts";
import type { PoolCounters } from "./pool-counters.ts";
import { answerAsPool, type PoolQuestion, type PoolReport } from "./pool-report.ts";
import { checkTaskQueue } from "./task-queue.ts";
import { TaskRecords } from "./task-records.ts";
import { TaskSignals } from "./task-signals.ts";
import { TaskRuns } from "./task-runs.ts";
import type {
  PoolEvent,
  StopOptions,
  StopReport,
  WorkerPoolOptions,
} from "./worker-pool-options.ts";

/** Claims of one lane that are under way at a time. */
const MAX_CLAIMS = 8;
/** A lane has no more than this part of all slots in one turn: a claim of many costs little more than of one. */
const SHARES = 8;
/** How long a lane waits for permits that others hold, if nobody wakes it. */
const FULL_MS = 250;
/** How long the pool rests when the server did not answer. */
const FAILED_MS = 250;

/**
 * Runs the tasks of all tenants with one set of slots: tenant first, fair by weight, work-conserving;
 * within a tenant as its `TaskQueue` has them. No tenant has more tasks running than its quota, over all
 * pools of the queue, also when some of them are killed or paused: see `Permits`.
 *
 * States: *stopped* -> `start()` -> *running* -> `stop()` -> *stopping* -> *stopped* for good.
 */
export class WorkerPool {
  readonly workerId: string;
  readonly #options: WorkerPoolOptions;
  #concurrency: number;
  readonly #clock: Clock;
  readonly #source: Lanes;
  readonly #permits: LanePermits;
  readonly #claims: LaneClaims;
  readonly #runs: TaskRuns;
  readonly #sweep: LaneSweep;
  readonly #lanes = new Map<string, Lane>();
  readonly #order = new FairOrder<string>();
  /** Slots that claims under way may fill. */
  #reserved = 0;
  #endings: (() => Promise<void>)[] = [];
  #isPumping = false;
  #isPaused = false;
  #wasStarted = false;
  #state: "stopped" | "running" | "draining" | "stopping" = "stopped";
  #stopping: Promise<StopReport> | undefined;
  #changed: (() => void) | undefined;

  /** @throws BusError `INVALID_ARGUMENT`; TypeError or RangeError for wrong options */
  constructor(options: WorkerPoolOptions) {
    const { bus, queue, concurrency = 10, timeoutMs = 600_000 } = options;
    const { leaseMs = DEFAULT_JOB_LEASE_MS } = options;
    const { clock = systemClock, random = systemRandom, workerId } = options;
    checkTaskQueue(queue);
    this.#options = options;
    this.#concurrency = checkInteger("concurrency", concurrency, 1, 1_000);
    this.#clock = clock;
    this.#source = new Lanes(bus, queue);
    this.workerId = workerId ?? newId(random);
    this.#runs = new TaskRuns({
      queue,
      handlers: options.handlers,
      typeConcurrency: options.typeConcurrency,
      common: {
        records: new TaskRecords(bus, queue, { clock, random }),
        signals: new TaskSignals(bus, queue),
        workerId: this.workerId,
        clock,
        random,
        leaseMs: checkJobLease(leaseMs),
        timeoutMs: checkDuration("timeoutMs", timeoutMs, 1, 86_400_000),
        backoff: resolveBackoff(options.backoff),
      },
      emit: (event) => this.#emit(event),
      later: (lane, delayMs) => this.#wakeLater(lane, delayMs),
      ended: (lane) => this.#onEnded(lane),
    });
    this.#sweep = new LaneSweep({
      clock,
      leaseMs,
      lanes: () => this.#lanes.values(),
      look: (lane) => this.#wake(lane.name),
    });
    this.#claims = new LaneClaims({
      jobs: bus.jobs,
      queue,
      options: { workerId: this.workerId, leaseMs },
      onClaim: () => {
        this.#runs.counters.claims += 1;
      },
    });
    this.#permits = new LanePermits({
      bus,
      pool: `task-permits.${queue}`,
      ttlMs: Math.max(500, leaseMs),
      clock,
      random,
      freed: (lane) => this.#source.free(lane.name),
      // Others may run tasks in their place.
      lost: () => {
        this.#runs.abort("lost", "the pool has lost its permits");
        this.#emit({ type: "permitsLost" });
      },
    });
  }

  /** How many tasks run. */
  get running(): number {
    return this.#runs.size;
  }

  /** Counts since it was made. */
  get counters(): PoolCounters {
    return { ...this.#runs.counters };
  }

  /** How many tasks run at a time. */
  get concurrency(): number {
    return this.#concurrency;
  }

  /** Changes it, from 0 to 1_000: 0 begins nothing. What runs goes on. @throws TypeError, RangeError */
  set concurrency(concurrency: number) {
    this.#concurrency = checkInteger("concurrency", concurrency, 0, 1_000);
    this.#pumpSoon();
  }

  /** Begins to run tasks. After a failure it may be called again. @throws BusError if the lanes cannot be read */
  async start(): Promise<void> {
    if (this.#state !== "stopped" || this.#wasStarted) {
      throw new Error("a worker pool is started once");
    }
    this.#state = "running";
    const { bus, queue, tenants } = this.#options;
    try {
      const watch = await this.#source.watch({
        found: (lane) => this.#add(lane),
        gone: (name) => this.#remove(name),
        submitted: (name, tasks) => this.#onSubmitted(name, tasks),
        due: (name, delayMs) => this.#onDue(name, delayMs),
        freed: (name) => this.#onFreed(name),
        cancelled: (name, id) => this.#runs.cancel(name, id),
        missed: () => this.#onMissed(),
        paused: (isPaused) => this.#onPaused(isPaused),
        failed: (error) => this.#emit({ type: "watchFailed", error }),
      });
      this.#endings.push(() => watch.close());
      const unlisten = tenants.onChange((id) => this.#onTenant(id));
      this.#endings.push(async () => unlisten());
      this.#endings.push(await answerAsPool(bus, queue, (about) => this.#report(about)));
    } catch (error) {
      this.#state = "stopped";
      await this.#end();
      throw error;
    }
    this.#wasStarted = true;
    this.#sweep.start();
    this.#pumpSoon();
  }

  /** Stops. Never takes longer than `deadlineMs` and two seconds. Idempotent: the first call decides. */
  async stop(options: StopOptions = {}): Promise<StopReport> {
    const { mode = "finish", deadlineMs = 30_000 } = options;
    checkDuration("deadlineMs", deadlineMs, 0, 86_400_000);
    this.#stopping ??= this.#stop(mode, deadlineMs);
    return this.#stopping;
  }

  async #stop(mode: StopOptions["mode"], deadlineMs: number): Promise<StopReport> {
    const before = this.#runs.ended;
    this.#state = mode === "drain" && this.#state === "running" ? "draining" : "stopping";
    let aborted = 0;
    if (mode === "abort") aborted = this.#runs.abort("stopped", "the worker pool was stopped");
    else if (!(await this.#quiet(deadlineMs))) {
      aborted = this.#runs.abort("stopped", "the worker pool was stopped, and its time was over");
    }
    this.#state = "stopping";
    await this.#quiet(1_000);
    this.#sweep.stop();
    for (const lane of this.#lanes.values()) lane.stop();
    await this.#end();
    await this.#permits.close();
    const report = { finished: this.#runs.ended - before, aborted };
    this.#emit({ type: "stopped", report });
    return report;
  }

  // Lanes.

  #add(entry: LaneEntry): void {
    const { name } = entry;
    if (this.#lanes.has(name)) return;
    this.#lanes.set(name, new Lane(entry, this.#clock, () => this.#wake(name)));
    this.#wake(name);
  }

  #onSubmitted(name: string, tasks: number | undefined): void {
    const lane = this.#lanes.get(name);
    if (lane === undefined) return;
    lane.hasWork();
    if (tasks === undefined) lane.look();
    else lane.submitted(tasks);
    this.#want(lane);
  }

  #onDue(name: string, delayMs: number): void {
    const lane = this.#lanes.get(name);
    lane?.hasWork();
    if (lane) this.#wakeLater(lane, delayMs);
  }

  /** Nobody knows which lanes were told of. */
  #onMissed(): void {
    for (const name of this.#lanes.keys()) this.#wake(name);
  }

  #onPaused(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#pumpSoon();
  }

  #onFreed(name: string): void {
    if (this.#lanes.get(name)?.isFull) this.#wake(name);
  }

  #remove(name: string): void {
    this.#lanes.get(name)?.stop();
    this.#lanes.delete(name);
    this.#order.delete(name);
  }

  #onTenant(id: string): void {
    for (const lane of this.#lanes.values()) if (lane.tenant === id) this.#wake(lane.name);
  }

  /** The lane may have something that it had not before. */
  #wake(name: string): void {
    const lane = this.#lanes.get(name);
    if (lane === undefined) return;
    lane.look();
    this.#want(lane);
  }

  /** The lane wants slots, unless its tenant may have none. */
  #want({ name, tenant: id, claims }: Lane): void {
    const tenant = this.#options.tenants.peek(id);
    if (tenant?.status !== "active" || tenant.storageId !== name) {
      this.#order.rest(name);
      return;
    }
    this.#order.set(name, tenant.weight);
    if (claims < MAX_CLAIMS) this.#order.want(name);
    this.#pumpSoon();
  }

  /** Something of the lane falls due after this time, or a little later: clocks and servers differ. */
  #wakeLater(lane: Lane, delayMs: number): void {
    const { timerGranularityMs } = this.#options.bus.capabilities;
    lane.dueAfter(delayMs, delayMs + 1 + timerGranularityMs);
  }

  // Slots.

  /** Whether tasks are begun. */
  get #isOpen(): boolean {
    return this.#state === "running" || this.#state === "draining";
  }

  /** What happens in one turn of the event loop shares one round of claims. */
  #pumpSoon(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    queueMicrotask(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#isPaused || !this.#isOpen) return;
    const turns = new Map<Lane, number>();
    let free = this.#concurrency - this.#runs.size - this.#reserved;
    const most = Math.max(1, Math.floor(this.#concurrency / SHARES));
    while (free > 0) {
      const name = this.#order.next();
      if (name === undefined) break;
      const lane = this.#lanes.get(name) as Lane;
      const slots = Math.min(most, free, lane.room);
      if (slots > 0) {
        this.#order.take(name, slots - 1);
        turns.set(lane, (turns.get(lane) ?? 0) + slots);
        lane.reserved += slots;
        free -= slots;
      } else {
        // Enough for the tasks it has: the others need not wait for its claim.
        this.#order.giveBack(name, 1);
        this.#order.rest(name);
      }
    }
    for (const [lane, count] of turns) {
      this.#reserved += count;
      lane.claims += 1;
      if (lane.claims >= MAX_CLAIMS) this.#order.hold(lane.name);
      void this.#fill(lane, count);
    }
  }

  /** Fills slots with tasks of a lane, as many as there are. Never rejects. */
  async #fill(lane: Lane, slots: number): Promise<void> {
    const { looks } = lane;
    let started = 0;
    let mayGoOn = false;
    try {
      const tenant = this.#options.tenants.peek(lane.tenant);
      const limit = tenant?.status === "active" ? tenant.quotas.running : 0;
      const allowed = await this.#permits.allow(lane, slots, limit);
      lane.isFull = allowed < slots;
      if (lane.isFull) this.#wakeLater(lane, FULL_MS);
      if (allowed > 0) {
        const jobs = await this.#claims.claim(lane, allowed).finally(() => {
          lane.expected -= allowed;
        });
        started = jobs.length;
        if (started > 0) lane.hasWork();
        mayGoOn = !lane.isFull && lane.mayHaveTasks;
        for (const job of jobs) {
          // A claim may take long: what was permitted before it may be lost, and the pool be stopped.
          if (this.#isOpen && this.#permits.covers(lane, limit)) this.#runs.begin(lane, job);
          else {
            lane.look();
            job.giveBack().catch(() => undefined);
          }
        }
      }
    } catch (error) {
      // Whatever it was: the tasks are there, and the lane is looked at again.
      this.#runs.counters.failedClaims += 1;
      this.#emit({ type: "claimFailed", tenant: lane.tenant, error });
      this.#wakeLater(lane, FAILED_MS);
    }
    this.#reserved -= slots;
    lane.reserved -= slots;
    lane.claims -= 1;
    this.#order.giveBack(lane.name, slots - started);
    if (mayGoOn || lane.looks > looks) {
      this.#want(lane);
    } else {
      this.#order.rest(lane.name);
      if (lane.claims === 0 && !lane.isFull) await this.#permits.giveBack(lane);
    }
    this.#pumpSoon();
    this.#changed?.();
  }

  /** The slot of an attempt may be taken, and so may its permit. */
  #onEnded(lane: Lane): void {
    if (lane.isFull) this.#want(lane);
    else this.#pumpSoon();
    this.#changed?.();
  }

  #emit(event: PoolEvent): void {
    this.#options.onEvent?.(event);
  }

  #report({ lane: name, id }: PoolQuestion): PoolReport {
    const lane = name === undefined ? undefined : this.#lanes.get(name);
    const attempt = this.#runs.attemptAt(name, id);
    return {
      workerId: this.workerId,
      concurrency: this.#concurrency,
      running: this.#runs.size,
      types: Object.keys(this.#options.handlers),
      isOpen: this.#state === "running",
      isPaused: this.#isPaused,
      ...(lane && { lane: { running: lane.running, isFull: lane.isFull } }),
      ...(attempt !== undefined && { attempt }),
    };
  }

  // Ends.

  async #end(): Promise<void> {
    await Promise.all(this.#endings.splice(0).map((end) => end()));
  }

  /** Waits until nothing runs and nothing is claimed. @returns false if that was not in time */
  async #quiet(limitMs: number): Promise<boolean> {
    const endMs = this.#clock.monotonic() + limitMs;
    const isBusy = (): boolean =>
      this.#runs.size + this.#reserved > 0 ||
      (this.#state === "draining" && !this.#isPaused && this.#order.ready > 0);
    while (isBusy()) {
      const leftMs = endMs - this.#clock.monotonic();
      if (leftMs <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = this.#clock.setTimer(resolve, leftMs);
        this.#changed = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    return true;
  }
}
