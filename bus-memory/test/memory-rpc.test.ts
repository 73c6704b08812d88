import { toText } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { world } from "./support.ts";

describe("MemoryRpc", () => {
  it("never calls a handler on the stack of the caller", async () => {
    const { open } = world();
    await using bus = await open();
    let depth = 0;
    await bus.rpc.serve("r", async ({ payload }) => {
      expect(depth).toBe(0);
      return payload.length > 0 ? "end" : (await bus.rpc.request("r", "x")).payload;
    });
    depth += 1;
    const request = bus.rpc.request("r", "");
    depth -= 1;
    expect(toText((await request).payload)).toBe("end");
  });

  it("ends a stream of replies by count, by stall, by time and by the reader", async () => {
    const { clock, open, server } = world();
    await using bus = await open();
    for (const delayMs of [10, 20, 300]) {
      await bus.rpc.serve("r", () => clock.sleep(delayMs).then(() => `${delayMs}`), {
        group: false,
      });
    }
    const read = async (options: object, most = 10): Promise<string> => {
      const replies: string[] = [];
      for await (const { payload } of bus.rpc.requestMany("r", "", options)) {
        replies.push(toText(payload));
        if (replies.length === most) break;
      }
      return `${replies.join(" ")} until ${clock.monotonic() - startMs}`;
    };
    let startMs = 0;
    const results: string[] = [];
    for (const [options, most] of [
      [{ maxReplies: 2 }, 10],
      [{ stallMs: 50 }, 10],
      [{ timeoutMs: 400 }, 10],
      [{}, 1],
    ] as const) {
      startMs = clock.monotonic();
      results.push(await clock.autoAdvance(read(options, most)));
      expect(server.stats()).toMatchObject({ pendingRequests: 0, pendingDeadlines: 0 });
    }
    expect(results).toEqual([
      "10 20 until 20",
      "10 20 until 70",
      "10 20 300 until 400",
      "10 until 10",
    ]);
    await clock.runUntilIdle();
  });

  it("rejects bad arguments with the first reply that is asked for", async () => {
    const { open } = world();
    await using bus = await open();
    const first = (options: object): Promise<unknown> => {
      return bus.rpc.requestMany("r", "", options)[Symbol.asyncIterator]().next();
    };
    await expect(first({ maxReplies: 0 })).rejects.toThrow(RangeError);
    await expect(first({ stallMs: 0 })).rejects.toThrow(RangeError);
    await expect(first({})).rejects.toMatchObject({ code: "NO_RESPONDERS" });
  });

  it("lets a request that is under way end while the bus closes", async () => {
    const { clock, open } = world();
    const bus = await open();
    await using other = await open();
    await other.rpc.serve("r", () => clock.sleep(100).then(() => "done"));
    const request = bus.rpc.request("r", "");
    const closing = bus.close();
    expect(toText((await clock.autoAdvance(request)).payload)).toBe("done");
    expect(await closing).toEqual({ abandoned: 0 });
  });
});
