import type { Bus, DeadLetter } from "@busbar/core";
import type { CountingChecker, FinalState } from "../checker.ts";
import { digest, shown } from "../digest.ts";
import type { TraceEvent } from "../trace.ts";
import {
  type Execution,
  type ExecutionChange,
  Executions,
  isFree,
  named,
  TOLERANCE_MS,
} from "./executions.ts";
import { contentOf, few, type JobFacts } from "./facts.ts";
import { type JobRecord, JobRecords } from "./job-records.ts";
import { Losses } from "./losses.ts";

/**
 * Every job whose enqueue resolved ends; none comes from nowhere; none comes again when it is done.
 *
 * *Proves*
 * - At the end each job was acked (an ack was sent and not refused), is in the dead letters, or is
 *   still in its queue. After a liveness phase it is not in the queue any more.
 * - What is delivered, or is in the dead letters, has the payload and the headers of an enqueue. An
 *   enqueue that was refused made nothing, one of unknown outcome at most one job.
 * - After a confirmed ack, or a dead letter that a worker made, no later fence is handed out; after a
 *   `remove` that resolved with true nothing is.
 * - Each attempt is handed out once, and there are at most `maxAttempts`, anew after each replay; not
 *   counted are those that were given back.
 * - A job is handed out again only if its execution before was settled, or its lease was over by the
 *   server's time.
 *
 * *Assumes* that all jobs are enqueued by processes: what `world.bus` does is not in the trace. What
 * `remove`, `purge`, `deleteQueue`, `discard` and `purge` of dead letters may have removed is not missed; nor
 * what a crash of the server may have lost, as its fault event says: that is counted.
 *
 * *Cannot see* whether a worker has done the work of a job before it acked it, and not whether an ack
 * that was not confirmed arrived: if it did not and the job is gone all the same, nobody notices.
 * Two jobs of one queue with the same payload and headers are not told apart before their ids are
 * known. Before a liveness phase the queue's count is compared, not its jobs.
 */
export function noLostJobs(): CountingChecker {
  return new NoLostJobs();
}

class NoLostJobs implements CountingChecker {
  readonly name = "no lost jobs";
  readonly #executions = new Executions();
  readonly #losses = new Losses();
  readonly #records = new JobRecords(this.#losses);
  readonly #counts = {
    /** Deliveries of jobs. */
    executions: 0,
    /** Those of them that a worker asked for with nak. */
    retries: 0,
    /** Those that came again because a worker had given them back. */
    givenBack: 0,
    /** Those that came again although the worker before had sent an ack or a dead letter. */
    afterLostSettle: 0,
    /** Those that came again because the process of the worker before ended. */
    afterKill: 0,
    /** Those that came again because the worker before was too slow, paused or cut off. */
    afterLease: 0,
  };

  get counts(): Readonly<Record<string, number>> {
    return { ...this.#counts, ...this.#records.counts };
  }

  event(event: TraceEvent): string | undefined {
    const { type, op } = event;
    if (this.#losses.event(event)) this.#records.crashed();
    const change = this.#executions.event(event);
    if (change) return this.#changed(change, event);
    if (op.startsWith("jobs.") || op.startsWith("deadLetters.")) {
      if (type === "call") return this.#records.called(event);
      if (type === "result" || type === "error") return this.#records.ended(event);
    }
    return undefined;
  }

  async finish({ bus, drained }: FinalState): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const [queue, records] of this.#records.byQueue()) {
      const letters = await deadLetters(bus, queue);
      for (const record of records) {
        const letter = letters.get(record.id);
        if (letter) wrong.push(...this.#checkLetter(record, letter));
      }
      const open = records.filter((one) => this.#isMissed(one) && !letters.has(one.id));
      if (open.length === 0) continue;
      const { ready, delayed, leased } = await bus.jobs.stats(queue);
      const left = ready + delayed + leased;
      const firm = open.filter((one) => !this.#records.mayBeLost(one));
      this.#records.missing(open.length - firm.length);
      if (firm.length <= (drained ? 0 : left)) continue;
      const names = few(firm.map(({ id, toMs }) => `${id} (enqueued +${toMs.toFixed(1)})`));
      wrong.push(
        `queue ${queue}: of ${firm.length} jobs without ack or dead letter, ${left} are in the queue: ${names}`,
      );
    }
    return wrong;
  }

  #changed(change: ExecutionChange, event: TraceEvent): string | undefined {
    const { what, execution, callAtMs } = change;
    const record = this.#records.get(execution.queue, execution.id);
    switch (what) {
      case "started":
        return this.#started(execution, event.data as unknown as JobFacts);
      case "confirmed":
        if (record && (execution.settle === "ack" || execution.settle === "deadLetter")) {
          const { fence, settle } = execution;
          record.done = { fence, settle, fromMs: callAtMs, toMs: event.atMs };
        }
        return undefined;
      case "settling":
      case "refused":
      case "renewed":
        return undefined;
    }
  }

  #started(execution: Execution, facts: JobFacts): string | undefined {
    const { queue, id, attempt, fence } = execution;
    const job = `job ${id} of queue ${queue}`;
    const content = contentOf(queue, facts);
    const record = this.#records.delivered(queue, id, {
      content,
      facts,
      atMs: execution.startedAtMs,
    });
    if (typeof record !== "object") return record;
    this.#counts.executions += 1;
    const before = this.#executions.of(queue, id);
    const most = record.maxAttempts ?? facts.maxAttempts ?? Number.POSITIVE_INFINITY;
    record.executions += 1;
    // One that was lost and enqueued again may have its id and its content.
    const isAnew = record.mayBeTwo || this.#records.mayBeLost(record);
    const uncounted = before.filter(({ settle }) => settle === "giveBack").length;
    const counted = record.executions - uncounted;
    if (attempt > most || (!isAnew && counted > most * (1 + record.replays))) {
      return `${job}: attempt ${attempt}, execution ${record.executions}, of at most ${most}, at ${execution.process}`;
    }
    const { done } = record;
    if (done && fence > done.fence && !isAnew && !this.#mayBeForgotten(record)) {
      return `${job} was done for good with fence ${done.fence} (${done.settle}), and came again as ${named(execution)}`;
    }
    if (execution.grantedAtMs > record.removedAtMs + TOLERANCE_MS && !isAnew) {
      return `${job} was removed, which was known at +${record.removedAtMs.toFixed(1)}, and came again as ${named(execution)}`;
    }
    for (const other of before) {
      if (other === execution || other.settle === "giveBack") continue;
      if (
        other.attempt === attempt &&
        record.replays === 0 &&
        !this.#mayBeOther(other, execution)
      ) {
        return `${job}: attempt ${attempt} was handed out twice: ${named(other)}, ${named(execution)}`;
      }
    }
    return this.#cause(execution, before[before.indexOf(execution) - 1]);
  }

  /** Why a job came again. */
  #cause(execution: Execution, last: Execution | undefined): string | undefined {
    if (last === undefined) return undefined;
    if (!isFree(last, execution.grantedAtMs) && !this.#mayBeOther(last, execution)) {
      return `job ${execution.id} of queue ${execution.queue} came again as ${named(execution)} without a cause: the lease of ${named(last)} ran until +${last.leaseEndsAtMs.toFixed(1)}`;
    }
    if (last.settle === "nak") this.#counts.retries += 1;
    else if (last.settle === "giveBack") this.#counts.givenBack += 1;
    else if (last.settle !== undefined) this.#counts.afterLostSettle += 1;
    else if (last.endedAtMs < execution.grantedAtMs) this.#counts.afterKill += 1;
    else this.#counts.afterLease += 1;
    return undefined;
  }

  #mayBeForgotten({ done }: JobRecord): boolean {
    if (done === undefined) return true;
    const { settle, fromMs, toMs } = done;
    return settle === "ack" ? this.#losses.settle(fromMs, toMs) : this.#losses.write(fromMs, toMs);
  }

  /** A server that loses writes gives their ids to others. */
  #mayBeOther(last: Execution, execution: Execution): boolean {
    return this.#losses.lostWritesBetween(last.grantedAtMs, execution.startedAtMs);
  }

  #isMissed(record: JobRecord): boolean {
    if (!record.isTold || record.isExcused) return false;
    const executions = this.#executions.of(record.queue, record.id);
    return !executions.some(({ settle }) => settle === "ack");
  }

  #checkLetter(record: JobRecord, letter: DeadLetter): string[] {
    const { queue, id, content, done } = record;
    const { payload, headers } = letter;
    const found = contentOf(queue, { payload: digest(payload), headers: shown(headers) });
    const wrong: string[] = [];
    if (content !== undefined && content !== found) {
      wrong.push(
        `queue ${queue}: dead letter ${id} has another payload or other headers than its job`,
      );
    }
    const { replays, mayBeTwo } = record;
    const isAnew = replays > 0 || mayBeTwo || this.#records.mayBeLost(record);
    if (done?.settle === "ack" && !isAnew && !this.#mayBeForgotten(record)) {
      wrong.push(`queue ${queue}: job ${id} was acked for good and is in the dead letters`);
    }
    return wrong;
  }
}

async function deadLetters(bus: Bus, owner: string): Promise<ReadonlyMap<string, DeadLetter>> {
  const letters = new Map<string, DeadLetter>();
  let after: string | undefined;
  do {
    const options = after === undefined ? { limit: 1_000 } : { after, limit: 1_000 };
    const page = await bus.jobs.deadLetters.list(owner, options);
    for (const letter of page.entries) letters.set(letter.id, letter);
    after = page.next;
  } while (after !== undefined);
  return letters;
}
