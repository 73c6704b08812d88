import type { Outcome } from "../outcome.ts";
import { LEFT_OUT, type Run } from "../run.ts";
import { isBefore210 } from "../rules.ts";
import type { KvStep, Op, Step } from "../script.ts";
import { bad } from "./bad.ts";
import { dead } from "./dead.ts";
import { claim, enqueue, enqueueMany, pause, purge, settleJob, stats } from "./jobs.ts";
import * as kv from "./kv.ts";
import { lease, leaseCall } from "./lease.ts";
import * as pubsub from "./pubsub.ts";
import * as rpc from "./rpc.ts";
import { closeBus, join, openBus, restartServer } from "./world.ts";

/** Steps whose outcome depends on what values there are. */
const READS_VALUES: ReadonlySet<Op> = new Set([
  "put",
  "create",
  "cas",
  "delete",
  "get",
  "history",
  "keys",
  "watch",
  "race",
]);

/** Servers before 2.10 say nothing where nobody answers a read: that takes a second to find out. */
function takesLong(run: Run, step: KvStep): boolean {
  if (!("bucket" in step) || !isBefore210(run.traits.version)) return false;
  const buses = "bus" in step ? [step.bus] : [0, 1];
  return buses.some((bus) => run.facts.lostBuckets.has(`${bus} ${step.bucket}`));
}

/** Does one step and tells what came of it. */
export function perform(run: Run, step: Step): Promise<Outcome> {
  if ("bucket" in step && READS_VALUES.has(step.op)) {
    const isEnding = run.isEnding(step.bucket, "key" in step ? step.key : undefined);
    const isOverdue =
      (step.op === "cas" || step.op === "race") && run.isOverdue(step.bucket, step.key);
    if (run.leavesOut(isEnding || isOverdue || takesLong(run, step))) {
      return Promise.resolve(LEFT_OUT);
    }
  }
  switch (step.op) {
    case "wait":
      return Promise.resolve(null);
    case "openBus":
      return openBus(run, step);
    case "closeBus":
      return closeBus(run, step);
    case "restartServer":
      return restartServer(run);
    case "join":
      return join(run, step);
    case "bad":
      return bad(run, step);
    case "publish":
      return pubsub.publish(run, step);
    case "notify":
      return pubsub.notify(run, step);
    case "listen":
      return pubsub.listen(run, step);
    case "hear":
      return pubsub.hear(run, step);
    case "unlisten":
      return pubsub.unlisten(run, step);
    case "poll":
      return pubsub.poll(run, step);
    case "subscribe":
      return pubsub.subscribe(run, step);
    case "take":
      return pubsub.take(run, step);
    case "unsubscribe":
      return pubsub.unsubscribe(run, step);
    case "settle":
      return pubsub.settle(run, step);
    case "deleteDurable":
      return pubsub.deleteDurable(run, step);
    case "dead":
      return dead(run, step);
    case "ensureBucket":
      return kv.ensureBucket(run, step);
    case "deleteBucket":
      return kv.deleteBucket(run, step);
    case "put":
    case "create":
      return kv.put(run, step);
    case "cas":
      return kv.cas(run, step);
    case "delete":
      return kv.remove(run, step);
    case "get":
      return kv.get(run, step);
    case "history":
      return kv.history(run, step);
    case "keys":
      return kv.keys(run, step);
    case "watch":
      return kv.watch(run, step);
    case "watched":
      return kv.watched(run, step);
    case "unwatch":
      return kv.unwatch(run, step);
    case "race":
      return kv.race(run, step);
    case "lease":
      return lease(run, step);
    case "leaseCall":
      return leaseCall(run, step);
    case "enqueue":
      return enqueue(run, step);
    case "enqueueMany":
      return enqueueMany(run, step);
    case "claim":
      return claim(run, step);
    case "job":
      return settleJob(run, step);
    case "stats":
      return stats(run, step);
    case "pause":
    case "resume":
      return pause(run, step);
    case "purge":
    case "deleteQueue":
      return purge(run, step);
    case "serve":
      return rpc.serve(run, step);
    case "unserve":
      return rpc.unserve(run, step);
    case "request":
      return rpc.request(run, step);
    case "requestMany":
      return rpc.requestMany(run, step);
  }
}
