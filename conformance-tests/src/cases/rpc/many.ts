import { type Bus, toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import type { CaseContext, ConformanceCase } from "../../case.ts";
import {
  checkEachOnce,
  checkNotAfter,
  checkNotBefore,
  numbered,
  stopwatch,
} from "../pubsub/helpers.ts";
import { ask, gate, textsOf, thrownBy } from "./helpers.ts";

/** One request, many replies. */
export const manyCases: readonly ConformanceCase[] = [
  {
    id: "RPC-MANY-001",
    title: "Every server without a group answers once, and the time ends the replies",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await serveEach(context, "who", numbered(4));
      const elapsed = stopwatch(context.clock);
      const replies = await textsOf(bus.rpc.requestMany("who", "x", { timeoutMs: 300 }));
      checkEachOnce(replies, numbered(4), "replies");
      checkNotBefore(elapsed(), 300, "the end");
      checkNotAfter(context, elapsed(), 300, "the end");
    },
  },
  {
    id: "RPC-MANY-002",
    title: "maxReplies ends the replies as soon as there are so many",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      await serveEach(context, "who", numbered(5));
      const elapsed = stopwatch(context.clock);
      for (const maxReplies of [1, 2, 5]) {
        const options = { maxReplies, timeoutMs: 10_000 };
        const replies = await textsOf(bus.rpc.requestMany("who", "x", options));
        checkEqual(replies.length, maxReplies, "replies");
        checkEqual(new Set(replies).size, maxReplies, "distinct replies");
      }
      check(elapsed() < 5_000, `three requests took ${elapsed()} ms`);
    },
  },
  {
    id: "RPC-MANY-003",
    title:
      "stallMs ends the replies that long after the last one; it does not run before the first",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      const never = gate();
      context.defer(() => never.open());
      await bus.rpc.serve("who", () => never.opened, { group: false });
      for (const delayMs of [250, 300]) {
        await bus.rpc.serve("who", async () => sleepAndSay(context, delayMs), { group: false });
      }
      const elapsed = stopwatch(clock);
      const options = { stallMs: 150, timeoutMs: 10_000 };
      const replies = await textsOf(bus.rpc.requestMany("who", "x", options));
      checkEachOnce(replies, ["250", "300"], "replies");
      checkNotBefore(elapsed(), 450, "the end");
      checkNotAfter(context, elapsed(), 450, "the end");
    },
  },
  {
    id: "RPC-MANY-004",
    title: "Where nobody serves the subject, requestMany is NO_RESPONDERS at once",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const elapsed = stopwatch(context.clock);
      const replies = bus.rpc.requestMany("nobody", "x", { timeoutMs: 10_000 });
      await checkCode(() => textsOf(replies), "NO_RESPONDERS", "the replies");
      check(elapsed() < 2_000, `it took ${elapsed()} ms`);
    },
  },
  {
    id: "RPC-MANY-005",
    title: "Servers that do not answer in time make no error: there are just no replies",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const never = gate();
      context.defer(() => never.open());
      await bus.rpc.serve("silent", () => never.opened);
      const elapsed = stopwatch(context.clock);
      const options = { timeoutMs: 200, stallMs: 50, maxReplies: 3 };
      checkEqual(await textsOf(bus.rpc.requestMany("silent", "x", options)), [], "replies");
      checkNotBefore(elapsed(), 200, "the end");
      checkNotAfter(context, elapsed(), 200, "the end");
    },
  },
  {
    id: "RPC-MANY-006",
    title: "Each group answers once, beside every server without a group; request takes one reply",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const handled = new Map<string, number>();
      const places = ["red", "red", "blue", "blue", "blue", undefined, undefined, false] as const;
      for (const [index, group] of places.entries()) {
        const name = group === undefined ? "default" : String(group);
        await (index % 2 ? bus : other).rpc.serve(
          "groups",
          () => {
            handled.set(name, (handled.get(name) ?? 0) + 1);
            return name;
          },
          group === undefined ? {} : { group },
        );
      }
      const names = ["red", "blue", "default", "false"];
      for (let round = 1; round <= 5; round++) {
        const options = { timeoutMs: 2_000, stallMs: 200 };
        const replies = await textsOf(bus.rpc.requestMany("groups", "x", options));
        checkEachOnce(replies, names, `replies of round ${round}`);
      }
      check(names.includes(await ask(bus, "groups", "x")), "a request has one of the replies");
      await context.until("all have handled six", () => names.every((n) => handled.get(n) === 6));
    },
  },
  {
    id: "RPC-MANY-007",
    title: "A reply that carries an error throws REMOTE out of the loop",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      await bus.rpc.serve("mixed", () => "fine", { group: false });
      const failing = async (): Promise<never> => {
        await clock.sleep(50);
        throw Object.assign(new Error("it broke"), { code: "E_BROKEN" });
      };
      await bus.rpc.serve("mixed", failing, { group: false });
      const replies: string[] = [];
      const loop = async (): Promise<void> => {
        for await (const reply of bus.rpc.requestMany("mixed", "x", { timeoutMs: 5_000 })) {
          replies.push(toText(reply.payload));
        }
      };
      const error = await checkCode(loop, "REMOTE", "the failing server");
      checkEqual(error.details["code"], "E_BROKEN", "details.code");
      checkEqual(error.details["message"], "it broke", "details.message");
      checkEqual(replies, ["fine"], "replies before it");
    },
  },
  {
    id: "RPC-MANY-008",
    title: "Leaving the loop early, and an aborted signal, end it; late replies reach nobody",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus, clock } = context;
      for (const delayMs of [10, 100, 200]) {
        await bus.rpc.serve("who", async () => sleepAndSay(context, delayMs), { group: false });
      }
      const elapsed = stopwatch(clock);
      for await (const reply of bus.rpc.requestMany("who", "x", { timeoutMs: 10_000 })) {
        checkEqual(toText(reply.payload), "10", "the first reply");
        break;
      }
      const reason = new Error("enough");
      const controller = new AbortController();
      const options = { timeoutMs: 10_000, signal: controller.signal };
      const loop = async (): Promise<void> => {
        for await (const _ of bus.rpc.requestMany("who", "x", options)) controller.abort(reason);
      };
      check((await thrownBy(loop())) === reason, "an abort throws the reason");
      check(elapsed() < 5_000, `both took ${elapsed()} ms`);
      await clock.sleep(300);
      checkEqual(await ask(bus, "who", "x"), "10", "a request afterwards has its own reply");
    },
  },
  {
    id: "RPC-MANY-009",
    title: "16 requests to 8 servers at the same time each have their own 8 replies",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const servers = numbered(8, "server");
      const buses = [bus, await context.open()];
      for (const [index, server] of servers.entries()) {
        const handler = ({ payload }: { payload: Uint8Array }): string =>
          `${server} ${toText(payload)}`;
        await (buses[index % 2] as Bus).rpc.serve("who", handler, { group: false });
      }
      await Promise.all(
        numbered(16, "request").map(async (request) => {
          const options = { maxReplies: servers.length, timeoutMs: 5_000 };
          const replies = await textsOf(bus.rpc.requestMany("who", request, options));
          checkEachOnce(
            replies,
            servers.map((server) => `${server} ${request}`),
            `replies of ${request}`,
          );
        }),
      );
    },
  },
  {
    id: "RPC-MANY-010",
    title: "Headers go both ways, and each reply has its own",
    contract: "rpc",
    level: "L1",
    async run(context) {
      const { bus } = context;
      for (const name of ["one", "two"]) {
        const server = await context.open();
        await server.rpc.serve(
          "who",
          ({ headers }) => ({
            payload: name,
            headers: { name, trace: headers["trace"] ?? "none" },
          }),
          { group: false },
        );
      }
      const options = { headers: { trace: "t1" }, maxReplies: 2, timeoutMs: 5_000 };
      const seen: string[] = [];
      for await (const { payload, headers } of bus.rpc.requestMany("who", "x", options)) {
        seen.push(`${toText(payload)}: ${String(headers["name"])} ${String(headers["trace"])}`);
      }
      checkEqual(seen.toSorted(), ["one: one t1", "two: two t1"], "replies and their headers");
    },
  },
];

/** Serves a subject once for each text, each on a bus of its own, without a group. */
async function serveEach(
  context: CaseContext,
  subject: string,
  texts: readonly string[],
): Promise<void> {
  for (const text of texts) {
    const bus = await context.open();
    await bus.rpc.serve(subject, () => text, { group: false });
  }
}

async function sleepAndSay(context: CaseContext, delayMs: number): Promise<string> {
  await context.clock.sleep(delayMs);
  return `${delayMs}`;
}
