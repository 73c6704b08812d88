import type { BusStatus } from "@busbar/core";
import { check, checkEqual, iteratorOf } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { nextOf } from "../shared.ts";

/** What a bus says about itself. */
export const statusCases: readonly ConformanceCase[] = [
  {
    id: "LC-STATUS-001",
    title: "status() starts with the connection state, for every reader",
    contract: "lifecycle",
    level: "L0",
    async run(context) {
      for (const reader of [context.bus.status(), context.bus.status()]) {
        const status = await context.within("a status", nextOf(reader, "status()"));
        check(status.type === "connected", `the first status is ${status.type}`);
        check(status.server !== "", "the server has no name");
      }
    },
  },
  {
    id: "LC-STATUS-002",
    title: "status() ends with closed when the bus closes",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const other = await context.open();
      const seen = Promise.all([types(other.status()), types(other.status())]);
      await other.close();
      for (const list of await context.within("the end of status()", seen)) {
        checkEqual(list.at(-1), "closed", "the last status");
        checkEqual(list.filter((type) => type === "closed").length, 1, "how often closed comes");
      }
    },
  },
  {
    id: "LC-STATUS-003",
    title: "status() of a closed bus ends by itself",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const other = await context.open();
      await other.close();
      const list = await context.within("the end of status()", types(other.status()));
      check(
        list.every((type) => type === "closed"),
        `a closed bus is ${list.join()}`,
      );
    },
  },
  {
    id: "LC-STATUS-004",
    title: "a reader that leaves, or never reads, holds nothing up",
    contract: "lifecycle",
    level: "L1",
    async run(context) {
      const other = await context.open();
      for await (const _status of other.status()) break;
      const unread = iteratorOf(other.status());
      void unread;
      await other.pubsub.publish("s", "v");
      checkEqual(await context.within("the close", other.close()), { abandoned: 0 }, "the report");
    },
  },
];

async function types(statuses: AsyncIterable<BusStatus>): Promise<string[]> {
  const list: string[] = [];
  for await (const { type } of statuses) list.push(type);
  return list;
}
