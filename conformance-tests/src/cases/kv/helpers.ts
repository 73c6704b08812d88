import { type Bus, type KeysOptions, type KvEvent, type KvWatch, toText } from "@busbar/core";
import { check, checkEqual, ConformanceFailure, iteratorOf } from "../../assert.ts";
import type { CaseContext } from "../../case.ts";
import { bounded, inWaves, within } from "../jobs/timing.ts";

/** The bucket of most cases. */
export const BUCKET = "settings";

/** An event that is not the marker. */
export type Change = Exclude<KvEvent, { type: "initialDone" }>;

/** The text of a key, or `undefined`. */
export async function textAt(
  bus: Bus,
  key: string,
  bucket: string = BUCKET,
): Promise<string | undefined> {
  const entry = await bus.kv.get(bucket, key);
  return entry && toText(entry.value);
}

/** An event in short: `put a=1`, `delete a`, `initialDone`. */
export function brief(event: KvEvent): string {
  if (event.type === "initialDone") return event.type;
  return event.type === "put" ? `put ${event.key}=${toText(event.value)}` : `delete ${event.key}`;
}

/** The next event of a watch. */
export async function nextEvent(context: CaseContext, watch: KvWatch): Promise<KvEvent> {
  const { done, value } = await within(
    context,
    iteratorOf(watch).next(),
    "the next event of the watch",
  );
  if (done) throw new ConformanceFailure("the watch ended");
  return value;
}

/** The next `count` events, in short. */
export async function takeBriefs(
  context: CaseContext,
  watch: KvWatch,
  count: number,
): Promise<string[]> {
  const briefs: string[] = [];
  while (briefs.length < count) briefs.push(brief(await nextEvent(context, watch)));
  return briefs;
}

/** Everything up to the marker, without it. */
export async function takeInitial(context: CaseContext, watch: KvWatch): Promise<Change[]> {
  const changes: Change[] = [];
  const next = bounded("initial values");
  for (;;) {
    next();
    const event = await nextEvent(context, watch);
    if (event.type === "initialDone") return changes;
    changes.push(event);
  }
}

/** Everything up to the change of `key`, without it; the marker is not expected any more. */
export async function takeUntilKey(
  context: CaseContext,
  watch: KvWatch,
  key: string,
): Promise<Change[]> {
  const changes: Change[] = [];
  const next = bounded(`changes up to that of ${key}`);
  for (;;) {
    next();
    const event = await nextEvent(context, watch);
    check(event.type !== "initialDone", "the marker came twice");
    if (event.key === key) return changes;
    changes.push(event);
  }
}

/** Fails unless the watch has ended. */
export async function checkEnded(
  context: CaseContext,
  watch: KvWatch,
  what: string,
): Promise<void> {
  const { done } = await within(context, iteratorOf(watch).next(), `the end of the watch, ${what}`);
  checkEqual(done, true, `the watch has ended, ${what}`);
}

/** Fails unless the revisions grow strictly. */
export function checkAscending(revisions: readonly number[], what: string): void {
  for (const [index, revision] of revisions.entries()) {
    const before = revisions[index - 1] ?? 0;
    check(
      Number.isSafeInteger(revision) && revision > before,
      `${what}: ${revision} comes after ${before}`,
    );
  }
}

/** Puts each key with its own name as value. */
export async function putKeys(
  bus: Bus,
  keys: readonly string[],
  bucket: string = BUCKET,
): Promise<void> {
  await inWaves(keys.length, 100, async (index) => {
    const key = keys[index] as string;
    await bus.kv.put(bucket, key, key);
  });
}

/** Walks all pages of a bucket. `onPage` runs between two of them. */
export async function walkKeys(
  bus: Bus,
  options: Omit<KeysOptions, "after"> = {},
  onPage: (keys: readonly string[]) => unknown = () => undefined,
): Promise<string[]> {
  const keys: string[] = [];
  const nextPage = bounded("pages of keys");
  let after: string | undefined;
  do {
    nextPage();
    const page = await bus.kv.keys(BUCKET, after === undefined ? options : { ...options, after });
    if (options.limit !== undefined) {
      check(page.keys.length <= options.limit, `a page has ${page.keys.length} keys`);
    }
    keys.push(...page.keys);
    await onPage(page.keys);
    after = page.next;
  } while (after !== undefined);
  return keys;
}
