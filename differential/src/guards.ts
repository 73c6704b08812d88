import type { Step } from "./script.ts";

// What is sent and not awaited (a settle, the giving back of a close) needs a moment on a server. The
// reference puts a step that would see whether it was quick into the next tick; the other run follows.

/** What a step has to do with others of its tick. */
interface Concerns {
  /** What must not have been touched in this tick. */
  readonly needs?: readonly string[];
  /** What is still on its way when the step has resolved. */
  readonly touches?: readonly string[];
  /** How long it takes on a server, in parts of a tick's {@link BUDGET}. */
  readonly cost?: number;
}

/** What all steps of a tick may cost together. */
const BUDGET = 14;
/** How long a server may take to be back, with everybody. */
const RESTART_TICKS = 8;
/** Touched by what may have to do with anything. */
const ALL = "*";

function join(one: Concerns, other: Concerns): Concerns {
  return {
    needs: [...(one.needs ?? []), ...(other.needs ?? [])],
    touches: [...(one.touches ?? []), ...(other.touches ?? [])],
  };
}

/** Decides in which tick a step can be run. */
export class Ticks {
  readonly #touched = new Map<string, number>();
  readonly #durables = new Map<string, string>();
  /** Until which tick somebody may wait, by what for: a queue, or leases. */
  readonly #waiters = new Map<string, number>();
  #tick = 0;
  #spent = 0;

  /** The tick of a step, given the one before. */
  place(step: Step): number {
    if (step.op === "wait") {
      this.#next(step.ticks);
      return this.#tick;
    }
    const { needs = [], touches = [], cost = 1 } = this.#concernsOf(step);
    const mustWait = [...needs, ALL].some((what) => this.#touched.get(what) === this.#tick);
    if (mustWait || this.#spent + cost > BUDGET) this.#next(1);
    this.#spent += cost;
    for (const what of touches) this.#touched.set(what, this.#tick);
    const tick = this.#tick;
    if (step.op === "restartServer") this.#next(RESTART_TICKS);
    return tick;
  }

  #next(ticks: number): void {
    this.#tick += ticks;
    this.#spent = 0;
  }

  /** Somebody waits for something that a later step may bring. */
  #wait(what: string, units: number | undefined): void {
    if (units === undefined) return;
    const until = this.#tick + Math.ceil(units) + 1;
    this.#waiters.set(what, Math.max(until, this.#waiters.get(what) ?? 0));
  }

  /** What a step brings to those who wait is with them before the next one asks for it. */
  #around(what: string): Concerns {
    const isWaitedFor = (this.#waiters.get(what) ?? -1) >= this.#tick;
    return isWaitedFor ? { needs: [what], touches: [what] } : {};
  }

  #concernsOf(step: Step): Concerns {
    switch (step.op) {
      case "closeBus":
        // What is still under way would or would not come before the end.
        if (this.#spent > 0) this.#next(1);
        return { touches: [ALL], cost: 5 };
      case "openBus":
        return { touches: [ALL], cost: 5 };
      case "restartServer":
        // What is still under way would or would not come before the end.
        this.#next(1);
        return {};
      case "notify":
      case "publish":
        return { touches: ["live"] };
      case "hear":
      case "listen":
      case "unlisten":
        // A small buffer must have overflowed before it is looked at.
        return { needs: ["live"] };
      case "poll": {
        const what = `durable ${step.durable}`;
        return { needs: [what], touches: [what], cost: 3 };
      }
      case "subscribe": {
        const what = `durable ${step.durable ?? step.name}`;
        this.#durables.set(step.name, what);
        return { needs: [what], touches: [what], cost: 2 };
      }
      case "unsubscribe": {
        const what = this.#durables.get(step.name) ?? "";
        return { needs: [what, "live"], touches: [what], cost: 2 };
      }
      case "settle":
        return {
          touches: [this.#durables.get(step.owner) ?? `durable ${step.owner}`],
        };
      case "deleteDurable": {
        const what = `durable ${step.durable}`;
        return { needs: [what], touches: [what], cost: 2 };
      }
      case "dead": {
        const what = `${step.kind} ${step.owner}`;
        if (step.verb !== "replay") return { needs: [what], cost: 2 };
        const claims = this.#around(`claims of ${step.owner}`);
        return { ...join(claims, { needs: [what], touches: [what] }), cost: 2 };
      }
      case "enqueue":
      case "enqueueMany":
        return this.#around(`claims of ${step.queue}`);
      case "job":
        return join(this.#around(`claims of ${step.queue}`), { touches: [`queue ${step.queue}`] });
      case "claim": {
        const what = `queue ${step.queue}`;
        const claims = this.#around(`claims of ${step.queue}`);
        this.#wait(`claims of ${step.queue}`, step.wait);
        return { ...join(claims, { needs: [what], touches: [what] }), cost: 2 };
      }
      case "lease": {
        const concerns = this.#around("leases");
        this.#wait("leases", step.wait);
        return concerns;
      }
      case "leaseCall":
        return this.#around("leases");
      case "purge":
      case "deleteQueue":
      case "pause":
      case "resume": {
        const what = `queue ${step.queue}`;
        const claims = this.#around(`claims of ${step.queue}`);
        return { ...join(claims, { needs: [what], touches: [what] }), cost: 2 };
      }
      case "ensureBucket":
      case "deleteBucket":
      case "watch":
      case "race":
        return { touches: ["values"], cost: 2 };
      case "unwatch":
        return { needs: ["values"] };
      case "put":
      case "create":
      case "cas":
      case "delete":
        return { touches: ["values"] };
      case "request":
      case "requestMany":
        // One in the background is still on its way.
        return step.name === undefined ? {} : { needs: ["requests"], touches: ["requests"] };
      case "unserve":
      case "serve":
        return { needs: [`rpc ${step.name}`, "requests"], touches: [`rpc ${step.name}`] };
      case "bad":
      case "get":
      case "history":
      case "join":
      case "keys":
      case "stats":
      case "take":
      case "wait":
      case "watched":
        return {};
    }
  }
}
