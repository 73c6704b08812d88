import {
  type BucketDefinition,
  type Bus,
  BusError,
  type Clock,
  defineBucket,
  errorCode,
  newId,
  type Random,
  type TypedBucket,
  typedBus,
} from "@busbar/core";
import { z } from "zod";
import { changeEntry } from "../change-entry.ts";
import { KeptLease } from "./kept-lease.ts";
import { leaseHolder, PROBE, PROBE_TTL_MS } from "./lease-holder.ts";

/** What a {@link WaitingLine} is made of. */
export interface WaitingLineParts {
  readonly bus: Bus;
  readonly bucket: string;
  /** How long a waiter that died keeps its place. */
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** A place in a {@link WaitingLine}. */
export interface Ticket {
  readonly key: string;
  readonly id: string;
  readonly lease: KeptLease;
}

/** How long somebody waits. */
export interface WaitLimits {
  /** By the monotonic clock. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

const schema: z.ZodType<{ readonly waiting: readonly string[] }, unknown> = z.strictObject({
  waiting: z.array(z.string()),
});

/**
 * Who waits for which key, first come first served. The line of a key is one record of tickets in the
 * order in which they came; each ticket is a lease of its waiter. Nobody waits for the whole line: each
 * one waits for the lease of the one before it to be given back, or to be over because that one died.
 *
 * It is about order only. What is waited for has to be exclusive by itself.
 */
export class WaitingLine {
  readonly #parts: WaitingLineParts;
  readonly #tickets: string;
  readonly #lines: TypedBucket<typeof schema>;

  constructor(parts: WaitingLineParts) {
    this.#parts = parts;
    this.#tickets = `${parts.bucket}-tickets`;
    this.#lines = typedBus(parts.bus).bucket(definition(parts.bucket));
  }

  /** Whether anybody waits who is alive. Those before that one are taken out. */
  async isEmpty(key: string): Promise<boolean> {
    for (;;) {
      const entry = await this.#lines.get(key);
      const first = entry?.value.waiting[0];
      if (first === undefined) return true;
      if (await leaseHolder(this.#parts.bus, this.#tickets, first)) return false;
      await this.#remove(key, first);
    }
  }

  /** Takes the last place. */
  async join(key: string): Promise<Ticket> {
    const { bus, ttlMs, clock, random } = this.#parts;
    const id = newId(random);
    // The lease comes first: a ticket without one is taken for that of a dead waiter.
    const held = await bus.kv.lease(this.#tickets, id, { ttlMs });
    const lease = new KeptLease(held, { ttlMs, clock });
    const ticket = { key, id, lease };
    try {
      await changeEntry(
        this.#lines,
        key,
        (current) => ({ waiting: [...(current?.value.waiting ?? []), id] }),
        this.#parts,
      );
    } catch (error) {
      await this.leave(ticket);
      throw error;
    }
    return ticket;
  }

  /**
   * Resolves when everybody before this ticket is gone.
   * @throws BusError `LEASE_LOST` if it was taken out: join again; `LEASE_HELD` after the deadline
   */
  async untilFirst({ key, id }: Ticket, limits: WaitLimits): Promise<void> {
    for (;;) {
      const entry = await this.#lines.get(key);
      const place = entry?.value.waiting.indexOf(id) ?? -1;
      if (place < 0) throw new BusError("LEASE_LOST", `the place in the line of ${key} is lost`);
      const before = entry?.value.waiting[place - 1];
      if (before === undefined) return;
      await this.#untilGone(before, limits);
      await this.#remove(key, before);
    }
  }

  /** Gives the place up. If the server cannot be told, whoever comes next finds the ticket without a lease. */
  async leave({ key, id, lease }: Ticket): Promise<void> {
    await this.#remove(key, id).catch(() => undefined);
    await lease.release().catch(() => undefined);
  }

  async #untilGone(id: string, { deadlineMs, signal }: WaitLimits): Promise<void> {
    const { bus, clock, ttlMs } = this.#parts;
    for (;;) {
      const waitMs = Math.max(0, Math.min(ttlMs, deadlineMs - clock.monotonic()));
      const probe = { ttlMs: PROBE_TTL_MS, owner: PROBE, waitMs, signal };
      try {
        const lease = await bus.kv.lease(this.#tickets, id, probe);
        await lease.release();
        return;
      } catch (error) {
        if (errorCode(error) === "LEASE_LOST") return;
        if (errorCode(error) !== "LEASE_HELD" || clock.monotonic() >= deadlineMs) throw error;
      }
    }
  }

  async #remove(key: string, id: string): Promise<void> {
    await changeEntry(
      this.#lines,
      key,
      (current) => {
        const waiting = current?.value.waiting ?? [];
        if (!waiting.includes(id)) return undefined;
        return { waiting: waiting.filter((other) => other !== id) };
      },
      this.#parts,
    );
  }
}

function definition(bucket: string): BucketDefinition<typeof schema> {
  return defineBucket({ bucket, schema });
}
