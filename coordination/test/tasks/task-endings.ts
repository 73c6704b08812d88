import {
  ALL_FAULTS,
  type ProcessContext,
  simulate,
  standardCheckers,
  type World,
} from "@busbar/bus-memory";
import { errorCode } from "@busbar/core";
import {
  DiscardTask,
  type TaskHandle,
  TaskQueue,
  type TaskRecord,
  type TaskResult,
  TenantDirectory,
  TenantRegistry,
  WorkerPool,
} from "../../src/index.ts";
import { insist } from "../support/insist.ts";

const TENANTS = [
  { id: "one", running: 1 },
  { id: "three", running: 3 },
  { id: "purged", running: null },
];
const TASKS = 60;
const LEASE_MS = 2_000;

/** What is known of a task from outside. */
interface Story {
  readonly handle: TaskHandle;
  /** Of its record. */
  readonly key: string;
  readonly text: string;
  readonly keepResult: boolean;
  /** What `cancel()` said; `unsure` if its answer was lost. */
  cancel: "none" | "true" | "false" | "unsure";
  /** Removed by a purge, maybe. */
  mayBePurged?: boolean;
}

/** What happened, by task. */
export class Books {
  readonly stories = new Map<string, Story>();
  /** How often its handler returned, and how often a pool said that it was done. */
  readonly returned = new Map<string, number>();
  readonly done = new Map<string, number>();
  /** How it ended, each time that it was written down, by the key of the record. */
  readonly finals = new Map<string, string[]>();
  readonly violations: string[] = [];
  readonly endings = { done: 0, dead: 0, cancelled: 0, purged: 0 };

  /** All that must hold of a task when everything is over. */
  judge(story: Story, result: TaskResult | "gone", dead: ReadonlySet<string>): void {
    const { handle, cancel, text } = story;
    const { id } = handle;
    const wrong = (what: string): void => {
      const facts = `cancel ${cancel}, returned ${this.returned.get(id)}, done ${this.done.get(id)}`;
      this.violations.push(`${id} (${text}): ${what}; ${facts}, ${JSON.stringify(result)}`);
    };
    const finals = this.finals.get(story.key) ?? [];
    if (finals.length > 1) wrong(`ends twice: ${finals.join()}`);
    if ((this.done.get(id) ?? 0) > 1 && story.keepResult) wrong("was done twice");
    if (result === "gone") {
      this.endings.purged += 1;
      if (!story.mayBePurged) wrong("is lost");
      if (dead.has(id)) wrong("is dead and nothing is known of it");
      return;
    }
    const how = result.ok ? "done" : result.error.kind === "cancelled" ? "cancelled" : "dead";
    this.endings[how] += 1;
    if (how !== "done" && this.done.has(id)) wrong("was done");
    if (how !== "dead" && dead.has(id)) wrong("is in the dead letters");
    // A purge may come before its worker has buried it.
    const mayBeGone = dead.has(id) || story.mayBePurged === true;
    if (how === "dead" && !mayBeGone) wrong("is not in the dead letters");
    if (how === "cancelled" && (cancel === "none" || cancel === "false")) wrong("nobody did that");
    if (how !== "cancelled" && cancel === "true") wrong("was cancelled");
    if (result.ok && result.value !== text) wrong("has the result of another");
    if (result.ok && !this.returned.has(id)) wrong("has a result that no handler returned");
  }

  /** Without a record there is less to see. */
  judgeUnkept(story: Story, dead: ReadonlySet<string>): void {
    const { id } = story.handle;
    const isOver = this.returned.has(id) || dead.has(id) || story.mayBePurged;
    if (!isOver && story.cancel === "none") this.violations.push(`${id} is lost`);
    if (!isOver && story.cancel === "false") this.violations.push(`${id} is lost, not cancelled`);
    if (story.cancel === "true" && dead.has(id)) this.violations.push(`${id} is dead, cancelled`);
  }
}

function worker(books: Books) {
  return async (context: ProcessContext): Promise<void> => {
    const { bus, clock, random, signal } = context;
    const registry = new TenantRegistry(bus, { clock, random });
    const tenants = await insist(context, () => TenantDirectory.open(registry), random);
    const pool = new WorkerPool({
      bus,
      queue: "q",
      tenants,
      clock,
      random,
      concurrency: 4,
      leaseMs: LEASE_MS,
      backoff: { firstMs: 50, maxMs: 200 },
      onEvent: (event) => {
        if (event.type === "ended" && event.outcome.type === "done")
          count(books.done, event.task.id);
      },
      handlers: {
        work: async (task, attempt) => {
          await clock.sleep(random.next() * 300, { signal: attempt.signal });
          const luck = random.next();
          if (luck < 0.1) throw new Error("no luck");
          if (luck < 0.13) throw new DiscardTask("not wanted");
          count(books.returned, task.id);
          return new TextDecoder().decode(task.payload);
        },
      },
    });
    await insist(context, () => pool.start(), random);
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  };
}

function count(counts: Map<string, number>, id: string): void {
  counts.set(id, (counts.get(id) ?? 0) + 1);
}

async function cancelLater(world: World, story: Story): Promise<void> {
  await world.sleep(world.random.next() * 2_000);
  try {
    story.cancel = (await story.handle.cancel()) ? "true" : "false";
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    // Purged, or its answer is lost.
    story.cancel = "unsure";
  }
}

async function purge(tasks: TaskQueue, world: World, books: Books): Promise<void> {
  await insist(world, () => tasks.purge("purged"), world.random);
  for (const story of books.stories.values()) {
    if (story.handle.tenant === "purged") story.mayBePurged = true;
  }
}

/** Every record that says how a task ended, in the order in which they were written. */
async function watchEnds(world: World, books: Books): Promise<void> {
  const decoder = new TextDecoder();
  const watch = await world.bus.kv.watch("task-records.q");
  void (async () => {
    for await (const event of watch) {
      if (event.type !== "put") continue;
      const { status } = JSON.parse(decoder.decode(event.value)) as TaskRecord;
      if (status === "retrying") continue;
      books.finals.set(event.key, [...(books.finals.get(event.key) ?? []), status]);
    }
  })();
}

/** Runs tasks, cancels and a purge under faults. @returns what happened, judged */
export async function playEndings(seed: number): Promise<Books> {
  const books = new Books();
  await simulate({ seed, faults: ALL_FAULTS, checkers: standardCheckers }, async (world) => {
    const registry = new TenantRegistry(world.bus, world);
    for (const { id, running } of TENANTS) {
      await registry.register({ id, name: id, quotas: { running } });
    }
    for (const name of ["w1", "w2", "w3"]) world.process(name, worker(books));
    const tenants = await TenantDirectory.open(registry);
    const shop = world.process("shop");
    const tasks = new TaskQueue({ bus: shop.bus, queue: "q", tenants, clock: shop.clock });
    const cancels: Promise<void>[] = [];
    let isWatched = false;
    const purgedAt = Math.floor(world.random.next() * TASKS);
    for (let index = 0; index < TASKS; index++) {
      const { id: tenant } = TENANTS[index % TENANTS.length] as { id: string };
      const keepResult = world.random.next() < 0.85;
      // Between two submits: one that was submitted, purged and submitted again stays away.
      if (index === purgedAt) await purge(tasks, world, books);
      const maxAttempts = world.random.next() < 0.5 ? 3 : 1_000;
      const task = { tenant, type: "work", payload: `${index}`, maxAttempts, keepResult };
      const submit = () => tasks.submit({ ...task, dedupKey: `${index}` });
      const handle = await insist(shop, submit, world.random);
      const key = `${tenants.peek(tenant)?.storageId}.${handle.id.slice(tenant.length + 1)}`;
      const text = `${index}`;
      const story: Story = { handle, key, text, keepResult, cancel: "none" };
      books.stories.set(handle.id, story);
      // From the first record on: a watch must not be what makes the bucket.
      if (keepResult && !isWatched) await watchEnds(world, books);
      isWatched ||= keepResult;
      if (world.random.next() < 0.25) cancels.push(cancelLater(world, story));
      await world.sleep(world.random.next() * 100);
    }
    await Promise.all(cancels);
    await world.sleep(20_000);
    world.heal();
    await judge(world, books, tenants);
    await tenants.close();
  });
  return books;
}

async function judge(world: World, books: Books, tenants: TenantDirectory): Promise<void> {
  const { bus, clock } = world;
  const tasks = new TaskQueue({ bus, queue: "q", tenants, clock });
  const results = new Map<Story, TaskResult | "gone">();
  for (const story of books.stories.values()) {
    const { id } = story.handle;
    if (!story.keepResult) continue;
    try {
      results.set(story, await (await tasks.task(id)).result({ timeoutMs: 120_000 }));
    } catch (error) {
      if (errorCode(error) === "NOT_FOUND") results.set(story, "gone");
      else books.violations.push(`${id}: ${String(error)}`);
    }
  }
  await world.until(
    "nothing is queued",
    async () => {
      const stats = await Promise.all(TENANTS.map(({ id }) => tasks.stats(id)));
      return stats.every(({ ready, delayed, leased }) => ready + delayed + leased === 0);
    },
    { withinMs: 120_000, everyMs: 100 },
  );
  const dead = new Set<string>();
  for (const { id } of TENANTS) {
    for (const task of (await tasks.dead.list(id)).tasks) dead.add(task.id);
  }
  for (const [story, result] of results) books.judge(story, result, dead);
  for (const story of books.stories.values()) {
    if (!story.keepResult) books.judgeUnkept(story, dead);
  }
}
