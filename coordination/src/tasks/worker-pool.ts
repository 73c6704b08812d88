import {
  type Bus,
  type ClaimedJob,
  type Clock,
  newId,
  type Random,
  systemClock,
  systemRandom,
  type Timer,
} from "@busbar/core";
import {
  checkDuration,
  checkInteger,
  checkJobLease,
  DEFAULT_JOB_LEASE_MS,
} from "@busbar/core/adapter";
import type { TenantDirectory } from "../tenants/tenant-directory.ts";
import { type ResolvedBackoff, resolveBackoff } from "./backoff.ts";
import { FairOrder } from "./fair-order.ts";
import { Lane } from "./lane.ts";
import { LanePermits } from "./lane-permits.ts";
import { type LaneEntry, laneQueue, Lanes } from "./lanes.ts";
import { RunningTask, type TaskHandler, type TaskOutcome } from "./running-task.ts";
import type { Backoff, Task } from "./task.ts";
import { checkTaskQueue } from "./task-queue.ts";
import { toTask } from "./task-wire.ts";

/** How a {@link WorkerPool} is made. */
export interface WorkerPoolOptions {
  readonly bus: Bus;
  /** The queue of the `TaskQueue`. */
  readonly queue: string;
  readonly tenants: TenantDirectory;
  /** Handlers by task type. A task of another type goes to the dead letters. */
  readonly handlers: Readonly<Record<string, TaskHandler>>;
  /** How many tasks run at a time in this pool, 1 to 1_000. @defaultValue 10 */
  readonly concurrency?: number | undefined;
  /** How long a task stays this pool's without a heartbeat, in milliseconds. @defaultValue 30_000 */
  readonly leaseMs?: number | undefined;
  /** How long an attempt may take where its task does not say, in milliseconds. @defaultValue 600_000 */
  readonly timeoutMs?: number | undefined;
  /** Waits between attempts where the task does not say. */
  readonly backoff?: Backoff | undefined;
  /** Named in the queue, for operators. Default: a new one. */
  readonly workerId?: string | undefined;
  /** Told of every attempt that ends. What it throws is an uncaught error. */
  readonly onOutcome?: ((task: Task, outcome: TaskOutcome) => void) | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/** How a pool is stopped. */
export interface StopOptions {
  /**
   * `drain`: runs what can be run, until nothing is ready. `finish`: begins nothing, and waits for what
   * runs. `abort`: ends what runs. @defaultValue "finish"
   */
  readonly mode?: "drain" | "finish" | "abort" | undefined;
  /** When what still runs is aborted, in milliseconds from now. @defaultValue 30_000 */
  readonly deadlineMs?: number | undefined;
}

/** What a pool did and left. */
export interface StopReport {
  /** Attempts that ended since `stop`, in whatever way. */
  readonly finished: number;
  /** Attempts that were aborted: their tasks come again. */
  readonly aborted: number;
}

/** How many lanes are looked at in one round without having been woken, and how often. */
const SWEPT = 100;
const SWEEP_MS = 5_000;
/** Claims of one lane that are under way at a time. */
const MAX_CLAIMS = 8;
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
  readonly #concurrency: number;
  readonly #leaseMs: number;
  readonly #timeoutMs: number;
  readonly #backoff: ResolvedBackoff;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #source: Lanes;
  readonly #permits: LanePermits;
  readonly #lanes = new Map<string, Lane>();
  readonly #order = new FairOrder<string>();
  readonly #running = new Set<RunningTask>();
  /** Slots that claims under way may fill. */
  #reserved = 0;
  #sweepAt = 0;
  #finished = 0;
  #endings: (() => Promise<void>)[] = [];
  #sweeper: Timer | undefined;
  #isPumping = false;
  #state: "stopped" | "running" | "draining" | "stopping" = "stopped";
  #changed: (() => void) | undefined;

  /** @throws BusError `INVALID_ARGUMENT`; TypeError or RangeError for wrong options */
  constructor(options: WorkerPoolOptions) {
    const { queue, concurrency = 10, timeoutMs = 600_000 } = options;
    const { leaseMs = DEFAULT_JOB_LEASE_MS } = options;
    const { clock = systemClock, random = systemRandom, workerId } = options;
    checkTaskQueue(queue);
    this.#options = options;
    this.#concurrency = checkInteger("concurrency", concurrency, 1, 1_000);
    this.#leaseMs = checkJobLease(leaseMs);
    this.#timeoutMs = checkDuration("timeoutMs", timeoutMs, 1, 86_400_000);
    this.#backoff = resolveBackoff(options.backoff);
    this.#clock = clock;
    this.#random = random;
    this.#source = new Lanes(options.bus, queue);
    this.workerId = workerId ?? newId(random);
    this.#permits = new LanePermits({
      bus: options.bus,
      pool: `task-permits.${queue}`,
      ttlMs: Math.max(500, leaseMs),
      clock,
      random,
      freed: (lane) => this.#source.free(lane.name),
      // Others may run tasks in their place.
      lost: () => void this.#abortAll("the pool has lost its permits"),
    });
  }

  /** How many tasks run. */
  get running(): number {
    return this.#running.size;
  }

  /** Begins to run tasks. After a failure it may be called again. @throws BusError if the lanes cannot be read */
  async start(): Promise<void> {
    if (this.#state !== "stopped" || this.#endings.length > 0) {
      throw new Error("a worker pool is started once");
    }
    this.#state = "running";
    const listener = {
      found: (lane: LaneEntry) => this.#add(lane),
      gone: (name: string) => this.#remove(name),
      woken: (name: string, delayMs: number) => this.#onWoken(name, delayMs),
      freed: (name: string) => this.#onFreed(name),
    };
    const watch = await this.#source.watch(listener).catch((error: unknown) => {
      this.#state = "stopped";
      throw error;
    });
    const unlisten = this.#options.tenants.onChange((id) => this.#onTenant(id));
    this.#endings = [() => watch.close(), async () => unlisten()];
    this.#sweepLater();
    this.#pumpSoon();
  }

  /** Stops. Never takes longer than `deadlineMs` and two seconds. Idempotent: the first call decides. */
  async stop(options: StopOptions = {}): Promise<StopReport> {
    const { mode = "finish", deadlineMs = 30_000 } = options;
    checkDuration("deadlineMs", deadlineMs, 0, 86_400_000);
    const before = this.#finished;
    this.#state = mode === "drain" && this.#state === "running" ? "draining" : "stopping";
    let aborted = 0;
    if (mode === "abort") aborted = this.#abortAll("the worker pool was stopped");
    else if (!(await this.#quiet(deadlineMs))) {
      aborted = this.#abortAll("the worker pool was stopped, and its time was over");
    }
    this.#state = "stopping";
    await this.#quiet(1_000);
    this.#sweeper?.cancel();
    for (const lane of this.#lanes.values()) lane.stop();
    await Promise.all(this.#endings.map((end) => end()));
    await this.#permits.close();
    return { finished: this.#finished - before, aborted };
  }

  // Lanes.

  #add(entry: LaneEntry): void {
    const { name } = entry;
    if (this.#lanes.has(name)) return;
    this.#lanes.set(name, new Lane(entry, this.#clock, () => this.#wake(name)));
    this.#wake(name);
  }

  #onWoken(name: string, delayMs: number): void {
    const lane = this.#lanes.get(name);
    if (lane && delayMs > 0) this.#wakeLater(lane, delayMs);
    else this.#wake(name);
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
    lane.wakes += 1;
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
    if (this.#state !== "running" && this.#state !== "draining") return;
    const turns = new Map<string, number>();
    for (let free = this.#concurrency - this.#running.size - this.#reserved; free > 0; free--) {
      const name = this.#order.next();
      if (name === undefined) break;
      turns.set(name, (turns.get(name) ?? 0) + 1);
    }
    for (const [name, count] of turns) {
      const lane = this.#lanes.get(name) as Lane;
      this.#reserved += count;
      lane.claims += 1;
      if (lane.claims >= MAX_CLAIMS) this.#order.hold(name);
      void this.#fill(lane, count);
    }
  }

  /** Fills slots with tasks of a lane, as many as there are. Never rejects. */
  async #fill(lane: Lane, slots: number): Promise<void> {
    const { wakes } = lane;
    let started = 0;
    let isEmpty = true;
    try {
      const tenant = this.#options.tenants.peek(lane.tenant);
      const limit = tenant?.status === "active" ? tenant.quotas.running : 0;
      const allowed = await this.#permits.allow(lane, slots, limit);
      lane.isFull = allowed < slots;
      if (lane.isFull) this.#wakeLater(lane, FULL_MS);
      if (allowed > 0) {
        const jobs = await this.#claim(lane, allowed).finally(() => {
          lane.expected -= allowed;
        });
        started = jobs.length;
        isEmpty = jobs.length < slots;
        for (const job of jobs) {
          // A claim may take long: what was permitted before it may be lost.
          if (this.#permits.covers(lane, limit)) this.#run(lane, job);
          else job.nak({ reason: "the permit was lost before it began" }).catch(() => undefined);
        }
      }
    } catch {
      // Whatever it was: the tasks are there, and the lane is looked at again.
      this.#wakeLater(lane, FAILED_MS);
    }
    this.#reserved -= slots;
    lane.claims -= 1;
    this.#order.giveBack(lane.name, slots - started);
    if (!isEmpty || lane.wakes > wakes) {
      this.#want(lane);
    } else {
      this.#order.rest(lane.name);
      if (lane.claims === 0 && !lane.isFull) await this.#permits.giveBack(lane);
    }
    this.#pumpSoon();
    this.#changed?.();
  }

  #claim({ name }: Lane, max: number): Promise<ClaimedJob[]> {
    const { bus, queue } = this.#options;
    const { workerId } = this;
    return bus.jobs.claim(laneQueue(queue, name), { workerId, max, leaseMs: this.#leaseMs });
  }

  #run(lane: Lane, job: ClaimedJob): void {
    const parsed = toTask(job, this.#options.queue);
    if (parsed === undefined) {
      job.deadLetter("this is not a task").catch(() => undefined);
      return;
    }
    const { task, facts } = parsed;
    const running = new RunningTask({
      job,
      task,
      facts,
      handler: this.#options.handlers[task.type],
      clock: this.#clock,
      random: this.#random,
      leaseMs: this.#leaseMs,
      timeoutMs: this.#timeoutMs,
      backoff: this.#backoff,
    });
    this.#running.add(running);
    lane.running += 1;
    void running.run().then((outcome) => {
      this.#running.delete(running);
      lane.running -= 1;
      this.#finished += 1;
      if (outcome.type === "retry") this.#wakeLater(lane, outcome.delayMs);
      this.#options.onOutcome?.(task, outcome);
      // Its slot may be taken, and so may its permit.
      if (lane.isFull) this.#want(lane);
      else this.#pumpSoon();
      this.#changed?.();
    });
  }

  // Ends.

  #abortAll(reason: string): number {
    for (const running of this.#running) running.abort(new Error(reason));
    return this.#running.size;
  }

  /** Waits until nothing runs and nothing is claimed. @returns false if that was not in time */
  async #quiet(limitMs: number): Promise<boolean> {
    const endMs = this.#clock.monotonic() + limitMs;
    const isBusy = (): boolean =>
      this.#running.size + this.#reserved > 0 ||
      (this.#state === "draining" && this.#order.ready > 0);
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

  #sweepLater(): void {
    this.#sweeper = this.#clock.setTimer(() => {
      this.#sweep();
      this.#sweepLater();
    }, SWEEP_MS);
  }

  /** Looks at some lanes that nobody woke: a live message may be lost, and a worker may have died. */
  #sweep(): void {
    const names = [...this.#lanes.keys()];
    for (let count = 0; count < Math.min(SWEPT, names.length); count++) {
      this.#sweepAt = (this.#sweepAt + 1) % names.length;
      this.#wake(names[this.#sweepAt] as string);
    }
  }
}
