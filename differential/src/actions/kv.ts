import type { KvEntry, KvEvent } from "@busbar/core";
import { type Outcome, outcomeOf } from "../outcome.ts";
import type { Run } from "../run.ts";
import type { StepOf } from "../script.ts";
import { bodyFrom, payloadOf } from "./payload.ts";
import { Reader } from "./reader.ts";
import { bodyOf } from "./views.ts";

const FAR = 1_000;
const MAX_PAGES = 200;

export function ensureBucket(run: Run, step: StepOf<"ensureBucket">): Promise<Outcome> {
  const { bucket, history, ttl, maxBytes } = step;
  return outcomeOf(
    () =>
      run.bus(step.bus).kv.ensureBucket(bucket, {
        ...(history !== undefined && { history }),
        ...(ttl !== undefined && { ttlMs: run.ms(ttl) }),
        ...(maxBytes !== undefined && { maxBytes }),
      }),
    () => {
      run.facts.histories.set(bucket, history ?? 1);
      run.facts.lostBuckets.delete(`${step.bus} ${bucket}`);
      if (ttl !== undefined) run.facts.bucketTtls.set(bucket, ttl);
      return "ok";
    },
  );
}

export function deleteBucket(run: Run, step: StepOf<"deleteBucket">): Promise<Outcome> {
  return outcomeOf(
    () => run.bus(step.bus).kv.deleteBucket(step.bucket),
    (existed) => {
      run.facts.forgetBucket(step.bucket);
      if (existed) run.facts.lostBuckets.add(`${1 - step.bus} ${step.bucket}`);
      // What becomes of watches of a bucket that is removed is not promised.
      for (const [name, bucket] of run.watchedBuckets) {
        if (existed && bucket === step.bucket) run.readers.delete(name);
      }
      return existed;
    },
  );
}

export function put(run: Run, step: StepOf<"put" | "create">): Promise<Outcome> {
  const { op, bucket, key, ttl, size } = step;
  const body = bodyFrom(step);
  const options = ttl === undefined ? {} : { ttlMs: run.ms(ttl) };
  if (ttl !== undefined) run.facts.addMortal(bucket, key, Math.floor(run.tick + ttl));
  return write(run, { bucket, key, body }, () =>
    run.bus(step.bus).kv[op](bucket, key, payloadOf(run, body, size), options),
  );
}

export function cas(run: Run, step: StepOf<"cas">): Promise<Outcome> {
  const { bucket, key, expect } = step;
  const body = bodyFrom(step);
  const revision = expectedRevision(run, `${bucket}/${key}`, expect);
  return write(run, { bucket, key, body }, () =>
    run.bus(step.bus).kv.cas(bucket, key, body, revision),
  );
}

export function remove(run: Run, step: StepOf<"delete">): Promise<Outcome> {
  const { bucket, key, expect } = step;
  const id = `${bucket}/${key}`;
  return outcomeOf(
    () =>
      run.bus(step.bus).kv.delete(bucket, key, {
        ...(expect && { expectedRevision: expectedRevision(run, id, expect) }),
      }),
    () => {
      run.facts.byKey.set(id, [...(run.facts.byKey.get(id) ?? []), 0]);
      return "ok";
    },
    (revision) => run.facts.revisionName(bucket, revision),
  );
}

export function get(run: Run, step: StepOf<"get">): Promise<Outcome> {
  return outcomeOf(
    () => run.bus(step.bus).kv.get(step.bucket, step.key),
    (entry) => (entry ? entryView(run, step.bucket, entry) : null),
  );
}

export function history(run: Run, step: StepOf<"history">): Promise<Outcome> {
  return outcomeOf(
    () => run.bus(step.bus).kv.history(step.bucket, step.key),
    (events) => stated(run, step.bucket, events).map((event) => eventView(run, step.bucket, event)),
  );
}

export function keys(run: Run, step: StepOf<"keys">): Promise<Outcome> {
  const { bucket, pattern, limit } = step;
  const { kv } = run.bus(step.bus);
  return outcomeOf(
    async () => {
      const pages: string[][] = [];
      let after: string | undefined;
      for (let count = 0; count < MAX_PAGES; count++) {
        const page = await kv.keys(bucket, {
          ...(pattern !== undefined && { key: pattern }),
          ...(limit !== undefined && { limit }),
          ...(after !== undefined && { after }),
        });
        pages.push([...page.keys]);
        after = page.next;
        if (after === undefined) break;
      }
      return pages;
    },
    (pages) => pages,
  );
}

export function watch(run: Run, step: StepOf<"watch">): Promise<Outcome> {
  const { bucket, name, pattern, after } = step;
  const known = [...(run.facts.revisions.get(bucket)?.keys() ?? [])];
  const afterRevision = after === "start" ? 0 : Math.max(0, ...known);
  return outcomeOf(
    () =>
      run.bus(step.bus).kv.watch(bucket, {
        ...(pattern !== undefined && { key: pattern }),
        ...(after && { afterRevision }),
      }),
    async (opened) => {
      const reader = new Reader<KvEvent>(opened);
      run.readers.set(name, reader);
      run.watchedBuckets.set(name, bucket);
      // What is there comes first: whoever closes it next has seen it.
      return run.eventually(() => collapsed(run, bucket, reader.items).length);
    },
  );
}

export async function watched(run: Run, step: StepOf<"watched">): Promise<Outcome> {
  const reader = run.readers.get(step.name) as Reader<KvEvent> | undefined;
  const bucket = run.watchedBuckets.get(step.name);
  if (reader === undefined || bucket === undefined) return "absent";
  const look = (): Outcome => ({
    events: collapsed(run, bucket, reader.items).map((event) => eventView(run, bucket, event)),
    ended: reader.ended ?? null,
  });
  await run.eventually(look);
  const told = look();
  reader.drain();
  return told;
}

export function unwatch(run: Run, step: StepOf<"unwatch">): Promise<Outcome> {
  const reader = run.readers.get(step.name);
  if (reader === undefined) return Promise.resolve("absent");
  run.readers.delete(step.name);
  return outcomeOf(() => reader.close());
}

/** Several writers at a time: who wins is not promised, how many win is. */
export async function race(run: Run, step: StepOf<"race">): Promise<Outcome> {
  const { kind, bucket, key, writers } = step;
  const id = `${bucket}/${key}`;
  const body = `s${step.id}@race`;
  const expected = expectedRevision(run, id, "current");
  const revisions: number[] = [];
  run.facts.addAging(bucket, key, run.tick);
  const one = (writer: number): Promise<Outcome> => {
    const { kv } = run.bus(writer % 2);
    return outcomeOf(
      async () => {
        if (kind === "delete") await kv.delete(bucket, key, { expectedRevision: expected });
        else if (kind === "create") revisions.push(await kv.create(bucket, key, body));
        else revisions.push(await kv.cas(bucket, key, body, expected));
      },
      () => "won",
      // Who comes second may be told the value before or the one that won.
      () => "any",
    );
  };
  const outcomes = await Promise.all(Array.from({ length: writers }, (_, index) => one(index)));
  for (const revision of revisions) run.facts.addRevision(bucket, key, body, revision);
  if (kind === "delete" && outcomes.includes("won")) {
    run.facts.byKey.set(id, [...(run.facts.byKey.get(id) ?? []), 0]);
  }
  return outcomes.map((outcome) => JSON.stringify(outcome)).sort();
}

function write(
  run: Run,
  target: { readonly bucket: string; readonly key: string; readonly body: string },
  work: () => Promise<number>,
): Promise<Outcome> {
  const { bucket, key, body } = target;
  run.facts.addAging(bucket, key, run.tick);
  return outcomeOf(
    work,
    (revision) => {
      const known = [...(run.facts.revisions.get(bucket)?.keys() ?? [])];
      run.facts.addRevision(bucket, key, body, revision);
      return { grows: revision > Math.max(0, ...known) };
    },
    (revision) => run.facts.revisionName(bucket, revision),
  );
}

function expectedRevision(run: Run, id: string, expect: StepOf<"cas">["expect"]): number {
  const known = run.facts.byKey.get(id) ?? [];
  const last = known.at(-1) ?? 0;
  if (expect === "none") return 0;
  if (expect === "current") return last;
  if (expect === "stale") return known.findLast((revision) => revision !== last) ?? 0;
  return last + FAR;
}

/** Where one value is kept per key, one that was overwritten may be left out. */
function collapsed(run: Run, bucket: string, events: readonly KvEvent[]): KvEvent[] {
  const kept = stated(run, bucket, events);
  if ((run.facts.histories.get(bucket) ?? 1) > 1) return kept;
  return kept.filter(
    (event, index) =>
      event.type === "initialDone" ||
      !kept
        .slice(index + 1)
        .some((later) => later.type !== "initialDone" && later.key === event.key),
  );
}

/** Without the ends of values with a TTL of their own, which only some servers tell, and late. */
function stated<E extends KvEvent>(run: Run, bucket: string, events: readonly E[]): E[] {
  const mortal = run.facts.mortalKeys.get(bucket);
  if (mortal === undefined) return [...events];
  return events.filter((event) => event.type !== "delete" || !mortal.has(event.key));
}

function entryView(run: Run, bucket: string, entry: KvEntry): Outcome {
  const { key, value, revision, createdAtMs } = entry;
  return {
    key,
    body: bodyOf(value),
    revision: run.facts.revisionName(bucket, revision),
    at: run.atTick(createdAtMs),
  };
}

function eventView(run: Run, bucket: string, event: KvEvent): Outcome {
  if (event.type === "initialDone") return "initialDone";
  if (event.type === "put") return entryView(run, bucket, event);
  return { key: event.key, deleted: true, at: run.atTick(event.createdAtMs) };
}
