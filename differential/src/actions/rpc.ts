import { type Reply, type RpcHandler, toText } from "@busbar/core";
import { type Outcome, outcomeOf } from "../outcome.ts";
import type { Run } from "../run.ts";
import type { Behaviour, StepOf } from "../script.ts";
import { bodyFrom, payloadOf } from "./payload.ts";
import { bodyOf, headersView } from "./views.ts";

/** How long a slow handler takes, in units. */
const SLOW = 1.45;

export function serve(run: Run, step: StepOf<"serve">): Promise<Outcome> {
  const { name, subject, behaviour, group, concurrency, maxQueued } = step;
  return outcomeOf(
    () =>
      run.bus(step.bus).rpc.serve(subject, handlerOf(run, behaviour), {
        ...(group !== undefined && { group }),
        ...(concurrency !== undefined && { concurrency }),
        ...(maxQueued !== undefined && { maxQueued }),
      }),
    (server) => {
      run.servers.set(name, server);
      return "ok";
    },
  );
}

export function unserve(run: Run, step: StepOf<"unserve">): Promise<Outcome> {
  const server = run.servers.get(step.name);
  if (server === undefined) return Promise.resolve("absent");
  run.servers.delete(step.name);
  return outcomeOf(
    () => server.close(),
    ({ abandoned }) => ({ abandoned }),
  );
}

export function request(run: Run, step: StepOf<"request">): Promise<Outcome> {
  const { subject, timeout, headers, size, name } = step;
  const work = outcomeOf(
    () =>
      run.bus(step.bus).rpc.request(subject, payloadOf(run, bodyFrom(step), size), {
        timeoutMs: run.ms(timeout),
        ...(headers && { headers }),
      }),
    replyView,
  );
  return name === undefined ? work : run.begin(name, step.bus, work);
}

export function requestMany(run: Run, step: StepOf<"requestMany">): Promise<Outcome> {
  const { subject, timeout, maxReplies, name } = step;
  const replies: Reply[] = [];
  const work = outcomeOf(
    async () => {
      const stream = run.bus(step.bus).rpc.requestMany(subject, bodyFrom(step), {
        timeoutMs: run.ms(timeout),
        ...(maxReplies !== undefined && { maxReplies }),
      });
      for await (const reply of stream) replies.push(reply);
    },
    () => replies.map((reply) => JSON.stringify(replyView(reply))).sort(),
  );
  return name === undefined ? work : run.begin(name, step.bus, work);
}

function handlerOf(run: Run, behaviour: Behaviour): RpcHandler {
  return async ({ subject, payload, headers, signal }) => {
    switch (behaviour) {
      case "echo":
        return `${subject} ${toText(payload)}`;
      case "headers":
        return { payload, headers: { ...headers, Answered: ["yes", "indeed"] } };
      case "empty":
        return undefined;
      case "throw":
        throw new Error("it broke\nbadly");
      case "code":
        throw Object.assign(new Error("no such thing"), { code: "NO_SUCH_THING" });
      case "slow":
        await run.world.clock.sleep(run.ms(SLOW), { signal });
        return `late ${toText(payload)}`;
      case "never":
        await new Promise((resolve) => {
          signal.addEventListener("abort", resolve, { once: true });
        });
        return "aborted";
    }
  };
}

function replyView({ payload, headers }: Reply): Outcome {
  return { body: bodyOf(payload), headers: headersView(headers) };
}
