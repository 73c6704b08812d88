import type {
  Bus,
  ClaimedJob,
  Headers,
  Job,
  KvEntry,
  KvEvent,
  LiveMessage,
  Message,
  RpcHandler,
} from "../../src/index.ts";
import { BusError, toBytes } from "../../src/index.ts";
import { describeThrown, Mailbox, remoteError } from "../../src/adapter.ts";

const bytesOf = (payload: Uint8Array | string): Uint8Array =>
  typeof payload === "string" ? toBytes(payload) : payload;

/** The parts of a bus that the typed layer calls, in one array, with a log of what was called. */
export interface FakeBus {
  readonly bus: Bus;
  /** Calls and settles, in order. */
  readonly log: string[];
  /** The last payload that went out. */
  readonly sent: () => Uint8Array | undefined;
}

export function fakeBus(): FakeBus {
  const log: string[] = [];
  let last: Uint8Array | undefined;
  let sequence = 0;
  const subscriptions = new Set<Mailbox<Message>>();
  const listeners = new Set<Mailbox<LiveMessage>>();
  const queued: (Job & { id: string })[] = [];
  const handlers: { subject: string; handler: RpcHandler }[] = [];
  const values = new Map<string, KvEntry>();
  const watches = new Set<Mailbox<KvEvent>>();

  const settle =
    (what: string) =>
    async (argument?: unknown): Promise<void> => {
      log.push(argument === undefined ? what : `${what} ${JSON.stringify(argument)}`);
    };
  const stream = <T>(mailbox: Mailbox<T>, all: Set<Mailbox<T>>) => {
    all.add(mailbox);
    const close = async () => {
      all.delete(mailbox);
      mailbox.end();
      return { abandoned: 0 };
    };
    return {
      dropped: 0,
      close,
      [Symbol.asyncDispose]: async () => void (await close()),
      [Symbol.asyncIterator]: () => ({
        next: () => mailbox.next(),
        return: async () => {
          log.push("left");
          await close();
          return { done: true as const, value: undefined };
        },
      }),
    };
  };
  const message = (subject: string, payload: Uint8Array, headers: Headers): Message => ({
    subject,
    payload,
    headers,
    sequence,
    publishedAtMs: 1_000,
    deliveryCount: 1,
    ack: settle("ack"),
    nak: settle("nak"),
    term: settle("term"),
    extend: settle("extend"),
  });
  const job = ({ id, payload, headers = {}, priority = 0, dedupKey }: Job & { id: string }) =>
    ({
      id,
      queue: "q",
      payload: bytesOf(payload),
      headers,
      dedupKey,
      priority,
      attempt: 1,
      maxAttempts: 5,
      fence: 7,
      enqueuedAtMs: 1_000,
      lease: { expiresAtMs: 2_000, lost: new AbortController().signal },
      heartbeat: settle("heartbeat"),
      ack: settle("ack"),
      nak: settle("nak"),
      giveBack: settle("giveBack"),
      deadLetter: settle("deadLetter"),
    }) satisfies ClaimedJob;
  const write = (key: string, value: Uint8Array | string): number => {
    const entry = { key, value: bytesOf(value), revision: ++sequence, createdAtMs: 1_000 };
    last = entry.value;
    values.set(key, entry);
    for (const watch of watches) watch.push({ type: "put", ...entry });
    return sequence;
  };

  const bus = {
    pubsub: {
      async publish(subject: string, payload: Uint8Array | string, options?: object) {
        log.push(`publish ${subject} ${JSON.stringify(options)}`);
        last = bytesOf(payload);
        sequence += 1;
        for (const box of subscriptions) box.push(message(subject, last, {}));
        for (const box of listeners) box.push({ subject, payload: last, headers: {} });
        return { sequence, duplicate: false };
      },
      async notify(subject: string, payload: Uint8Array | string) {
        for (const box of listeners) {
          box.push({ subject, payload: bytesOf(payload), headers: {} });
        }
      },
      async subscribe(subject: string, options?: object) {
        log.push(`subscribe ${subject} ${JSON.stringify(options)}`);
        return stream(new Mailbox<Message>(), subscriptions);
      },
      async listen(subject: string) {
        log.push(`listen ${subject}`);
        return stream(new Mailbox<LiveMessage>(), listeners);
      },
    },
    jobs: {
      async enqueue(_queue: string, one: Job, options?: object) {
        log.push(
          `enqueue ${JSON.stringify({ ...one, payload: undefined })} ${JSON.stringify(options)}`,
        );
        last = bytesOf(one.payload);
        queued.push({ ...one, id: `j${queued.length}` });
        return { id: `j${queued.length - 1}`, duplicate: false };
      },
      async enqueueMany(_queue: string, many: readonly Job[]) {
        log.push(`enqueueMany ${many.length}`);
        return many.map((one) => {
          queued.push({ ...one, id: `j${queued.length}` });
          return { id: `j${queued.length - 1}`, duplicate: false };
        });
      },
      async claim(_queue: string, { max = 1 }: { max?: number }) {
        return queued.splice(0, max).map(job);
      },
    },
    rpc: {
      async request(subject: string, given: Uint8Array | string) {
        const payload = bytesOf(given);
        last = payload;
        const found = handlers.find((one) => one.subject === subject);
        if (!found) throw new BusError("NO_RESPONDERS", "nobody");
        try {
          const { signal } = new AbortController();
          const reply = await found.handler({ subject, payload, headers: {}, signal });
          return { payload: bytesOf(reply as Uint8Array | string), headers: {} };
        } catch (thrown) {
          const { code, message: text } = describeThrown(thrown);
          throw remoteError(subject, code, text);
        }
      },
      async serve(subject: string, handler: RpcHandler) {
        handlers.push({ subject, handler });
        const close = async () => ({ abandoned: 0 });
        return { close, [Symbol.asyncDispose]: async () => void (await close()) };
      },
    },
    kv: {
      async get(_bucket: string, key: string) {
        return values.get(key);
      },
      async put(_bucket: string, key: string, value: Uint8Array | string, options?: object) {
        log.push(`put ${key} ${JSON.stringify(options)}`);
        return write(key, value);
      },
      async create(_bucket: string, key: string, value: Uint8Array) {
        log.push(`create ${key}`);
        return write(key, value);
      },
      async cas(_bucket: string, key: string, value: Uint8Array, revision: number) {
        log.push(`cas ${key} ${revision}`);
        return write(key, value);
      },
      async delete(_bucket: string, key: string) {
        log.push(`delete ${key}`);
        values.delete(key);
      },
      async keys() {
        return { keys: [...values.keys()], next: undefined };
      },
      async watch() {
        const box = new Mailbox<KvEvent>();
        for (const entry of values.values()) box.push({ type: "put", ...entry });
        box.push({ type: "initialDone" });
        return stream(box, watches);
      },
    },
  };
  return { bus: bus as unknown as Bus, log, sent: () => last };
}
