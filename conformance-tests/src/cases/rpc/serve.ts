import { toText } from "@busbar/core";
import { check, checkCode, checkEqual, checkOptionRefused } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { checkEachOnce, inParallel, numbered, stopwatch, track } from "../pubsub/helpers.ts";
import { ask, gate } from "./helpers.ts";

/** Servers: groups, wildcards, limits. */
export const serveCases: readonly ConformanceCase[] = [
  {
    id: "RPC-SRV-001",
    title:
      "Servers of one group share: of 300 requests each is handled once, and every server helps",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const handled = new Map<string, string[]>();
      for (const name of numbered(3, "server")) {
        const server = await context.open();
        const mine: string[] = [];
        handled.set(name, mine);
        await server.rpc.serve("work", ({ payload }) => {
          mine.push(toText(payload));
          return name;
        });
      }
      const texts = numbered(300);
      await inParallel(texts, 20, (text) => ask(context.bus, "work", text));
      checkEachOnce([...handled.values()].flat(), texts, "what was handled");
      for (const [name, mine] of handled) check(mine.length > 0, `${name} handled nothing`);
    },
  },
  {
    id: "RPC-SRV-002",
    title: "Requests can arrive when serve has resolved, from every bus",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      for (const subject of numbered(50, "fresh.s")) {
        await other.rpc.serve(subject, () => subject);
        checkEqual(await ask(bus, subject, "x"), subject, "the first request");
      }
    },
  },
  {
    id: "RPC-SRV-003",
    title: "A server of a pattern has every subject that it covers, told which, and no other",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      await bus.rpc.serve("a.*", ({ subject }) => `star ${subject}`);
      await bus.rpc.serve("b.>", ({ subject }) => `rest ${subject}`);
      await bus.rpc.serve("*.c.*", ({ subject }) => `middle ${subject}`);
      for (const subject of ["a.b", "a.$SYS", "a.-"]) {
        checkEqual(await ask(bus, subject, "x"), `star ${subject}`, subject);
      }
      for (const subject of ["b.x", "b.x.y.z"]) {
        checkEqual(await ask(bus, subject, "x"), `rest ${subject}`, subject);
      }
      checkEqual(await ask(bus, "x.c.y", "x"), "middle x.c.y", "x.c.y");
      for (const subject of ["a", "b", "a.b.c", "A.b", "aa.b", "x.d.y", "c"]) {
        await checkCode(() => ask(bus, subject, "x"), "NO_RESPONDERS", subject);
      }
    },
  },
  {
    id: "RPC-SRV-004",
    title: "No more than concurrency requests are handled at a time, and as many are",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      let running = 0;
      let most = 0;
      const handler = async (): Promise<void> => {
        running += 1;
        most = Math.max(most, running);
        await clock.sleep(20);
        running -= 1;
      };
      await bus.rpc.serve("limited", handler, { concurrency: 3 });
      await Promise.all(numbered(20).map((text) => ask(bus, "limited", text)));
      checkEqual(most, 3, "most at a time");
      checkEqual(running, 0, "running at the end");
    },
  },
  {
    id: "RPC-SRV-005",
    title: "Beyond concurrency and maxQueued a request is REMOTE LIMIT_EXCEEDED at once",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const busy = gate();
      context.defer(() => busy.open());
      const handler = async (): Promise<string> => {
        await busy.opened;
        return "served";
      };
      await bus.rpc.serve("full", handler, { concurrency: 1, maxQueued: 2 });
      const elapsed = stopwatch(context.clock);
      const requests = numbered(7).map((text) => track(ask(bus, "full", text)));
      await context.until("four were refused", () => {
        return requests.filter((request) => !request.pending).length >= 4;
      });
      check(elapsed() < 2_000, `it took ${elapsed()} ms`);
      const refused = requests.filter((request) => !request.pending);
      checkEqual(refused.length, 4, "refused");
      for (const { promise } of refused) {
        const error = await checkCode(promise, "REMOTE", "a refused request");
        checkEqual(error.details["code"], "LIMIT_EXCEEDED", "details.code");
      }
      busy.open();
      for (const request of requests) {
        if (!refused.includes(request)) checkEqual(await request.promise, "served", "the others");
      }
      checkEqual(await ask(bus, "full", "later"), "served", "a request when there is room");
    },
  },
  {
    id: "RPC-SRV-006",
    title: "maxQueued 0 takes what can run at once and nothing else",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const busy = gate();
      context.defer(() => busy.open());
      await bus.rpc.serve("full", () => busy.opened, { concurrency: 2, maxQueued: 0 });
      const running = [track(ask(bus, "full", "1")), track(ask(bus, "full", "2"))];
      const error = await checkCode(() => ask(bus, "full", "3"), "REMOTE", "the third");
      checkEqual(error.details["code"], "LIMIT_EXCEEDED", "details.code");
      check(
        running.every((request) => request.pending),
        "the two that run go on",
      );
      busy.open();
      for (const { promise } of running) checkEqual(await promise, "", "their replies");
    },
  },
  {
    id: "RPC-SRV-007",
    title: "A slow request does not hold up a quick one",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const busy = gate();
      context.defer(() => busy.open());
      await bus.rpc.serve("mixed", async ({ payload }) => {
        if (toText(payload) === "slow") await busy.opened;
        return toText(payload);
      });
      const slow = track(ask(bus, "mixed", "slow"));
      for (const text of numbered(20))
        checkEqual(await ask(bus, "mixed", text), text, "a quick one");
      check(slow.pending, "the slow one is still running");
      busy.open();
      checkEqual(await slow.promise, "slow", "the slow one");
    },
  },
  {
    id: "RPC-SRV-008",
    title: "A handler may send requests of its own, also to the subject it serves",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      await bus.rpc.serve("countdown", async ({ payload }) => {
        const left = Number(toText(payload));
        return left === 0 ? "end" : `${left} ${await ask(bus, "countdown", `${left - 1}`)}`;
      });
      checkEqual(await ask(bus, "countdown", "5"), "5 4 3 2 1 end", "the reply");
    },
  },
  {
    id: "RPC-SRV-009",
    title: "Options and names of serve that are not allowed are refused",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      const handler = (): string => "never";
      for (const concurrency of [0, -1, 1.5, Number.NaN]) {
        await checkOptionRefused(() => bus.rpc.serve("s", handler, { concurrency }), "concurrency");
      }
      for (const maxQueued of [-1, 1.5, Number.NaN]) {
        await checkOptionRefused(() => bus.rpc.serve("s", handler, { maxQueued }), "maxQueued");
      }
      for (const subject of ["", "a b", ".a", "a.", "a..b", "a.>.b", "a*", "ä", "a\nb"]) {
        await checkCode(() => bus.rpc.serve(subject, handler), "INVALID_ARGUMENT", "a subject");
      }
      for (const group of ["", "a b", "a*", ">", "a.", "ä", "x".repeat(129)]) {
        await checkCode(
          () => bus.rpc.serve("s", handler, { group }),
          "INVALID_ARGUMENT",
          "a group",
        );
      }
      await checkCode(() => ask(bus, "s", "x"), "NO_RESPONDERS", "nobody serves it");
    },
  },
  {
    id: "RPC-SRV-010",
    title: 'A server without an option for its group shares with those of the group "default"',
    contract: "rpc",
    level: "L1",
    async run(context) {
      const handled: string[] = [];
      for (const options of [{}, { group: "default" }]) {
        const server = await context.open();
        const handler = ({ payload }: { readonly payload: Uint8Array }): void => {
          handled.push(toText(payload));
        };
        await server.rpc.serve("work", handler, options);
      }
      const texts = numbered(40);
      for (const text of texts) await ask(context.bus, "work", text);
      checkEachOnce(handled, texts, "what was handled");
    },
  },
];
