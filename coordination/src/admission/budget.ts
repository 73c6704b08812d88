import type { Clock, Random, Timer, TypedBucket } from "@busbar/core";
import { closedError } from "@busbar/core/adapter";
import { afterConflict } from "../change-entry.ts";
import type { Tenant } from "../tenants/tenant.ts";
import { IDLE_MS, Pace } from "./pace.ts";
import {
  isNothing,
  minus,
  NOTHING,
  plus,
  quotaError,
  type Refusal,
  sum,
  type TaskAmount,
} from "./quota.ts";
import { type Levels, Reckoning } from "./reckoning.ts";
import { Rivals } from "./rivals.ts";
import { dayOf, type usageBucket, type UsageRecord } from "./usage-record.ts";

/** What all budgets of a process share. */
export interface BudgetParts {
  /** Names this process in the records. */
  readonly holder: string;
  readonly bucket: TypedBucket<(typeof usageBucket)["schema"]>;
  readonly clock: Clock;
  readonly random: Random;
  /** Asks for what is counted elsewhere, as far as these amounts need it. */
  readonly levels: (tenant: Tenant, wanted: TaskAmount) => Promise<Levels>;
}

/** What may be used up was written down before. */
interface Reserved {
  readonly stamp: number;
  readonly day: number;
  readonly amount: TaskAmount;
  /** How much had been used up by then, since the beginning. */
  readonly usedBefore: TaskAmount;
}

interface Waiter {
  readonly wanted: TaskAmount;
  /** Until when it waits for what others hold. */
  readonly patientUntilMs: number;
  readonly admit: (epoch: number) => void;
  readonly reject: (error: Error) => void;
}

/** What a plan is made of. */
interface View {
  readonly tenant: Tenant;
  readonly record: UsageRecord | undefined;
  readonly levels: Levels;
  readonly waiters: readonly Waiter[];
  /** How much had been used up before the levels were asked for. */
  readonly used: TaskAmount;
}

/** What was worked out on one state of the record. */
interface Plan {
  readonly tenant: Tenant;
  readonly next: UsageRecord;
  readonly reserved: Reserved;
  readonly admitted: readonly Waiter[];
  readonly refused: readonly (readonly [Waiter, Refusal])[];
  /** More than was asked for. */
  readonly ahead: TaskAmount;
}

/** A submission waits so long for budget that others hold and may not need. */
const PATIENCE_MS = 500;
/** What is reserved is used for so long after it was written; others see it as void later. */
const GOOD_FOR_MS = 15_000;
const RENEWED_EVERY_MS = 5_000;
const MAX_PAUSE_MS = 50;

/**
 * What one process may submit for one tenant without asking.
 *
 * What it may use it has reserved in the record of the tenant by a compare-and-set: exactly what is
 * asked for, and more where it submits steadily. Submissions that come while it writes are served
 * together by the next write.
 */
export class Budget {
  readonly #parts: BudgetParts;
  readonly #key: string;
  #tenant: Tenant;
  #reserved: Reserved = { stamp: 0, day: 0, amount: NOTHING, usedBefore: NOTHING };
  /** What was last written, while it is not known whether it arrived. */
  #unsure: Reserved | undefined;
  #stamp = 0;
  /** What was admitted and is over, since the beginning. */
  #used: TaskAmount = NOTHING;
  /** What was admitted and is not over. */
  #inFlight: TaskAmount = NOTHING;
  /** What was admitted in another epoch does not come back. */
  #epoch = 0;
  #goodUntilMs = Number.NEGATIVE_INFINITY;
  /** The record as it was last seen, as long as nothing speaks against it. */
  #record: { readonly value: UsageRecord | undefined; readonly revision: number } | undefined;
  readonly #rivals: Rivals;
  #waiters: Waiter[] = [];
  #working: Promise<void> | undefined;
  #timer: Timer | undefined;
  /** Of submissions that may still arrive. */
  readonly #late = new Set<Timer>();
  readonly #closing = new AbortController();
  readonly #pace = new Pace();
  #lastUseMs = Number.NEGATIVE_INFINITY;

  constructor(tenant: Tenant, key: string, parts: BudgetParts) {
    this.#tenant = tenant;
    this.#key = key;
    this.#parts = parts;
    this.#rivals = new Rivals(parts.holder, parts.clock);
  }

  /** Whether nothing would be lost without it. */
  get isIdle(): boolean {
    return this.#working === undefined && !this.#isReserved;
  }

  /** What is reserved and not used. */
  get spare(): TaskAmount {
    const { amount, usedBefore } = this.#reserved;
    return minus(minus(amount, minus(this.#used, usedBefore)), this.#inFlight);
  }

  /** The UTC day from which it was reserved. */
  get day(): number {
    return this.#reserved.day;
  }

  /** Takes `wanted`. @returns the epoch, for {@link Budget.done} */
  take(tenant: Tenant, wanted: TaskAmount): Promise<number> {
    if (tenant.revision > this.#tenant.revision) {
      // What was reserved under other quotas is not used under these.
      this.#tenant = tenant;
      this.#epoch += 1;
      this.#goodUntilMs = Number.NEGATIVE_INFINITY;
    }
    if (this.#working === undefined && this.#takeSpare(wanted)) return Promise.resolve(this.#epoch);
    return new Promise((admit, reject) => {
      const patientUntilMs = this.#parts.clock.monotonic() + PATIENCE_MS;
      this.#waiters.push({ wanted, patientUntilMs, admit, reject });
      this.#work();
    });
  }

  /** A submission is over: `unused` of what it took was not needed. */
  done(wanted: TaskAmount, unused: TaskAmount, epoch: number): void {
    this.#inFlight = minus(this.#inFlight, wanted);
    this.#used = plus(this.#used, epoch === this.#epoch ? minus(wanted, unused) : wanted);
    this.#lastUseMs = this.#parts.clock.monotonic();
  }

  /** It may be over or not: it is over when its time is. */
  doneLater(wanted: TaskAmount): void {
    const timer = this.#parts.clock.setTimer(
      () => {
        this.#late.delete(timer);
        this.done(wanted, NOTHING, this.#epoch);
      },
      GOOD_FOR_MS,
      { keepAlive: false },
    );
    this.#late.add(timer);
  }

  /** Gives everything back that is not in use. */
  async close(): Promise<void> {
    this.#closing.abort(closedError("the admission"));
    for (const timer of [this.#timer, ...this.#late]) timer?.cancel();
    await this.#working;
    if (this.#isUnsettled) await this.#exchange().catch(() => undefined);
  }

  /** @returns whether there was enough that may still be used */
  #takeSpare(wanted: TaskAmount): boolean {
    const { clock } = this.#parts;
    if (clock.monotonic() >= this.#goodUntilMs) return false;
    if (dayOf(clock.now()) > this.#reserved.day) return false;
    const left = minus(this.spare, wanted);
    if (left.tasks < 0 || left.scheduled < 0 || left.bytes < 0) return false;
    this.#pace.add(wanted);
    this.#admit(wanted);
    return true;
  }

  #admit(wanted: TaskAmount): void {
    this.#inFlight = plus(this.#inFlight, wanted);
    this.#lastUseMs = this.#parts.clock.monotonic();
  }

  #work(): void {
    this.#working ??= this.#serve().then((delayMs) => {
      this.#working = undefined;
      if (this.#waiters.length > 0) this.#work();
      else this.#arm(delayMs);
    });
  }

  /** Until nobody waits. Never rejects. @returns when to look at what is reserved, in milliseconds */
  async #serve(): Promise<number> {
    const { clock, random } = this.#parts;
    const { signal } = this.#closing;
    let delayMs = IDLE_MS;
    do {
      try {
        signal.throwIfAborted();
        const isBlocked = await this.#exchange();
        delayMs = IDLE_MS;
        if (isBlocked) await clock.sleep((1 + random.next()) * MAX_PAUSE_MS, { signal });
      } catch (error) {
        delayMs = RENEWED_EVERY_MS;
        for (const { reject } of this.#waiters.splice(0)) reject(error as Error);
      }
      this.#serveFromSpare();
    } while (this.#waiters.length > 0);
    return delayMs;
  }

  /** Those who came while it wrote may find enough. */
  #serveFromSpare(): void {
    for (;;) {
      const [first] = this.#waiters;
      if (first === undefined || !this.#takeSpare(first.wanted)) return;
      this.#waiters.shift();
      first.admit(this.#epoch);
    }
  }

  /**
   * Writes down what those who wait need, and gives back what is spare.
   * @returns whether the first of those who still wait needs what others hold
   */
  async #exchange(): Promise<boolean> {
    const { bucket, clock } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      const startMs = clock.monotonic();
      const isKnown = this.#record !== undefined;
      const record = this.#record ?? (await this.#read());
      const waiters = [...this.#waiters];
      const tenant = this.#tenant;
      // What is over by now is in the levels; what is over later may be counted twice.
      const used = this.#used;
      const wanted = sum(waiters.map((waiter) => waiter.wanted));
      const levels = await this.#parts.levels(tenant, wanted);
      const plan = this.#plan({ tenant, record: record.value, levels, waiters, used });
      const isBlocked = plan.admitted.length + plan.refused.length < waiters.length;
      if (isKnown && (isBlocked || plan.refused.length > 0)) {
        // Others may have given back since.
        this.#record = undefined;
        continue;
      }
      if (plan.admitted.length > 0 || this.#isUnsettled) {
        this.#unsure = plan.reserved;
        this.#record = undefined;
        this.#goodUntilMs = Number.NEGATIVE_INFINITY;
        try {
          const revision = await bucket.cas(this.#key, plan.next, record.revision);
          this.#record = { value: plan.next, revision };
        } catch (error) {
          await afterConflict(error, attempt, this.#parts);
          continue;
        }
        this.#confirm(plan, startMs);
      }
      this.#answer(plan);
      // What others give back is seen only by another look.
      if (isBlocked) this.#record = undefined;
      return isBlocked;
    }
  }

  async #read(): Promise<{ value: UsageRecord | undefined; revision: number }> {
    const entry = await this.#parts.bucket.get(this.#key);
    const { value, revision = 0 } = entry ?? {};
    this.#record = { value, revision };
    const own = value?.holders[this.#parts.holder];
    if (own !== undefined && own.stamp === this.#unsure?.stamp) this.#reserved = this.#unsure;
    else if ((own?.stamp ?? 0) !== this.#reserved.stamp) this.#lose();
    this.#rivals.look(value?.holders ?? {});
    return this.#record;
  }

  /** Others took the reservation for void, or what it was is not known any more. */
  #lose(): void {
    const { stamp, day } = this.#reserved;
    this.#reserved = { stamp, day, amount: this.#inFlight, usedBefore: this.#used };
    this.#epoch += 1;
  }

  #plan({ tenant, record, levels, waiters, used }: View): Plan {
    const { clock, holder } = this.#parts;
    const { amount, usedBefore, day } = this.#reserved;
    const reckoning = new Reckoning({
      record,
      quotas: tenant.quotas,
      levels,
      nowMs: Math.floor(clock.now()),
      own: minus(amount, minus(used, usedBefore)),
      others: this.#rivals.of(record?.holders ?? {}),
    });
    reckoning.giveBack(this.spare, day);
    if (reckoning.day !== day) this.#epoch += 1;
    const admitted: Waiter[] = [];
    const refused: (readonly [Waiter, Refusal])[] = [];
    for (const waiter of waiters) {
      const refusal = reckoning.refusal(waiter.wanted);
      if (refusal === undefined) {
        reckoning.take(waiter.wanted);
        admitted.push(waiter);
        continue;
      }
      const isPatient = clock.monotonic() < waiter.patientUntilMs;
      if (isPatient && reckoning.isUpToOthers(refusal)) break;
      refused.push([waiter, refusal]);
    }
    const asked = admitted.map(({ wanted }) => wanted);
    const ahead = this.#pace.ahead(reckoning, asked, clock.monotonic());
    reckoning.take(ahead);
    const stamp = (this.#stamp += 1);
    return {
      tenant,
      next: reckoning.toRecord(holder, stamp),
      reserved: { stamp, day: reckoning.day, amount: reckoning.own, usedBefore: used },
      admitted,
      refused,
      ahead,
    };
  }

  #confirm({ tenant, reserved, admitted, ahead }: Plan, startMs: number): void {
    this.#reserved = isNothing(reserved.amount) ? { ...reserved, stamp: 0 } : reserved;
    this.#unsure = undefined;
    if (tenant === this.#tenant) this.#goodUntilMs = startMs + GOOD_FOR_MS;
    this.#pace.written(this.#parts.clock.monotonic(), admitted.length > 0 ? ahead : undefined);
  }

  #answer({ tenant, admitted, refused }: Plan): void {
    const answered = new Set([...admitted, ...refused.map(([waiter]) => waiter)]);
    this.#waiters = this.#waiters.filter((waiter) => !answered.has(waiter));
    for (const { wanted, admit } of admitted) {
      this.#admit(wanted);
      admit(this.#epoch);
    }
    for (const [{ reject }, refusal] of refused) reject(quotaError(tenant, refusal));
  }

  /** Whether the record may tell of anything. */
  get #isReserved(): boolean {
    return this.#unsure !== undefined || !isNothing(this.#reserved.amount);
  }

  /** Whether the record tells of more than what is in use, or was left alone for too long. */
  get #isUnsettled(): boolean {
    if (this.#unsure !== undefined) return true;
    const { amount } = this.#reserved;
    if (isNothing(amount)) return false;
    const silentForMs = this.#parts.clock.monotonic() - this.#pace.writtenAtMs;
    return silentForMs >= RENEWED_EVERY_MS || !isNothing(minus(amount, this.#inFlight));
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#closing.signal.aborted) return;
    if (!this.#isReserved) return;
    this.#timer = this.#parts.clock.setTimer(() => this.#tick(), delayMs, { keepAlive: false });
  }

  #tick(): void {
    if (this.#working !== undefined) return;
    const idleForMs = this.#parts.clock.monotonic() - this.#lastUseMs;
    // Not less than a millisecond: what is less may be nothing beside the time.
    if (idleForMs < IDLE_MS) this.#arm(Math.max(1, IDLE_MS - idleForMs));
    else if (this.#isUnsettled) this.#work();
    else this.#arm(IDLE_MS);
  }
}
