import type { Script } from "../script.ts";
import { Dice } from "./dice.ts";
import { Draft, span } from "./draft.ts";
import { jobStep } from "./jobs.ts";
import { kvStep, leaseStep } from "./kv.ts";
import { pubsubStep } from "./pubsub.ts";
import { rpcStep } from "./rpc.ts";

/** How scripts are made. */
export interface GenerateOptions {
  /** How many steps before the last look at everything. Default: 20 to 60. */
  readonly steps?: number | undefined;
}

/** How many bad calls there are at least; larger numbers wrap around. */
const BAD_CALLS = 1_000;

/** The seed of script `index` of a run. */
export function scriptSeed(seed: number, index: number): number {
  return (Math.imul(seed, 0x9e37_79b1) + Math.imul(index + 1, 0x85eb_ca6b)) >>> 0;
}

/** One of so many scripts restarts its server. */
const RESTARTS_ONE_OF = 50;
/** It is shorter: what was in hand before a restart comes again after half a minute. */
const MOST_STEPS_WITH_RESTART = 40;

/** The script of a seed: always the same one. */
export function generate(seed: number, options: GenerateOptions = {}): Script {
  const dice = new Dice(seed);
  const restarts = seed % RESTARTS_ONE_OF === 0;
  const draft = new Draft(dice, restarts);
  const count = options.steps ?? dice.int(20, restarts ? MOST_STEPS_WITH_RESTART : 60);
  const dedupWindow = draft.mayEnd(0.3, () => span(dice.int(1, 3)));
  // Each script is mostly about one or two things, so that it gets somewhere.
  const kinds = [pubsubStep, kvStep, leaseStep, jobStep, rpcStep];
  const main = dice.pick(kinds);
  const second = dice.pick(kinds);
  const weights = kinds.map((kind) => {
    const weight = (kind === main ? 8 : 0) + (kind === second ? 4 : 0) + 0.7;
    return [weight, kind] as const;
  });
  prepareBuckets(draft);
  const restartAt = restarts ? dice.int(5, count - 5) : count;
  while (draft.steps.length < count) {
    const isDone = draft.steps.some(({ op }) => op === "restartServer");
    if (draft.steps.length >= restartAt && !isDone) draft.add({ op: "restartServer" });
    dice.weighted<(draft: Draft) => void>([
      ...weights,
      [3, wait],
      [0.5, bad],
      [0.5, reopen],
      [2, join],
    ])(draft);
  }
  lookAtEverything(draft);
  const steps = draft.steps.slice();
  return {
    seed,
    ...(dedupWindow !== undefined && { dedupWindow }),
    ...(restarts && { restarts }),
    steps,
  };
}

function prepareBuckets(draft: Draft): void {
  for (const plan of draft.buckets) {
    if (plan.history === undefined && plan.ttl === undefined) continue;
    draft.add({ op: "ensureBucket", bus: draft.bus(), ...plan });
  }
}

function wait(draft: Draft): void {
  draft.add({ op: "wait", ticks: draft.dice.int(1, 2) });
}

function bad(draft: Draft): void {
  draft.add({ op: "bad", bus: draft.bus(), which: draft.dice.int(0, BAD_CALLS - 1) });
}

function join(draft: Draft): void {
  const { begun, dice } = draft;
  if (begun.length > 0) draft.add({ op: "join", name: dice.pick(begun) });
}

/** The client is started again, at once or after a few steps. */
function reopen(draft: Draft): void {
  const bus = draft.bus();
  const isOpen = draft.steps.findLast((step) => step.op === "closeBus" || step.op === "openBus");
  const op = isOpen?.op === "closeBus" && isOpen.bus === bus ? "openBus" : "closeBus";
  draft.add({ op, bus });
  if (op === "closeBus" && draft.dice.chance(0.7)) draft.add({ op: "openBus", bus });
}

/** What no step has looked at comes to light here. */
function lookAtEverything(draft: Draft): void {
  const { durables, queues, buckets, begun, subscriptions, listeners, watches } = draft;
  draft.add({ op: "openBus", bus: 0 });
  draft.add({ op: "wait", ticks: 1 });
  const ops = new Set(draft.steps.map(({ op }) => op));
  for (const name of begun.slice(-4)) draft.add({ op: "join", name });
  for (const name of listeners) draft.add({ op: "hear", name });
  for (const name of subscriptions) draft.add({ op: "take", name });
  for (const name of watches) draft.add({ op: "watched", name });
  if (ops.has("publish")) {
    for (const { durable, subject, options } of durables) {
      draft.add({ op: "poll", bus: 0, durable, subject, options });
      draft.add({ op: "dead", bus: 0, kind: "durable", owner: durable, verb: "list" });
    }
  }
  if (ops.has("enqueue")) {
    for (const queue of queues) {
      draft.add({ op: "stats", bus: 0, queue });
      draft.add({ op: "claim", bus: 0, queue, max: 100 });
      draft.add({ op: "stats", bus: 0, queue });
      draft.add({ op: "dead", bus: 0, kind: "queue", owner: queue, verb: "list" });
    }
  }
  if (ops.has("put") || ops.has("create")) {
    for (const { bucket } of buckets) {
      draft.add({ op: "keys", bus: 0, bucket });
      draft.add({ op: "watch", bus: 0, name: `last ${bucket}`, bucket, after: "start" });
      draft.add({ op: "watched", name: `last ${bucket}` });
    }
  }
}
