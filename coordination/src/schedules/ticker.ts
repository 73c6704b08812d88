import { errorCode, type Timer } from "@busbar/core";
import { Heap } from "@busbar/core/adapter";
import { type NextLook, nextLook, tick, type TickParts } from "./tick.ts";

/** When a schedule is to be looked at. */
interface Plan extends NextLook {
  readonly key: string;
  readonly tenant: string;
}

/** Schedules that are looked at at a time. */
const CONCURRENCY = 32;
/** The wall clock may jump: it is read at least this often. */
const MAX_WAIT_MS = 60_000;
/** How long a schedule waits when the server did not answer. */
const FAILED_MS = 500;

/** Looks at each schedule of a queue when it is due, as long as it runs. */
export class Ticker {
  readonly #parts: TickParts;
  readonly #plans = new Map<string, Plan>();
  readonly #heap = new Heap<Plan & { readonly atMs: number }>((a, b) => a.atMs < b.atMs);
  readonly #busy = new Map<string, Promise<void>>();
  #signal = new AbortController().signal;
  #timer: Timer | undefined;

  constructor(parts: TickParts) {
    this.#parts = parts;
  }

  /** Resolves when the signal aborts, or the bus ends, and nothing is under way any more. */
  async run(signal: AbortSignal): Promise<void> {
    const { bucket, queue, tenants } = this.#parts;
    this.#signal = signal;
    if (signal.aborted) return;
    const unlisten = tenants.onChange((id) => this.#onTenant(id));
    try {
      // What cannot be read is left alone.
      const options = { key: `${queue.queue}.>`, signal, onInvalid: () => undefined };
      await using watch = await bucket.watch(options);
      for await (const event of watch) {
        if (event.type === "initialDone") continue;
        const { key, revision } = event;
        if (event.type === "delete") this.#plans.delete(key);
        else if ((this.#plans.get(key)?.revision ?? 0) < revision) {
          const { tenant } = event.value;
          this.#plan({ key, tenant, revision, atMs: nextLook(this.#parts, event.value) });
        }
      }
    } finally {
      unlisten();
      this.#plans.clear();
      this.#timer?.cancel();
      await Promise.all(this.#busy.values());
    }
  }

  #onTenant(id: string): void {
    const atMs = this.#parts.clock.now();
    for (const plan of this.#plans.values()) if (plan.tenant === id) this.#plan({ ...plan, atMs });
  }

  #plan(plan: Plan): void {
    this.#plans.set(plan.key, plan);
    this.#queue(plan);
  }

  #queue(plan: Plan): void {
    if (plan.atMs === undefined || this.#busy.has(plan.key)) return;
    this.#heap.push(plan as Plan & { atMs: number });
    this.#pump();
  }

  #pump(): void {
    this.#timer?.cancel();
    const { clock } = this.#parts;
    for (let first = this.#heap.first; first !== undefined; first = this.#heap.first) {
      const isValid = this.#plans.get(first.key) === first && !this.#busy.has(first.key);
      const waitMs = first.atMs - clock.now();
      if (isValid && waitMs > 0) {
        this.#timer = clock.setTimer(() => this.#pump(), Math.min(waitMs, MAX_WAIT_MS));
        return;
      }
      if (isValid && this.#busy.size >= CONCURRENCY) return;
      this.#heap.pop();
      if (isValid) this.#busy.set(first.key, this.#look(first));
    }
  }

  /** Never rejects. */
  async #look({ key, tenant, revision }: Plan): Promise<void> {
    const { clock } = this.#parts;
    let next: NextLook;
    try {
      next = await tick(this.#parts, key, this.#signal);
    } catch (error) {
      // The end of the bus ends the watch as well. Else it is in the record what was not finished.
      next =
        errorCode(error) === "CLOSED" ? { revision } : { revision, atMs: clock.now() + FAILED_MS };
    }
    this.#busy.delete(key);
    const known = this.#plans.get(key);
    if (known === undefined || this.#signal.aborted) return;
    if (known.revision > next.revision) this.#queue(known);
    else this.#plan({ key, tenant, ...next });
    this.#pump();
  }
}
