import { toBytes, toText } from "@busbar/core";
import { check, checkCode, checkEqual, checkOptionRefused, checkRange } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import {
  checkNothing,
  claimAll,
  claimNow,
  claimOne,
  drain,
  EMPTY,
  enqueueTexts,
  LONG_MS,
  plain,
  QUEUE,
  textsOf,
} from "./helpers.ts";
import { inWaves, range } from "./timing.ts";

// Server and case may have clocks of their own; what is ruled out is another unit or epoch.
const CLOCK_SKEW_MS = 60_000;

/** What goes in comes out. */
export const enqueueCases: readonly ConformanceCase[] = [
  {
    id: "JQ-ENQ-001",
    title: "A job is enqueued, claimed with all that it was given, acked, and gone",
    contract: "jobs",
    level: "L0",
    async run({ bus, clock }) {
      const result = await bus.jobs.enqueue(QUEUE, {
        payload: "hello",
        headers: { trace: "t-1", tag: ["a", "b"] },
        dedupKey: "order:17/mail",
        maxAttempts: 7,
        priority: 3,
      });
      checkEqual(result.duplicate, false, "duplicate");
      check(typeof result.id === "string" && result.id !== "", "the id is empty");
      const job = await claimOne(bus);
      checkEqual(job.id, result.id, "id");
      checkEqual(job.queue, QUEUE, "queue");
      checkEqual(toText(job.payload), "hello", "payload");
      checkEqual(job.headers.trace, "t-1", "a header with one value");
      checkEqual(job.headers.tag, ["a", "b"], "a header with two values");
      checkEqual(Object.keys(job.headers).toSorted(), ["tag", "trace"], "the names of the headers");
      checkEqual(job.dedupKey, "order:17/mail", "dedupKey");
      checkEqual(job.maxAttempts, 7, "maxAttempts");
      checkEqual(job.priority, 3, "priority");
      checkEqual(job.attempt, 1, "attempt");
      check(Number.isSafeInteger(job.fence) && job.fence > 0, `the fence is ${job.fence}`);
      const now = clock.now();
      checkRange(job.enqueuedAtMs, now - CLOCK_SKEW_MS, now + CLOCK_SKEW_MS, "enqueuedAtMs");
      await job.ack({ confirm: true });
      await checkNothing(bus, "after the ack");
      checkEqual(await bus.jobs.stats(QUEUE), EMPTY, "the stats");
    },
  },
  {
    id: "JQ-ENQ-002",
    title: "A job without options has the defaults",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      await bus.jobs.enqueue(QUEUE, { payload: "" });
      const job = await claimOne(bus);
      checkEqual(plain(job.payload), new Uint8Array(0), "payload");
      checkEqual(Object.keys(job.headers), [], "headers");
      checkEqual(job.dedupKey, undefined, "dedupKey");
      checkEqual(job.maxAttempts, 5, "maxAttempts");
      checkEqual(job.priority, 0, "priority");
    },
  },
  {
    id: "JQ-ENQ-003",
    title: "Jobs of one priority come in the order in which they were enqueued",
    contract: "jobs",
    level: "L0",
    async run(context) {
      const { bus } = context;
      const other = await context.open();
      const texts = range(30).map((index) => `job ${index}`);
      for (const [index, text] of texts.entries()) {
        await (index % 2 === 0 ? bus : other).jobs.enqueue(QUEUE, { payload: text });
      }
      checkEqual(await drain(bus), texts, "the order");
    },
  },
  {
    id: "JQ-ENQ-004",
    title: "Payloads are bytes: empty, binary, text and 64 KiB come out as they went in",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const payloads = [
        new Uint8Array(0),
        Uint8Array.from(range(256)),
        Uint8Array.of(0xff, 0xfe, 0xc3, 0x28, 0x00),
        toBytes("Grüße, 世界 🌍\r\n\u0000end"),
        Uint8Array.from(range(65_536), (index) => (index * 31) % 251),
      ];
      for (const payload of payloads) await bus.jobs.enqueue(QUEUE, { payload });
      for (const payload of payloads) {
        const job = await claimOne(bus);
        checkEqual(plain(job.payload), payload, `a payload of ${payload.length} bytes`);
      }
    },
  },
  {
    id: "JQ-ENQ-005",
    title: "Headers keep their case, their Unicode and several values; reserved ones are refused",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const headers = { "X-Case": "Upper", "x-case": "lower", city: "Zürich 世界", n: ["1", "1"] };
      await bus.jobs.enqueue(QUEUE, { payload: "x", headers });
      const job = await claimOne(bus);
      for (const [name, value] of Object.entries(headers)) {
        checkEqual(job.headers[name], value, `header ${name}`);
      }
      checkEqual(Object.keys(job.headers).length, 4, "the number of headers");
      const refused = [
        { "Nats-Msg-Id": "1" },
        { "busbar-job": "1" },
        { "two words": "1" },
        { a: "line\nbreak" },
        { a: "\r\nNats-Rollup: all" },
        { a: [] },
      ];
      for (const bad of refused) {
        await checkCode(
          () => bus.jobs.enqueue(QUEUE, { payload: "x", headers: bad }),
          "INVALID_ARGUMENT",
          `headers ${JSON.stringify(bad)}`,
        );
      }
      await checkNothing(bus, "what was refused");
    },
  },
  {
    id: "JQ-ENQ-006",
    title: "A payload over the limit is refused with both numbers, and nothing is enqueued",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const { maxPayloadBytes } = bus.capabilities;
      const payload = new Uint8Array(maxPayloadBytes + 1);
      const error = await checkCode(
        () => bus.jobs.enqueue(QUEUE, { payload }),
        "PAYLOAD_TOO_LARGE",
        "a payload over the limit",
      );
      checkEqual(error.details.bytes, payload.length, "details.bytes");
      checkEqual(error.details.maxBytes, maxPayloadBytes, "details.maxBytes");
      await checkNothing(bus, "what was refused");
    },
  },
  {
    id: "JQ-ENQ-007",
    title: "Options out of their range are refused, and nothing is enqueued",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const refused = [
        ["priority", { priority: 10 }],
        ["priority", { priority: -1 }],
        ["priority", { priority: 1.5 }],
        ["maxAttempts", { maxAttempts: 0 }],
        ["maxAttempts", { maxAttempts: 1_001 }],
        ["delayMs", { delayMs: -1 }],
        ["delayMs", { delayMs: Number.NaN }],
        ["runAtMs", { runAtMs: -1 }],
        ["delayMs", { delayMs: 1, runAtMs: 1 }],
      ] as const;
      for (const [field, options] of refused) {
        await checkOptionRefused(
          () => bus.jobs.enqueue(QUEUE, { payload: "x", ...options }),
          field,
        );
      }
      for (const dedupKey of ["", "two words", "tab\t", "ü", "x".repeat(257)]) {
        await checkCode(
          () => bus.jobs.enqueue(QUEUE, { payload: "x", dedupKey }),
          "INVALID_ARGUMENT",
          `dedupKey ${JSON.stringify(dedupKey)}`,
        );
      }
      await checkNothing(bus, "what was refused");
    },
  },
  {
    id: "JQ-ENQ-008",
    title: "Changing the bytes that were enqueued, or those that were claimed, changes no job",
    contract: "jobs",
    level: "L1",
    async run({ bus }) {
      const mine = toBytes("original");
      await bus.jobs.enqueue(QUEUE, { payload: mine });
      mine.fill(0);
      const many = [toBytes("first"), toBytes("second")];
      await bus.jobs.enqueueMany(
        QUEUE,
        many.map((payload) => ({ payload })),
      );
      for (const bytes of many) bytes.fill(0);
      const jobs = await claimNow(bus);
      checkEqual(textsOf(jobs), ["original", "first", "second"], "the payloads");
      for (const job of jobs) {
        job.payload.fill(0);
        await job.nak();
      }
      const again = await claimAll(bus, 3);
      const texts = ["first", "original", "second"];
      checkEqual([...again.keys()].toSorted(), texts, "the payloads of attempt 2");
      const job = again.get("original");
      job?.payload.fill(0);
      await job?.deadLetter("spoilt");
      const letter = await bus.jobs.deadLetters.get(QUEUE, job?.id ?? "");
      checkEqual(letter && toText(letter.payload), "original", "the payload of the dead letter");
    },
  },
  {
    id: "JQ-ENQ-009",
    title: "Ids are unique and enqueuedAtMs follows the order, over two buses",
    contract: "jobs",
    level: "L1",
    async run(context) {
      const { bus } = context;
      const buses = [bus, await context.open()];
      const ids = new Set<string>();
      await inWaves(200, 20, async (index) => {
        const one = buses[index % 2] as typeof bus;
        ids.add((await one.jobs.enqueue(QUEUE, { payload: `${index}` })).id);
      });
      checkEqual(ids.size, 200, "different ids");
      await enqueueTexts(bus, ["early"], {}, "times");
      await context.clock.sleep(20);
      await enqueueTexts(bus, ["late"], {}, "times");
      const early = await claimOne(bus, { leaseMs: LONG_MS }, "times");
      const late = await claimOne(bus, { leaseMs: LONG_MS }, "times");
      check(late.enqueuedAtMs > early.enqueuedAtMs, "the later job has no later time");
      const jobs = await claimNow(bus, 1_000);
      check(
        jobs.every(({ id }) => ids.has(id)),
        "a claimed job has another id than it was given",
      );
      checkEqual(jobs.length, 200, "claimed jobs");
      checkEqual(new Set(jobs.map(({ id }) => id)).size, 200, "different jobs");
    },
  },
];
