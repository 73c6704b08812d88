import { onTestFinished } from "vitest";
import type { JobTerm } from "../../../src/engine/job-term.ts";
import type { ClaimRequest, Queue } from "../../../src/engine/queue.ts";
import { type Checker, simulate, type SimulationError, type World } from "../../../src/index.ts";

/** Puts a bug in the place of a method of the engine until the test is over. */
export function plant<Target extends object, Name extends keyof Target>(
  target: Target,
  name: Name,
  bug: (right: Target[Name]) => Target[Name],
): void {
  const right = target[name];
  target[name] = bug(right);
  onTestFinished(() => {
    target[name] = right;
  });
}

/** Bends every claim of a queue, at once or after a wait: what it asks for, and what it gets. */
export function plantLeases(
  queue: Queue,
  asked: (request: ClaimRequest) => ClaimRequest,
  got: (leases: JobTerm[]) => JobTerm[] = (leases) => leases,
): void {
  plant(queue, "claim", (right) => {
    return function bent(this: Queue, request) {
      return got(right.call(this, asked(request)));
    };
  });
  plant(queue, "wait", (right) => {
    return function bent(this: Queue, waiter) {
      const grant = waiter.grant.bind(waiter);
      const request = asked(waiter.request);
      right.call(
        this,
        Object.assign(waiter, { request, grant: (leases: JobTerm[]) => grant(got(leases)) }),
      );
    };
  });
}

/** Says `true` at every so manieth call. */
export function every(count: number): () => boolean {
  let calls = 0;
  return () => {
    calls += 1;
    return calls % count === 0;
  };
}

/** Runs a scenario that must fail. @returns who found what */
export async function finding(
  checkers: () => readonly Checker[],
  scenario: (world: World) => Promise<void>,
  drain: false | ((world: World) => boolean) = (world) => world.isAtRest(),
): Promise<string> {
  // A planted bug may send the scenario round in circles.
  const options = { seed: 7, checkers, drain, maxEventsAtOnce: 50_000 };
  const failure = await simulate(options, scenario).then(
    () => undefined,
    (error: SimulationError) => error,
  );
  if (failure === undefined) throw new Error("the planted bug was not found");
  return failure.message;
}
