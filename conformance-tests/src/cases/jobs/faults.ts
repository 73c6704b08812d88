import { errorCode } from "@busbar/core";
import { check, checkEqual } from "../../assert.ts";
import { type ConformanceCase, needsPersistence, needsServerFaults } from "../../case.ts";
import { untilBack } from "../kv/helpers.ts";
import {
  claimNow,
  claimOne,
  deadLettersOf,
  EMPTY,
  enqueueTexts,
  LONG_MS,
  notOnce,
  statsBecome,
  textsOf,
} from "./helpers.ts";
import { later, range } from "./timing.ts";

/** What a kill of the server must not touch. */
export const faultCases: readonly ConformanceCase[] = [
  {
    id: "JQ-FAULT-001",
    title: "Acknowledged jobs and dead letters survive a kill of the server, once each, in order",
    contract: "jobs",
    level: "L4",
    requires: [needsServerFaults, needsPersistence],
    async run(context) {
      const { bus, faults } = context;
      const texts = range(100).map((index) => `${index}`);
      await enqueueTexts(bus, ["dead"]);
      await (await claimOne(bus)).deadLetter("no use");
      await enqueueTexts(bus, texts);
      await enqueueTexts(bus, ["high"], { priority: 9 });
      await enqueueTexts(bus, ["later"], { delayMs: 10 * LONG_MS });
      await faults.kill();
      await faults.start();
      await untilBack(context, bus);
      const seen: string[] = [];
      while (seen.length < 101) {
        const jobs = await claimNow(bus, 50, { waitMs: 5_000 });
        check(jobs.length > 0, `only ${seen.length} jobs came`);
        seen.push(...textsOf(jobs));
      }
      checkEqual(seen, ["high", ...texts], "the jobs");
      checkEqual(textsOf(await deadLettersOf(bus)), ["dead"], "the dead letters");
      await statsBecome(context, bus, { ready: 0, delayed: 1, dead: 1 });
    },
  },
  {
    id: "JQ-FAULT-002",
    title:
      "A job that is in hand over a kill of the server can be settled after it, or comes again",
    contract: "jobs",
    level: "L4",
    requires: [needsServerFaults, needsPersistence],
    async run(context) {
      const { bus, faults } = context;
      await enqueueTexts(bus, ["a"]);
      const job = await claimOne(bus, { leaseMs: LONG_MS });
      await faults.kill();
      await faults.start();
      await untilBack(context, bus);
      try {
        await job.ack({ confirm: true });
      } catch (error) {
        // Whoever was told that the lease is lost gets the job again.
        checkEqual(errorCode(error), "LEASE_LOST", "the code of the ack");
        const again = await claimOne(bus, { waitMs: 2 * LONG_MS });
        checkEqual(again.id, job.id, "the job");
        await again.ack({ confirm: true });
      }
      await statsBecome(context, bus, EMPTY);
    },
  },
  {
    id: "JQ-FAULT-003",
    title: "A waiting claim goes on over a restart of the server, and no job is handed out twice",
    contract: "jobs",
    level: "L4",
    requires: [needsServerFaults, needsPersistence],
    async run(context) {
      const { bus, faults } = context;
      const worker = await context.open();
      const seen: string[] = [];
      let over = false;
      const working = later(
        (async () => {
          while (!over) {
            try {
              const jobs = await claimNow(worker, 10, { waitMs: 500 });
              seen.push(...textsOf(jobs));
            } catch (error) {
              check(
                errorCode(error) === "DISCONNECTED" || errorCode(error) === "TIMEOUT",
                `the claim failed with ${String(error)}`,
              );
              await context.clock.sleep(20);
            }
          }
        })(),
      );
      await enqueueTexts(bus, ["before"]);
      await context.until("the first job was handed out", () => seen.length === 1);
      await faults.kill();
      await faults.start();
      await untilBack(context, bus);
      await enqueueTexts(
        bus,
        range(20).map((index) => `${index}`),
      );
      await context.until("the jobs were handed out", () => seen.length >= 21, 20_000);
      over = true;
      await working;
      checkEqual(notOnce(seen), {}, "jobs that came not once");
    },
  },
];
