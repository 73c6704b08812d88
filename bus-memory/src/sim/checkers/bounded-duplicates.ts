import { checkInteger } from "@busbar/core/adapter";
import type { CountingChecker } from "../checker.ts";
import type { TraceEvent } from "../trace.ts";
import type { JobFacts, MessageFacts } from "./facts.ts";

/** How many duplicates are too many for {@link boundedDuplicates}. */
export interface DuplicateLimits {
  /** Most duplicates of one job. Default: no limit. */
  readonly perJob?: number;
  /** Most duplicates of one message at one consumer. Default: no limit. */
  readonly perMessage?: number;
  /** Most duplicates of the run. Default: no limit. */
  readonly total?: number;
}

interface Item {
  isKnown: boolean;
  duplicates: number;
  /** Naks, and jobs given back, whose delivery has not come yet. */
  asked: number;
}

/**
 * Counts what is done twice, and fails when it is too often. A duplicate is a delivery of a job, or
 * of a message to a consumer, after the first, which no nak and no giving back asked for.
 *
 * *Proves* that there are no more of them than allowed.
 *
 * *Cannot see* whether a duplicate did harm: that is what the program under test has to show. A
 * replayed dead letter counts as a duplicate.
 *
 * @throws RangeError if a limit is not an integer from 0 on
 */
export function boundedDuplicates(limits: DuplicateLimits = {}): CountingChecker {
  for (const [field, limit] of Object.entries(limits)) {
    checkInteger(field, limit, 0, Number.MAX_SAFE_INTEGER);
  }
  return new BoundedDuplicates(limits);
}

class BoundedDuplicates implements CountingChecker {
  readonly name = "bounded duplicates";
  readonly #limits: DuplicateLimits;
  readonly #items = new Map<string, Item>();
  readonly #counts = { jobs: 0, messages: 0, duplicateJobs: 0, duplicateMessages: 0 };

  constructor(limits: DuplicateLimits) {
    this.#limits = limits;
  }

  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  event({ type, op, about, data }: TraceEvent): string | undefined {
    if (type === "deliver" && op === "job") {
      const { id } = data as unknown as JobFacts;
      return this.#delivered("Jobs", `job ${id} of queue ${about}`, this.#limits.perJob);
    }
    if (type === "deliver" && op === "message") {
      const { consumer, sequence } = data as unknown as MessageFacts;
      const item = `message ${sequence} at ${consumer}`;
      return this.#delivered("Messages", item, this.#limits.perMessage);
    }
    if (type === "call" && (op === "job.nak" || op === "job.giveBack")) {
      this.#item(`job ${String(data["id"])} of queue ${about}`).asked += 1;
    } else if (type === "call" && op === "message.nak") {
      this.#item(`message ${String(data["sequence"])} at ${String(data["consumer"])}`).asked += 1;
    }
    return undefined;
  }

  #delivered(
    kind: "Jobs" | "Messages",
    name: string,
    perItem = Number.POSITIVE_INFINITY,
  ): string | undefined {
    const item = this.#item(name);
    if (!item.isKnown) {
      item.isKnown = true;
      this.#counts[kind === "Jobs" ? "jobs" : "messages"] += 1;
      return undefined;
    }
    if (item.asked > 0) {
      item.asked -= 1;
      return undefined;
    }
    item.duplicates += 1;
    this.#counts[`duplicate${kind}`] += 1;
    const { duplicates } = item;
    if (duplicates > perItem) return `${name}: ${duplicates} duplicates, allowed are ${perItem}`;
    const { duplicateJobs, duplicateMessages } = this.#counts;
    const { total = Number.POSITIVE_INFINITY } = this.#limits;
    if (duplicateJobs + duplicateMessages <= total) return undefined;
    return `${name} is duplicate ${duplicateJobs + duplicateMessages} of the run, allowed are ${total}`;
  }

  #item(name: string): Item {
    let item = this.#items.get(name);
    if (item === undefined) {
      item = { isKnown: false, duplicates: 0, asked: 0 };
      this.#items.set(name, item);
    }
    return item;
  }
}
