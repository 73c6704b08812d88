import { toText } from "@busbar/core";
import { check, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { inParallel, numbered } from "../pubsub/helpers.ts";
import { ask, gate } from "./helpers.ts";

/** Many requests, and what they leave behind. */
export const stressCases: readonly ConformanceCase[] = [
  {
    id: "RPC-STRESS-001",
    title: "64 requests at the same time each have their own reply, in whatever order it comes",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus, clock, random } = context;
      const server = await context.open();
      await server.rpc.serve("echo", async ({ payload }) => {
        await clock.sleep(Math.floor(random.next() * 30));
        return `reply to ${toText(payload)}`;
      });
      await Promise.all(
        numbered(64).map(async (text) => {
          checkEqual(await ask(bus, "echo", text), `reply to ${text}`, "the reply");
        }),
      );
    },
  },
  {
    id: "RPC-STRESS-002",
    title: "1,000 requests one after the other, and 5,000 with 64 in flight, are handled once each",
    contract: "rpc",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const server = await context.open();
      const counts = new Map<string, number>();
      await server.rpc.serve("count", ({ payload }) => {
        const text = toText(payload);
        counts.set(text, (counts.get(text) ?? 0) + 1);
        return text;
      });
      const sequential = numbered(1_000, "s");
      for (const text of sequential) checkEqual(await ask(bus, "count", text), text, "the reply");
      const parallel = numbered(5_000, "p");
      const replies = await inParallel(parallel, 64, (text) => ask(bus, "count", text));
      checkEqual(replies, parallel, "replies of those in flight");
      checkEqual(counts.size, 6_000, "distinct requests");
      check(
        [...counts.values()].every((count) => count === 1),
        "a request was handled twice",
      );
    },
  },
  {
    id: "RPC-STRESS-003",
    title: "10,000 timeouts, and their late replies, leave nothing behind",
    contract: "rpc",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const responder = await context.open();
      const late = gate();
      let answered = 0;
      const handler = async ({ payload }: { payload: Uint8Array }): Promise<string> => {
        const text = toText(payload);
        if (text === "quick") return "quick";
        await late.opened;
        answered += 1;
        return `late reply to ${text}`;
      };
      const server = await responder.rpc.serve("late", handler, { concurrency: 20_000 });
      const codes = new Map<string, number>();
      await inParallel(numbered(10_000), 2_500, async (text) => {
        const code = await bus.rpc.request("late", text, { timeoutMs: 150 }).then(
          () => "a reply",
          (error: { code?: string }) => String(error.code),
        );
        codes.set(code, (codes.get(code) ?? 0) + 1);
      });
      checkEqual([...codes], [["TIMEOUT", 10_000]], "how the requests ended");
      checkEqual(await ask(bus, "late", "quick"), "quick", "a request before the late replies");
      late.open();
      await context.until("all late replies were sent", () => answered === 10_000);
      checkEqual(await ask(bus, "late", "quick"), "quick", "a request after the late replies");
      checkEqual((await server.close({ drainMs: 2_000 })).abandoned, 0, "abandoned by the server");
      checkEqual((await bus.close()).abandoned, 0, "abandoned by the caller's bus");
      checkEqual((await responder.close()).abandoned, 0, "abandoned by the responder's bus");
    },
  },
  {
    id: "RPC-STRESS-004",
    title: "2,000 requests to nobody, and 2,000 that are aborted, leave nothing behind",
    contract: "rpc",
    level: "L3",
    async run(context) {
      const { bus } = context;
      const stuck = gate();
      const server = await bus.rpc.serve("stuck", () => stuck.opened, { concurrency: 5_000 });
      const reason = new Error("not any more");
      const ends = new Map<string, number>();
      const count = (error: unknown): void => {
        const name = error === reason ? "aborted" : String(Reflect.get(error as object, "code"));
        ends.set(name, (ends.get(name) ?? 0) + 1);
      };
      await inParallel(numbered(2_000), 200, async (text) => {
        await bus.rpc.request("nobody", text).catch(count);
        const controller = new AbortController();
        const request = bus.rpc.request("stuck", text, { signal: controller.signal });
        controller.abort(reason);
        await request.catch(count);
      });
      const expected = [
        ["NO_RESPONDERS", 2_000],
        ["aborted", 2_000],
      ];
      checkEqual(
        [...ends].toSorted(([a], [b]) => (a < b ? -1 : 1)),
        expected,
        "how they ended",
      );
      stuck.open();
      checkEqual((await server.close({ drainMs: 2_000 })).abandoned, 0, "abandoned by the server");
      checkEqual((await bus.close()).abandoned, 0, "abandoned by the bus");
    },
  },
];
