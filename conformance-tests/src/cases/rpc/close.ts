import { toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkEachOnce,
  checkNotAfter,
  checkNotBefore,
  numbered,
  stopwatch,
  track,
} from "../pubsub/helpers.ts";
import { ask, busErrorOf, gate } from "./helpers.ts";

/** How servers and callers end. */
export const closeCases: readonly ConformanceCase[] = [
  {
    id: "RPC-CLOSE-001",
    title: "A closed server takes no requests: NO_RESPONDERS, from every bus, also after an abort",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const controller = new AbortController();
      const server = await other.rpc.serve("s", () => "here");
      await other.rpc.serve("aborted", () => "here", { signal: controller.signal });
      checkEqual(await ask(bus, "s", "x"), "here", "before");
      checkEqual(await ask(bus, "aborted", "x"), "here", "before the abort");
      const reports = await Promise.all([server.close(), server.close()]);
      reports.push(await server.close());
      checkEqual(
        reports.map((report) => report.abandoned),
        [0, 0, 0],
        "abandoned",
      );
      await server[Symbol.asyncDispose]();
      for (const from of [other, bus]) {
        await checkCode(() => ask(from, "s", "x"), "NO_RESPONDERS", "after close");
      }
      controller.abort();
      await context.until("the aborted one is gone", async () => {
        const reply = ask(bus, "aborted", "x");
        return reply.then(
          () => false,
          () => true,
        );
      });
      await checkCode(() => ask(bus, "aborted", "x"), "NO_RESPONDERS", "after the abort");
    },
  },
  {
    id: "RPC-CLOSE-002",
    title: "close({ drainMs }) lets running handlers answer and takes nothing new meanwhile",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const busy = gate();
      const started = gate();
      const server = await bus.rpc.serve("s", async ({ payload }) => {
        started.open();
        await busy.opened;
        return `done ${toText(payload)}`;
      });
      const running = track(ask(bus, "s", "work"));
      await started.opened;
      const elapsed = stopwatch(clock);
      const closing = track(server.close({ drainMs: 10_000 }));
      await checkCode(() => ask(bus, "s", "new"), "NO_RESPONDERS", "a request during the drain");
      await clock.sleep(100);
      check(closing.pending, "close waits for the handler");
      busy.open();
      checkEqual(await running.promise, "done work", "the running request");
      checkEqual((await closing.promise).abandoned, 0, "abandoned");
      checkNotAfter(context, elapsed(), 100, "close");
    },
  },
  {
    id: "RPC-CLOSE-003",
    title: "A stuck handler is reported as abandoned in time, and its signal aborts",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const stuck = gate();
      context.defer(() => stuck.open());
      const signals: AbortSignal[] = [];
      const server = await bus.rpc.serve("s", async ({ signal }) => {
        signals.push(signal);
        await stuck.opened;
      });
      const requests = numbered(2).map((text) => {
        return track(bus.rpc.request("s", text, { timeoutMs: 1_000 }));
      });
      await context.until("both run", () => signals.length === 2);
      check(!signals.some((signal) => signal.aborted), "no signal is aborted before");
      const elapsed = stopwatch(clock);
      const report = await server.close({ drainMs: 200 });
      checkNotBefore(elapsed(), 200, "close");
      checkNotAfter(context, elapsed(), 200, "close");
      checkEqual(report.abandoned, 2, "abandoned");
      check(
        signals.every((signal) => signal.aborted),
        "the signals are aborted",
      );
      for (const { promise } of requests) await busErrorOf(promise);
      checkNotAfter(context, elapsed(), 1_000, "the callers' end");
    },
  },
  {
    id: "RPC-CLOSE-004",
    title: "Without drainMs a server's close does not wait",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const stuck = gate();
      const started = gate();
      context.defer(() => stuck.open());
      const server = await bus.rpc.serve("s", ({ signal }) => {
        signal.addEventListener("abort", () => stuck.open());
        started.open();
        return stuck.opened;
      });
      const request = track(bus.rpc.request("s", "x", { timeoutMs: 500 }));
      await started.opened;
      const elapsed = stopwatch(context.clock);
      checkEqual((await server.close()).abandoned, 1, "abandoned");
      checkNotAfter(context, elapsed(), 0, "close");
      await request.promise.catch(() => undefined);
    },
  },
  {
    id: "RPC-CLOSE-005",
    title: "If the responder's bus goes away in the middle, the caller ends within its timeout",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const stuck = gate();
      const started = gate();
      context.defer(() => stuck.open());
      const server = await context.open();
      await server.rpc.serve("s", () => {
        started.open();
        return stuck.opened;
      });
      const elapsed = stopwatch(context.clock);
      const request = busErrorOf(bus.rpc.request("s", "x", { timeoutMs: 600 }));
      await started.opened;
      const report = await server.close({ drainMs: 0 });
      checkEqual(report.abandoned, 1, "abandoned");
      await request;
      checkNotAfter(context, elapsed(), 600, "the caller's end");
      await checkCode(() => ask(bus, "s", "x"), "NO_RESPONDERS", "the next request");
    },
  },
  {
    id: "RPC-CLOSE-006",
    title: "When one server of a group closes, the others go on, and no request is lost",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const handled: string[] = [];
      const servers = [];
      for (const from of [await context.open(), await context.open(), await context.open()]) {
        const handler = ({ payload }: { payload: Uint8Array }): string => {
          handled.push(toText(payload));
          return "ok";
        };
        servers.push(await from.rpc.serve("s", handler));
      }
      const texts = numbered(300);
      for (const [index, text] of texts.entries()) {
        const request = ask(bus, "s", text);
        if (index === 100 || index === 200) await servers.pop()?.close({ drainMs: 1_000 });
        checkEqual(await request, "ok", `request ${index}`);
      }
      checkEachOnce(handled, texts, "what was handled");
    },
  },
  {
    id: "RPC-CLOSE-007",
    title: "Closing the bus ends its waiting requests, and later ones are CLOSED",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const caller = await context.open();
      const stuck = gate();
      context.defer(() => stuck.open());
      await bus.rpc.serve("s", () => stuck.opened);
      const waiting = busErrorOf(caller.rpc.request("s", "x", { timeoutMs: 20_000 }));
      const elapsed = stopwatch(context.clock);
      await caller.close({ drainMs: 100 });
      await waiting;
      checkNotAfter(context, elapsed(), 1_100, "the end of the waiting request");
      const { rpc } = caller;
      await checkCode(() => rpc.request("s", "x"), "CLOSED", "request");
      await checkCode(() => rpc.serve("s", () => "x"), "CLOSED", "serve");
      const many = async (): Promise<void> => {
        for await (const _ of rpc.requestMany("s", "x")) check(false, "a reply after close");
      };
      await checkCode(many, "CLOSED", "requestMany");
    },
  },
];
