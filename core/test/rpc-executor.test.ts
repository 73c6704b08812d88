import { describe, expect, it, vi } from "vitest";
import { resolveServeOptions, RpcExecutor, type RpcOutcome, settle } from "../src/adapter.ts";
import {
  BusError,
  type RpcHandler,
  type RpcRequest,
  type ServeOptions,
  toBytes,
  toText,
  VirtualClock,
} from "../src/index.ts";

function server(handler: RpcHandler, options: ServeOptions = {}, maxPayloadBytes = 100) {
  const clock = new VirtualClock();
  const executor = new RpcExecutor(handler, resolveServeOptions(options), {
    clock,
    maxPayloadBytes,
  });
  const answers: string[] = [];
  const show = (outcome: RpcOutcome): string =>
    outcome.ok ? toText(outcome.payload) : `${outcome.code}: ${outcome.message}`;
  const accept = (text: string): void => {
    executor.accept({
      subject: "s",
      payload: toBytes(text),
      headers: {},
      answer: (outcome) => answers.push(`${text} -> ${show(outcome)}`),
    });
  };
  return { clock, executor, answers, accept };
}

/** A handler whose calls end when the test says so. */
function gate() {
  const ends: (() => void)[] = [];
  const requests: RpcRequest[] = [];
  const handler: RpcHandler = async (request) => {
    requests.push(request);
    await new Promise<void>((resolve) => ends.push(resolve));
    return `did ${toText(request.payload)}`;
  };
  return { ends, requests, handler };
}

describe("RpcExecutor.accept", () => {
  it("answers with what the handler gives", async () => {
    const results: Record<string, unknown> = {
      text: "x",
      bytes: toBytes("y"),
      nothing: undefined,
      empty: "",
      object: { payload: "z", headers: { h: "v" } },
    };
    const outcomes: RpcOutcome[] = [];
    const { executor } = server((request) => results[toText(request.payload)] as string);
    for (const name of Object.keys(results)) {
      executor.accept({
        subject: "s",
        payload: toBytes(name),
        headers: {},
        answer: (outcome) => outcomes.push(outcome),
      });
    }
    await settle();
    expect(outcomes.map((one) => one.ok && [toText(one.payload), { ...one.headers }])).toEqual([
      ["x", {}],
      ["y", {}],
      ["", {}],
      ["", {}],
      ["z", { h: "v" }],
    ]);
  });

  it.each([
    ["an error of a bus", () => Promise.reject(new BusError("CONFLICT", "c")), "CONFLICT: c"],
    [
      "an error at once",
      () => {
        throw new Error("e\nat x");
      },
      "INTERNAL: e at x",
    ],
    ["a reply that is too large", () => "x".repeat(101), "PAYLOAD_TOO_LARGE: "],
    ["headers that are not allowed", () => ({ payload: "", headers: { "a b": "" } }), "INVALID"],
    ["a payload that is none", () => ({ payload: 5 }) as never, "INVALID_ARGUMENT: payload for"],
    ["null", () => null as never, "INTERNAL: "],
  ])("answers %s with its code", async (_what, handler: RpcHandler, expected) => {
    const { accept, answers } = server(handler);
    accept("a");
    await settle();
    expect(answers).toEqual([expect.stringContaining(`a -> ${expected}`)]);
  });

  it("runs as many at a time as it may, and the others in order", async () => {
    const { ends, requests, handler } = gate();
    const { accept, answers } = server(handler, { concurrency: 2, maxQueued: 2 });
    for (const text of ["a", "b", "c", "d", "e"]) accept(text);
    await settle();
    expect(requests).toHaveLength(2);
    expect(answers).toEqual([
      "e -> LIMIT_EXCEEDED: the server of s has 2 running and 2 waiting requests",
    ]);
    for (let index = 0; index < 4; index++) {
      ends[index]!();
      await settle();
    }
    expect(answers.slice(1)).toEqual(["a -> did a", "b -> did b", "c -> did c", "d -> did d"]);
  });

  it("refuses at once where nothing may wait", async () => {
    const { handler } = gate();
    const { accept, answers } = server(handler, { concurrency: 1, maxQueued: 0 });
    accept("a");
    accept("b");
    expect(answers).toEqual([expect.stringContaining("b -> LIMIT_EXCEEDED")]);
  });

  it("goes on when an answer cannot be sent", async () => {
    const { executor, accept, answers } = server(() => "x", { concurrency: 1 });
    executor.accept({
      subject: "s",
      payload: toBytes("lost"),
      headers: {},
      answer: () => {
        throw new Error("the connection is gone");
      },
    });
    accept("a");
    await settle();
    expect(answers).toEqual(["a -> x"]);
    expect(await executor.stop(0)).toEqual({ abandoned: 0 });
  });
});

describe("RpcExecutor.stop", () => {
  it("waits for what runs and what waits, and takes nothing new", async () => {
    const { ends, requests, handler } = gate();
    const { executor, clock, accept, answers } = server(handler, { concurrency: 1 });
    accept("a");
    accept("b");
    const stopping = executor.stop(1_000);
    accept("c");
    expect(answers).toEqual(["c -> CLOSED: the server was closed"]);
    ends[0]!();
    await settle();
    ends[1]!();
    expect(await stopping).toEqual({ abandoned: 0 });
    expect(answers.slice(1)).toEqual(["a -> did a", "b -> did b"]);
    expect(requests.every(({ signal }) => !signal.aborted)).toBe(true);
    expect(clock.pendingTimers).toBe(0);
    accept("d");
    expect(answers.at(-1)).toBe("d -> CLOSED: the server was closed");
  });

  it("aborts and reports what is not done in time", async () => {
    const { ends, requests, handler } = gate();
    const { executor, clock, accept, answers } = server(handler, { concurrency: 1 });
    accept("a");
    accept("b");
    const report = await clock.autoAdvance(executor.stop(1_000));
    expect(report).toEqual({ abandoned: 2 });
    expect(clock.monotonic()).toBe(1_000);
    expect(answers).toEqual(["b -> CLOSED: the server was closed"]);
    expect(requests[0]?.signal.reason).toMatchObject({ code: "CLOSED" });
    // One that ends late may still answer.
    ends[0]!();
    await settle();
    expect(answers.at(-1)).toBe("a -> did a");
    expect(requests).toHaveLength(1);
  });

  it("does not wait with no drain time, and lets several callers wait", async () => {
    const { ends, handler } = gate();
    const { executor, accept } = server(handler);
    accept("a");
    const waiting = [executor.stop(1_000), executor.stop(1_000)];
    expect(await executor.stop(0)).toEqual({ abandoned: 1 });
    ends[0]!();
    expect(await Promise.all(waiting)).toEqual([{ abandoned: 0 }, { abandoned: 0 }]);
    expect(await executor.stop(1_000)).toEqual({ abandoned: 0 });
  });

  it("calls the handler once per request", async () => {
    const handler = vi.fn(() => "x");
    const { accept } = server(handler, { concurrency: 3 });
    for (let index = 0; index < 1_000; index++) accept(String(index));
    await settle();
    expect(handler).toHaveBeenCalledTimes(1_000);
  });
});
