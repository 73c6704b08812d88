import { type Bus, openBus, seededRandom, toText } from "@busbar/core";
import { findNatsServer, startNatsServer } from "@busbar/scripts";
import { describe, expect, it } from "vitest";
import { TaskQueue, type TaskRecord, TenantDirectory, TenantRegistry } from "../../src/index.ts";
import { newNamespace } from "../support/backends.ts";
import { UNLIMITED } from "../support/task-setup.ts";
import { Crew } from "./crew.ts";
import { doubledOf, problemsOf } from "./history.ts";

const CAPS = { one: 1, three: 3, ten: 10 } as const;
const WORKERS = ["w1", "w2", "w3", "w4"];
/** With `BUSBAR_KILLS=20` it is the whole figure, which takes some minutes. */
const KILLS = Number(process.env["BUSBAR_KILLS"] ?? 3);
const TASKS_FOR_A_KILL = 48;
const LEASE_MS = 1_000;
const LIMIT_MS = KILLS * 10_000 + 60_000;

/** How each task ended, in the order in which it was written down. */
class Endings implements AsyncDisposable {
  readonly byTask = new Map<string, string[]>();
  readonly #watch: Awaited<ReturnType<Bus["kv"]["watch"]>>;
  #wake: () => void = () => undefined;

  private constructor(watch: Awaited<ReturnType<Bus["kv"]["watch"]>>) {
    this.#watch = watch;
    void this.#read();
  }

  static async open(bus: Bus): Promise<Endings> {
    return new Endings(await bus.kv.watch("task-records.q"));
  }

  /** Resolves when so many tasks have ended. */
  async reach(count: number): Promise<void> {
    const limit = AbortSignal.timeout(LIMIT_MS);
    while (this.byTask.size < count) {
      limit.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        limit.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#watch.close();
  }

  async #read(): Promise<void> {
    for await (const event of this.#watch) {
      if (event.type !== "put") continue;
      const { status } = JSON.parse(toText(event.value)) as TaskRecord;
      if (status === "retrying") continue;
      this.byTask.set(event.key, [...(this.byTask.get(event.key) ?? []), status]);
      this.#wake();
    }
  }
}

const binary = await findNatsServer().catch((error: Error) => error);

describe.skipIf(binary instanceof Error)("worker processes that are killed", () => {
  it("run no more of a tenant than they may, lose no task, and run none twice at a time", {
    timeout: LIMIT_MS,
  }, async () => {
    if (binary instanceof Error) throw binary;
    const seed = Number(process.env["BUSBAR_FIRST_SEED"] ?? Math.floor(Math.random() * 1_000_000));
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    const namespace = newNamespace();
    await using server = await startNatsServer({ binary });
    await using bus = await openBus({ backend: "nats", servers: server.url, namespace });
    const registry = new TenantRegistry(bus);
    for (const [id, running] of Object.entries(CAPS)) {
      await registry.register({ id, name: id, quotas: { ...UNLIMITED, running } });
    }
    const tenants = await TenantDirectory.open(registry);
    await using tasks = new TaskQueue({ bus, queue: "q", tenants });
    await using crew = await Crew.open({ url: server.url, namespace, leaseMs: LEASE_MS });
    await Promise.all(WORKERS.map((name) => crew.start(name)));
    const total = KILLS * TASKS_FOR_A_KILL;
    const handles = await tasks.submitMany(
      Array.from({ length: total }, (_, index) => {
        // Many may run of who has many.
        const tenant = ["one", "three", "three", "ten", "ten", "ten"][index % 6] as string;
        return { tenant, type: "work", maxAttempts: 1_000 };
      }),
    );
    await using endings = await Endings.open(bus);
    const starting: Promise<void>[] = [];
    for (let kill = 1; kill <= KILLS; kill++) {
      await endings.reach(((kill - 0.5) * total) / KILLS);
      const names = await crew.busy();
      const name = names[Math.floor(random.next() * names.length)] as string;
      await crew.kill(name);
      starting.push(crew.start(name));
      // So many are there always.
      if (starting.length === 3) await starting.shift();
    }
    await Promise.all([endings.reach(total), ...starting]);
    await crew.stop();
    const ids = handles.map(({ id }) => id);
    const history = await crew.history();
    const facts = { kills: KILLS, tasks: total, doubled: doubledOf(history) };
    console.log(JSON.stringify({ ...facts, cut: history.filter(isCut).length }));
    expect(problemsOf(history, CAPS, ids)).toEqual([]);
    expect([...endings.byTask.values()].filter((all) => all.join() !== "done")).toEqual([]);
    for (const handle of handles) expect((await handle.record())?.value).toBe(handle.id);
    // The kills do something.
    expect(history.filter(isCut).length).toBeGreaterThan(0);
    await tenants.close();
  });
});

/** Whether its process was killed while it ran. */
function isCut({ toMs, lostAtMs }: { toMs: number; lostAtMs: number | undefined }): boolean {
  return toMs === lostAtMs;
}
