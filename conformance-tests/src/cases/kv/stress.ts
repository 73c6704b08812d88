import { type Bus, isBusError, toText } from "@busbar/core";
import { checkEqual } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import { range } from "../jobs/timing.ts";
import { BUCKET, brief, checkAscending, takeInitial, takeUntilKey } from "./helpers.ts";
import { checkLinear, type Observation } from "./linear.ts";

const KEYS = ["x", "y", "z"];
const CLIENTS = 6;
const ROUNDS = 25;

/** Random histories. */
export const stressCases: readonly ConformanceCase[] = [
  {
    id: "KV-LINEAR-001",
    title: "Random reads and writes of six clients on two buses have one order that explains all",
    contract: "kv",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      await bus.kv.ensureBucket(BUCKET, { history: 64 });
      const watch = await bus.kv.watch(BUCKET);
      await takeInitial(context, watch);
      const seen = new Map<string, Observation[]>(KEYS.map((key) => [key, []]));
      let now = 0;
      const client = async (index: number): Promise<void> => {
        for (const round of range(ROUNDS)) {
          const key = KEYS[Math.floor(context.random.next() * KEYS.length)] as string;
          const begin = now++;
          const outcome = await operate(context, {
            bus: buses[index % 2] as Bus,
            key,
            value: `${index}-${round}`,
          });
          seen.get(key)?.push({ ...outcome, begin, end: now++ });
        }
      };
      await Promise.all(range(CLIENTS).map(client));
      await bus.kv.put(BUCKET, "end", "");
      const watched = await takeUntilKey(context, watch, "end");
      checkAscending(
        watched.map(({ revision }) => revision),
        "watched revisions",
      );
      for (const key of KEYS) {
        const past = await bus.kv.history(BUCKET, key);
        checkLinear(past, seen.get(key) ?? []);
        checkEqual(
          watched.filter((change) => change.key === key).map(brief),
          past.map(brief),
          `what was watched of ${key}`,
        );
      }
    },
  },
];

type Outcome = Omit<Observation, "begin" | "end">;

/** One random operation. A conflict is an outcome too: it tells the current revision. */
async function operate(
  context: CaseContext,
  { bus, key, value }: { readonly bus: Bus; readonly key: string; readonly value: string },
): Promise<Outcome> {
  const { kv } = bus;
  const chance = context.random.next();
  let what = "get";
  try {
    if (chance < 0.4) {
      const entry = await kv.get(BUCKET, key);
      if (!entry) return { what: `get of ${key}`, revision: 0, wrote: false };
      const text = toText(entry.value);
      return { what: `get of ${key}`, revision: entry.revision, wrote: false, text };
    }
    if (chance < 0.55) {
      what = "put";
      const revision = await kv.put(BUCKET, key, value);
      return { what: `put of ${key}`, revision, wrote: true, text: value };
    }
    if (chance < 0.7) {
      what = "create";
      const revision = await kv.create(BUCKET, key, value);
      return { what: `create of ${key}`, revision, wrote: true, text: value };
    }
    if (chance < 0.85) {
      const expected = (await kv.get(BUCKET, key))?.revision ?? 0;
      what = "cas";
      const revision = await kv.cas(BUCKET, key, value, expected);
      return { what: `cas of ${key}`, revision, wrote: true, text: value };
    }
    // At some time between its begin and its end there was no value.
    await kv.delete(BUCKET, key);
    return { what: `delete of ${key}`, revision: 0, wrote: false };
  } catch (error) {
    if (!isBusError(error) || error.code !== "CONFLICT") throw error;
    const { revision } = error.details;
    return {
      what: `conflict of ${what} of ${key}`,
      revision: typeof revision === "number" ? revision : -1,
      wrote: false,
    };
  }
}
