import { check, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { CaseContext } from "../../case.ts";
import { claimNow, enqueueTexts, LONG_MS, pass, statsBecome } from "./helpers.ts";

const LEASE_MS = 150;

/**
 * Makes a job in each of the states of one that is not dead, with the name of the state as payload,
 * where so many others are leased. @returns their ids by state
 */
export async function jobsInEachState(
  context: CaseContext,
  others: number = 0,
): Promise<Map<string, string>> {
  const { bus } = context;
  const ids = new Map<string, string>();
  const held = ["naked", "naked late", "given back", "given back late", "leased", "left"];
  for (const [index, { id }] of (await enqueueTexts(bus, held)).entries()) {
    ids.set(held[index] as string, id);
  }
  const [naked, nakedLate, back, backLate, leased] = await claimNow(bus, 5);
  const [left] = await claimNow(bus, 1, { leaseMs: LEASE_MS });
  check(left && leased, "not all were handed out");
  await pass(context, LEASE_MS);
  await naked?.nak();
  await nakedLate?.nak({ delayMs: LONG_MS });
  await back?.giveBack();
  await backLate?.giveBack({ delayMs: LONG_MS });
  const [ready] = await enqueueTexts(bus, ["ready"]);
  const [delayed] = await enqueueTexts(bus, ["delayed"], { delayMs: LONG_MS });
  check(ready && delayed, "nothing was enqueued");
  ids.set("ready", ready.id).set("delayed", delayed.id);
  checkEqual(ids.size, 8, "states");
  await statsBecome(context, bus, { ready: 3, delayed: 3, leased: 2 + others });
  return ids;
}

/** Texts that are no ids, where `id` is one. */
export function notIdsLike(id: string): string[] {
  const near = [` ${id}`, `${id} `, `0${id}`, `+${id}`, `-${id}`, `${id}.0`, `${id}\n`, `${id}x`];
  const odd = ["", "0", "-1", "1.5", "1e0", "0x1", "*", ">", "a.b", "__proto__", "null", "世界"];
  return [...near, ...odd, "9".repeat(15), "9".repeat(40), "x".repeat(1_000)];
}

/** Fails unless what is no text is refused as an id. */
export async function checkIdType(call: (id: string) => Promise<unknown>): Promise<void> {
  // From programs that are not type-checked.
  for (const id of [undefined, null, 1, {}, ["1"]]) {
    await checkOptionRefused(() => call(id as string), "id");
  }
}
