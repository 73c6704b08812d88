import { setTimeout as sleep } from "node:timers/promises";
import type {
  Schedules,
  TaskHandle,
  TaskQueue,
  TaskRecord,
  TenantDirectory,
  TenantRegistry,
} from "@busbar/coordination";
import { type Bus, errorCode } from "@busbar/core";
import { Board, type BoardRow } from "./board.ts";
import { LEASE_MS, NOISY, QUIET, SUSPENDED, TENANTS } from "./cast.ts";
import { startWorker, type Worker } from "./crew.ts";
import { mostAtOnce, type Promised } from "./promises.ts";
import { Tally } from "./tally.ts";
import { BUSY_ADDRESS, mail, report, upload, WRONG_ADDRESS } from "./work.ts";

/** What the story is played with. */
export interface Stage {
  readonly bus: Bus;
  /** For the workers. */
  readonly url: string;
  readonly registry: TenantRegistry;
  readonly tenants: TenantDirectory;
  readonly queue: TaskQueue;
  readonly schedules: Schedules;
}

const WORKERS = 3;
const NOISY_TASKS = 600;
const UPLOADS = 6;
const QUIET_TASKS = 10;
const SUSPENDED_TASKS = 20;
const TICKS = 5;
const TICK_MS = 1_000;
const POLL_MS = 200;
/** How many records are read at a time. */
const READS = 50;

const [ANNA, BERT, CLEO] = QUIET;

/** What the demo plays, and what it remembers of it. */
export class Story {
  readonly board: Board;
  readonly #stage: Stage;
  readonly #signal: AbortSignal;
  readonly #tally = new Tally();
  readonly #workers: Worker[] = [];
  /** Every task that was submitted here, by its id. */
  readonly #handles = new Map<string, TaskHandle<unknown>>();
  /** Tasks of each tenant that wait, as they were last counted. */
  readonly #waiting = new Map<string, number>();
  readonly #facts = new Map<string, number>();

  constructor(stage: Stage, signal: AbortSignal) {
    this.#stage = stage;
    this.#signal = signal;
    this.board = new Board(() => this.#rows());
  }

  /** From the first submission to the last result. */
  async play(): Promise<void> {
    const over = new AbortController();
    const counting = this.#count(over.signal);
    const numbers = Array.from({ length: WORKERS }, (_, index) => index + 1);
    await Promise.all(numbers.map((number) => this.#hire(`worker-${number}`)));
    await this.#schedule();
    await this.#noise();
    await Promise.all([this.#quiet(), this.#suspension(), this.#cancels(), this.#failures()]);
    await this.#crash();
    await this.#end();
    over.abort();
    await counting;
    await this.#delete();
  }

  /** Everybody goes home. */
  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    this.board[Symbol.dispose]();
  }

  /** A recurring task. Whoever of the workers leads submits it. */
  async #schedule(): Promise<void> {
    await this.#stage.schedules.put({
      tenant: ANNA.id,
      id: "hourly",
      times: { everyMs: TICK_MS },
      task: { type: report.type, payload: "{}" },
      catchUp: "all",
      maxTicks: TICKS,
    });
    this.board.say(`anna has a recurring task: every ${TICK_MS} ms, ${TICKS} times`);
  }

  /** One tenant wants everything at once. */
  async #noise(): Promise<void> {
    const { queue } = this.#stage;
    const mails = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        tenant: NOISY.id,
        type: mail.type,
        payload: JSON.stringify({ to: `customer-${index}@example.org` }),
      }));
    this.#keep(...(await queue.submitMany(mails(NOISY_TASKS))));
    this.board.say(`noisy submits ${NOISY_TASKS} tasks; ${NOISY.quotas.running} may run at once`);
    const refused = await queue.submitMany(mails(NOISY_TASKS)).catch((error: unknown) => error);
    this.#facts.set("refused", Number(errorCode(refused) === "LIMIT_EXCEEDED"));
    if (refused instanceof Error) this.board.say(`as many again: ${refused.message}`);
  }

  /** Others want little, and do not stand behind it. */
  async #quiet(): Promise<void> {
    const results = QUIET.map(async ({ id }) => {
      for (let number = 1; number <= QUIET_TASKS; number++) {
        const task = await this.#mail(id, `${id}-${number}@example.org`);
        await task.result({ signal: this.#signal });
      }
    });
    await Promise.all(results);
    const { ready } = await this.#stage.queue.stats(NOISY.id);
    this.#facts.set("noisyWaits", ready);
    this.board.say(
      `the quiet ones have ${QUIET.length * QUIET_TASKS} results, one after the other, ` +
        `while ${ready} tasks of noisy wait`,
    );
  }

  /** Of a suspended tenant nothing runs and nothing is lost. */
  async #suspension(): Promise<void> {
    const { registry, queue } = this.#stage;
    const { id } = SUSPENDED;
    const tasks = await queue.submitMany(
      Array.from({ length: SUSPENDED_TASKS }, (_, index) => ({
        tenant: id,
        type: mail.type,
        payload: JSON.stringify({ to: `friend-${index}@example.org` }),
        // Late enough that all workers know by then.
        delayMs: 1_500,
      })),
    );
    this.#keep(...tasks);
    await registry.suspend(id);
    await this.#untilKnown(id, "suspended");
    const refused = await this.#mail(id, "late@example.org").catch((error: unknown) => error);
    this.#facts.set("suspendedRefused", Number(errorCode(refused) === "PERMISSION_DENIED"));
    this.board.say(`dora is suspended: ${SUSPENDED_TASKS} tasks wait, a new one is refused`);
    await this.#tally.until(() => this.#tally.of(NOISY.id).done > NOISY_TASKS / 2, this.#signal);
    const [first] = tasks;
    const { text = "" } = first ? await queue.explain(first.id) : {};
    this.board.say(`why does dora's first task not run? ${text.replaceAll("\n", "; ")}`);
    const { ready, delayed } = await queue.stats(id);
    this.#facts.set("suspendedWaits", ready + delayed);
    await registry.activate(id);
    for (const task of tasks) await task.result({ signal: this.#signal });
    this.board.say(`dora is active again, and has ${tasks.length} results`);
  }

  /** Tasks that nobody wants any more: one that waits, one that runs. */
  async #cancels(): Promise<void> {
    const queued = [...this.#handles.values()].findLast(({ tenant }) => tenant === NOISY.id);
    if (await queued?.cancel("not wanted any more")) this.#tally.of(NOISY.id).cancelled += 1;
    const running = this.#keepOne(
      await upload.submit(this.#stage.queue, { tenant: BERT.id, input: { parts: 600 } }),
    );
    const isRunning = () => this.#tally.holderOf(running.id) !== undefined;
    await this.#tally.until(isRunning, this.#signal);
    const startedAt = performance.now();
    await running.cancel("not wanted any more");
    await this.#tally.until(() => !isRunning(), this.#signal);
    const tookMs = Math.round(performance.now() - startedAt);
    this.board.say(`one task is cancelled while it waits, one while it runs, within ${tookMs} ms`);
    const results = [await queued?.result(), await running.result()];
    const cancelled = results.filter((result) => result?.ok === false && isCancel(result.error));
    this.#facts.set("cancelled", cancelled.length);
  }

  /** What fails for now is tried again, what fails for good is kept for people to look at. */
  async #failures(): Promise<void> {
    const { dead } = this.#stage.queue;
    const busy = await this.#mail(ANNA.id, BUSY_ADDRESS);
    const wrong = await this.#mail(ANNA.id, WRONG_ADDRESS);
    const results = [busy, wrong].map((task) => task.result({ signal: this.#signal }));
    const [first, second] = await Promise.all(results);
    const { attempts = [] } = (await busy.record()) ?? {};
    this.#facts.set("retried", Number(first?.ok));
    const { tasks } = await dead.list(ANNA.id);
    const kept = tasks.filter(({ id }) => id === wrong.id && second?.ok === false);
    this.#facts.set("dead", kept.length);
    this.board.say(
      `a mail of anna was sent in attempt ${attempts.at(-1)?.attempt}, one is dead: ${kept[0]?.reason}`,
    );
  }

  /** A worker is killed in the middle of its tasks; others do them from the beginning. */
  async #crash(): Promise<void> {
    const { queue } = this.#stage;
    const noisy = this.#tally.of(NOISY.id);
    await this.#tally.until(() => noisy.done + noisy.cancelled >= NOISY_TASKS, this.#signal);
    const tasks = await Promise.all(
      Array.from({ length: UPLOADS }, (_, index) =>
        upload.submit(queue, { tenant: index % 2 ? BERT.id : CLEO.id, input: { parts: 20 } }),
      ),
    );
    for (const task of tasks) this.#keepOne(task);
    const holderOf = ({ id }: { readonly id: string }) => this.#tally.holderOf(id);
    await this.#tally.until(() => tasks.every((task) => holderOf(task)), this.#signal);
    const name = tasks.map(holderOf)[0];
    const victim = this.#workers.find((worker) => worker.name === name) as Worker;
    const end = await victim.kill();
    const held = this.#tally.heldBy(victim.name);
    this.#tally.bury(victim.name);
    this.board.say(
      `${victim.name} (${victim.place}) is dead: ${end}, with uploads in its hands: ` +
        `${held.length}; a lease lasts ${LEASE_MS} ms`,
    );
    await this.#hire(`worker-${WORKERS + 1}`);
    const again = await Promise.all(held.map((id) => queue.task(id)));
    const results = await Promise.all(again.map((task) => task.result({ signal: this.#signal })));
    this.#facts.set("held", held.length);
    this.#facts.set("heldDone", results.filter(({ ok }) => ok).length);
    this.board.say(`others have done what ${victim.name} held`);
  }

  /** Until nothing waits, nothing runs and the last tick has come. */
  async #end(): Promise<void> {
    for (;;) {
      const stats = await Promise.all(TENANTS.map(({ id }) => this.#stage.queue.stats(id)));
      const left = stats.reduce(
        (sum, { ready, delayed, leased }) => sum + ready + delayed + leased,
        0,
      );
      if (left === 0 && this.#tally.ticks.size >= TICKS) break;
      await sleep(POLL_MS, undefined, { signal: this.#signal });
    }
    const records = await this.#records();
    this.#facts.set("lost", records.filter(([, { status }]) => status === "retrying").length);
    this.#facts.set("missing", this.#handles.size - records.length);
    const noisy = records.filter(([tenant]) => tenant === NOISY.id).map(([, record]) => record);
    this.#facts.set("atOnce", mostAtOnce(noisy));
    this.board.say(`nothing waits and nothing runs: ${this.#handles.size} tasks have ended`);
  }

  /** A tenant goes, and all it has. */
  async #delete(): Promise<void> {
    const { bus, registry } = this.#stage;
    const before = await bus.storage();
    await registry.delete(NOISY.id);
    const after = await bus.storage();
    this.#facts.set("freed", before.bytes - after.bytes);
    this.board.say(
      `noisy is deleted with its results: ${before.bytes.toLocaleString("en")} bytes were stored, ` +
        `${after.bytes.toLocaleString("en")} are`,
    );
  }

  /** What had to be, and what was. */
  promises(): Promised[] {
    const fact = (name: string): number => this.#facts.get(name) ?? 0;
    const ticks = [...this.#tally.ticks.values()];
    return [
      {
        what: "tasks without an end",
        found: fact("missing") + fact("lost"),
        must: "is",
        wanted: 0,
      },
      {
        what: "tasks of noisy at once",
        found: fact("atOnce"),
        must: "atMost",
        wanted: NOISY.quotas.running,
      },
      { what: "submissions over a quota, refused", found: fact("refused"), must: "is", wanted: 1 },
      {
        what: "tasks of noisy that waited when the quiet ones were done",
        found: fact("noisyWaits"),
        must: "atLeast",
        wanted: 1,
      },
      {
        what: "submissions while suspended, refused",
        found: fact("suspendedRefused"),
        must: "is",
        wanted: 1,
      },
      {
        what: "tasks that waited while suspended",
        found: fact("suspendedWaits"),
        must: "is",
        wanted: SUSPENDED_TASKS,
      },
      {
        what: "tasks done after that",
        found: this.#tally.of(SUSPENDED.id).done,
        must: "is",
        wanted: SUSPENDED_TASKS,
      },
      {
        what: "tasks cancelled, waiting and running",
        found: fact("cancelled"),
        must: "is",
        wanted: 2,
      },
      { what: "tasks that failed once, done", found: fact("retried"), must: "is", wanted: 1 },
      { what: "dead tasks to look at", found: fact("dead"), must: "is", wanted: 1 },
      { what: "tasks of the killed worker", found: fact("held"), must: "atLeast", wanted: 1 },
      { what: "of them done by others", found: fact("heldDone"), must: "is", wanted: fact("held") },
      { what: "ticks of the recurring task", found: ticks.length, must: "is", wanted: TICKS },
      {
        what: "tasks for them",
        found: ticks.reduce((sum, { size }) => sum + size, 0),
        must: "is",
        wanted: TICKS,
      },
      { what: "bytes freed with a tenant", found: fact("freed"), must: "atLeast", wanted: 1 },
    ];
  }

  async #hire(name: string): Promise<void> {
    const { url } = this.#stage;
    const worker = await startWorker({ url, name }, (from, event) =>
      this.#tally.hear(from.name, event),
    );
    this.#workers.push(worker);
    this.board.say(`${name} works, ${worker.place}`);
  }

  async #mail(tenant: string, to: string) {
    return this.#keepOne(await mail.submit(this.#stage.queue, { tenant, input: { to } }));
  }

  #keepOne<Value>(handle: TaskHandle<Value>): TaskHandle<Value> {
    this.#handles.set(handle.id, handle);
    return handle;
  }

  #keep(...handles: readonly TaskHandle[]): void {
    for (const handle of handles) this.#keepOne(handle);
  }

  /** Resolves when this process knows that a tenant has this status. */
  async #untilKnown(id: string, status: string): Promise<void> {
    const { tenants } = this.#stage;
    if (tenants.peek(id)?.status === status) return;
    await new Promise<void>((resolve) => {
      const end = tenants.onChange(() => {
        if (tenants.peek(id)?.status !== status) return;
        end();
        resolve();
      });
    });
  }

  /** What is kept of the tasks that were submitted here, with their tenants. */
  async #records(): Promise<(readonly [tenant: string, record: TaskRecord])[]> {
    const found: (readonly [string, TaskRecord])[] = [];
    const handles = [...this.#handles.values()];
    for (let from = 0; from < handles.length; from += READS) {
      const some = handles.slice(from, from + READS);
      const records = await Promise.all(some.map((handle) => handle.record()));
      for (const [index, record] of records.entries()) {
        if (record !== undefined) found.push([some[index]?.tenant ?? "", record]);
      }
    }
    return found;
  }

  /** Keeps the table up to date. */
  async #count(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const { id } of TENANTS) {
        const { ready, delayed } = await this.#stage.queue.stats(id);
        this.#waiting.set(id, ready + delayed);
      }
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #rows(): BoardRow[] {
    return TENANTS.map(({ id }) => {
      const { running, ...counts } = this.#tally.of(id);
      const status = this.#stage.tenants.peek(id)?.status ?? "gone";
      const waiting = this.#waiting.get(id) ?? 0;
      return { tenant: id, status, waiting, running: running.size, ...counts };
    });
  }
}

function isCancel({ kind }: { readonly kind: string }): boolean {
  return kind === "cancelled";
}
