import { type Bus, errorCode, isBusError } from "@busbar/core";
import { check, ConformanceFailure } from "../../assert.ts";
import {
  type CaseContext,
  needsPersistence,
  needsServerFaults,
  type Requirement,
} from "../../case.ts";
import { outcomeOf } from "../shared.ts";

/** What an operation may reject with while the server is away. */
export const AWAY: readonly string[] = ["DISCONNECTED", "TIMEOUT"];

/** A server that can be killed, and whose data outlives it. */
export const SURVIVES: readonly Requirement[] = [needsServerFaults, needsPersistence];

/** How long a client may take to be back after the server is. */
export const BACK_MS = 15_000;

/** Kills the server and starts it again; `whileDown` runs in between. */
export async function restart(
  context: CaseContext,
  whileDown: () => unknown = () => undefined,
): Promise<void> {
  await context.faults.kill();
  await whileDown();
  await context.faults.start();
}

/** Waits until a bus answers again. */
export async function untilBack(context: CaseContext, bus: Bus): Promise<void> {
  await context.until("the bus is back", async () => (await again(bus)).ok, BACK_MS);

  function again(one: Bus): ReturnType<typeof outcomeOf<unknown>> {
    return outcomeOf<unknown>(context.clock, () => one.kv.get("back", "k"));
  }
}

/** Fails unless `error` is what an operation may reject with while the server is away. */
export function checkAway(error: unknown, what: string): void {
  const code = errorCode(error) ?? String(error);
  check(AWAY.includes(code), `${what}: expected ${AWAY.join(" or ")}, got ${code}`);
  check(isBusError(error) && error.retryable, `${what}: ${code} is not retryable`);
}

/** Repeats `work` until it resolves; what it rejects with must be an error of an absent server. */
export async function persist<T>(
  context: CaseContext,
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = context.clock.monotonic() + BACK_MS;
  for (;;) {
    const outcome = await outcomeOf(context.clock, work);
    if (outcome.ok) return outcome.value;
    checkAway(outcome.error, what);
    if (context.clock.monotonic() > deadline) {
      throw new ConformanceFailure(`${what}: still ${String(outcome.error)}`);
    }
    await context.clock.sleep(20);
  }
}

/** What a stream of writes came to. */
export interface Writes {
  /** Those that were acknowledged. */
  readonly acknowledged: readonly string[];
  /** Those that failed: whether they were written is unknown. */
  readonly unclear: readonly string[];
}

/**
 * Writes texts one after the other in several lanes until `isOver`, and as many again behind it.
 * What fails must fail with an error of an absent server.
 */
export async function writeThrough(
  context: CaseContext,
  isOver: () => boolean,
  write: (text: string) => Promise<unknown>,
): Promise<Writes> {
  const acknowledged: string[] = [];
  const unclear: string[] = [];
  let next = 0;
  let left = 40;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      if (isOver()) left -= 1;
      const text = `m${next++}`;
      const outcome = await outcomeOf(context.clock, () => write(text));
      if (outcome.ok) {
        acknowledged.push(text);
        continue;
      }
      checkAway(outcome.error, `the write of ${text}`);
      unclear.push(text);
      await context.clock.sleep(5);
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  return { acknowledged, unclear };
}

/** Restarts the server in the middle of a stream of writes. */
export async function restartDuring(
  context: CaseContext,
  write: (text: string) => Promise<unknown>,
): Promise<Writes> {
  let written = 0;
  let over = false;
  const writing = writeThrough(
    context,
    () => over,
    async (text) => {
      await write(text);
      written += 1;
    },
  );
  const failing = writing.catch(() => undefined);
  await context.until("some writes are acknowledged", () => written >= 50, BACK_MS);
  await restart(context);
  const before = written;
  await Promise.race([
    failing,
    context.until("writes are acknowledged again", () => written > before, BACK_MS),
  ]);
  over = true;
  return context.within("the writers end", writing, 2 * BACK_MS);
}
