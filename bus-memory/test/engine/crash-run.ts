import {
  type Bus,
  type ClaimedJob,
  type Message,
  openBus,
  toText,
  VirtualClock,
} from "@busbar/core";
import { expect } from "vitest";
import { MemoryServer } from "../../src/index.ts";
import * as limits from "./crash-model.ts";
import {
  CrashModel,
  type Event,
  type ModelJob,
  type ModelMessage,
  type Place,
} from "./crash-model.ts";
import { type Durable, DURABLES, durables, KEYS, type Step, UNSYNCED_MS } from "./crash-steps.ts";

/** What a program has in hands. */
interface Held<Thing, Of> {
  readonly thing: Thing;
  readonly of: Of;
  readonly take: Event;
  readonly durable: Durable;
  isSettled: boolean;
}

type StepOf<Name extends Step["do"]> = Extract<Step, { do: Name }>;

const isWaiting = ({ state }: Place): boolean => state === "ready" || state === "left";

function isLastTake(events: readonly Event[] | undefined, take: Event): boolean {
  return events?.findLast(({ type }) => type === "take") === take;
}

/** A server, its model, and a program that does the same to both. */
export class CrashRun {
  readonly #clock: VirtualClock;
  readonly #server: MemoryServer;
  readonly #bus: Bus;
  readonly #model = new CrashModel();
  readonly #streams = new Map<Durable, AsyncIterator<Message>>();
  readonly #messages: Held<Message, ModelMessage>[] = [];
  readonly #jobs: Held<ClaimedJob, ModelJob>[] = [];
  #texts = 0;
  #fence = 0;

  private constructor(clock: VirtualClock, server: MemoryServer, bus: Bus) {
    this.#clock = clock;
    this.#server = server;
    this.#bus = bus;
  }

  static async start(): Promise<CrashRun> {
    const clock = new VirtualClock();
    const server = new MemoryServer({ clock, seed: 1, unsyncedMs: UNSYNCED_MS });
    const bus = await openBus({ backend: "memory", server, dedupWindowMs: limits.DEDUP_MS });
    const run = new CrashRun(clock, server, bus);
    await bus.kv.ensureBucket("b", { history: limits.HISTORY });
    for (const durable of durables) {
      const { subject, room } = DURABLES[durable];
      const subscription = await bus.pubsub.subscribe(subject, {
        durable,
        maxInFlight: room,
        ackWaitMs: limits.ACK_WAIT_MS,
        maxDeliveries: limits.MAX_DELIVERIES,
      });
      run.#streams.set(durable, subscription[Symbol.asyncIterator]());
    }
    return run;
  }

  /** Does one thing on both sides. What the server answers must be what the model expects. */
  async apply(step: Step): Promise<void> {
    switch (step.do) {
      case "publish":
        return this.#publish(step);
      case "take":
        return this.#take(step.durable);
      case "settle":
        return this.#settle(step);
      case "enqueue":
        return this.#enqueue(step);
      case "claim":
        return this.#claim(step.max);
      case "end":
        return this.#end(step);
      case "replay":
        return this.#replay(step.index);
      case "put":
      case "create":
      case "remove":
        return this.#write(step);
      case "advance":
        return this.#clock.advance(step.byMs);
      case "crash":
        return this.#crash(step);
      case "purge":
        return this.#purge();
      case "deleteBucket":
        await this.#bus.kv.deleteBucket("b");
        await this.#bus.kv.ensureBucket("b", { history: limits.HISTORY });
        this.#model.writes = [];
    }
  }

  /** Compares everything that can be seen. */
  async check(): Promise<void> {
    const model = this.#model;
    await this.#checkLetters();
    const places = model.jobs.map((job) => model.job(job, this.#nowMs));
    const count = (...states: Place["state"][]): number =>
      places.filter(({ state }) => states.includes(state)).length;
    expect(await this.#bus.jobs.stats("q")).toEqual({
      ready: count("ready"),
      delayed: count("delayed"),
      leased: count("held", "left", "worn"),
      dead: count("dead"),
      paused: false,
    });
    const stats = this.#server.stats();
    expect(stats).toMatchObject({ messages: model.messages.length, leasedJobs: count("held") });
    await this.#checkBucket();
  }

  /** Everything that is not settled can be, and only that is there. */
  async drain(): Promise<void> {
    for (let round = 0; round < 12; round++) {
      await this.#clock.advance(1_000);
      for (const durable of durables) {
        const waiting = this.#ofDurable(durable).length;
        for (let times = 0; times < waiting; times++) {
          await this.#take(durable);
          for (let at = 0; at < this.#messages.length; at++) {
            await this.#settle({ do: "settle", index: at, how: "ack", delayMs: 0 });
          }
        }
      }
      await this.#claim(100);
      for (let at = 0; at < this.#jobs.length; at++) {
        await this.#end({ do: "end", index: at, how: "ack", delayMs: 0 });
      }
      await this.check();
    }
    expect(this.#server.stats()).toMatchObject({ unsettled: 0, leasedJobs: 0 });
    const { messages } = this.#model;
    const all = await this.#bus.pubsub.subscribe(">", { from: "all" });
    const iterator = all[Symbol.asyncIterator]();
    for (const { subject, text } of messages) {
      const message = await this.#soon(iterator.next());
      expect([message.subject, toText(message.payload)]).toEqual([subject, text]);
    }
    await this.#bus.close({ drainMs: 0 });
  }

  get #nowMs(): number {
    return this.#clock.monotonic();
  }

  #sequence(message: ModelMessage): number {
    return this.#model.messages.indexOf(message) + 1;
  }

  #ofDurable(durable: Durable): ModelMessage[] {
    const { subject } = DURABLES[durable];
    return this.#model.messages.filter((one) => subject === ">" || one.subject === subject);
  }

  #place(message: ModelMessage, durable: Durable): Place {
    return this.#model.message(message, durable, this.#nowMs);
  }

  #isHeld(held: Held<Message, ModelMessage>): boolean {
    if (held.isSettled || !this.#model.messages.includes(held.of)) return false;
    const { state } = this.#place(held.of, held.durable);
    return state === "held" && isLastTake(held.of.events[held.durable], held.take);
  }

  async #publish({ subject, id: messageId }: StepOf<"publish">): Promise<void> {
    const { messages } = this.#model;
    const text = `message ${++this.#texts}`;
    const atMs = this.#nowMs;
    const known = this.#known(messages, (one) => one.messageId, messageId);
    const ack = await this.#bus.pubsub.publish(subject, text, messageId ? { messageId } : {});
    const sequence = known ? this.#sequence(known) : messages.length + 1;
    expect(ack).toEqual({ sequence, duplicate: known !== undefined });
    if (!known) messages.push({ atMs, subject, text, messageId, events: { all: [], one: [] } });
  }

  #known<T extends { readonly atMs: number }>(
    all: readonly T[],
    idOf: (one: T) => string | undefined,
    id: string | undefined,
  ): T | undefined {
    if (id === undefined) return undefined;
    return all.find((one) => idOf(one) === id && one.atMs + limits.DEDUP_MS > this.#nowMs);
  }

  async #take(durable: Durable): Promise<void> {
    const waiting = this.#ofDurable(durable).filter((one) => isWaiting(this.#place(one, durable)));
    const hands = this.#messages.filter((one) => one.durable === durable && this.#isHeld(one));
    if (waiting.length === 0 || hands.length >= DURABLES[durable].room) return;
    const thing = await this.#soon(this.#streams.get(durable)!.next());
    const of = waiting.find((one) => this.#sequence(one) === thing.sequence);
    expect(toText(thing.payload)).toBe(of?.text);
    if (of === undefined) return;
    const count = this.#place(of, durable).count + 1;
    expect(thing.deliveryCount).toBe(count);
    const take: Event = { type: "take", atMs: this.#nowMs };
    of.events[durable]?.push(take);
    this.#messages.push({ thing, of, take, durable, isSettled: false });
  }

  async #settle({ index, how, delayMs }: StepOf<"settle">): Promise<void> {
    const held = this.#messages[index % this.#messages.length];
    if (held === undefined) return;
    const counts = this.#isHeld(held);
    held.isSettled = true;
    const settled = how === "nak" ? held.thing.nak({ delayMs }) : held.thing[how]();
    // What does not count any more may be refused or come to nothing.
    await (counts ? settled : settled.catch(() => undefined));
    if (!counts) return;
    const type = how === "nak" ? "retry" : "settle";
    held.of.events[held.durable]?.push({ type, atMs: this.#nowMs, delayMs });
  }

  async #enqueue({ id: dedupKey, delayMs, priority }: StepOf<"enqueue">): Promise<void> {
    const { jobs } = this.#model;
    const text = `job ${++this.#texts}`;
    const known = this.#known(jobs, (one) => one.dedupKey, dedupKey);
    const job = { payload: text, delayMs, priority, maxAttempts: limits.MAX_ATTEMPTS };
    const result = await this.#bus.jobs.enqueue("q", dedupKey ? { ...job, dedupKey } : job);
    expect(result.duplicate).toBe(known !== undefined);
    if (known) expect(result.id).toBe(known.id);
    else {
      expect(jobs.map((one) => one.id)).not.toContain(result.id);
      jobs.push({ id: result.id, atMs: this.#nowMs, delayMs, text, dedupKey, events: [] });
    }
  }

  async #claim(max: number): Promise<void> {
    const { jobs } = this.#model;
    const ready = jobs.filter((job) => isWaiting(this.#model.job(job, this.#nowMs)));
    const { LEASE_MS: leaseMs } = limits;
    const claims = await this.#bus.jobs.claim("q", { workerId: "w", leaseMs, max });
    expect(claims.length).toBe(Math.min(max, ready.length));
    for (const thing of claims) {
      const of = ready.find((job) => job.id === thing.id) as ModelJob;
      const count = this.#model.job(of, this.#nowMs).count + 1;
      expect([toText(thing.payload), thing.attempt]).toEqual([of.text, count]);
      expect(thing.fence).toBeGreaterThan(this.#fence);
      this.#fence = thing.fence;
      const take: Event = { type: "take", atMs: this.#nowMs };
      of.events.push(take);
      this.#jobs.push({ thing, of, take, durable: "all", isSettled: false });
    }
  }

  async #end({ index, how, delayMs }: StepOf<"end">): Promise<void> {
    const held = this.#jobs[index % this.#jobs.length];
    if (held === undefined) return;
    const { thing, of, take } = held;
    const place = this.#model.job(of, this.#nowMs);
    const isThere = this.#model.jobs.includes(of);
    const isHeld = isThere && place.state === "held" && isLastTake(of.events, take);
    const counts = isHeld && !held.isSettled;
    held.isSettled = true;
    const settle = { ack: () => thing.ack(), nak: () => thing.nak({ delayMs }) };
    const settled = how === "die" ? thing.deadLetter("bad") : settle[how]();
    const isPurged = of.events.some(({ type }) => type === "purge");
    if (!isThere && !isPurged) await expect(settled).rejects.toThrow();
    else await (counts ? settled : settled.catch(() => undefined));
    if (!counts) return;
    const type = ({ ack: "settle", nak: "retry", die: "giveUp" } as const)[how];
    of.events.push({ type, atMs: this.#nowMs, delayMs });
  }

  async #replay(index: number): Promise<void> {
    const dead = this.#model.jobs.filter((job) => {
      return this.#model.job(job, this.#nowMs).state === "dead";
    });
    const job = dead[index % dead.length];
    if (job === undefined) return;
    expect(await this.#bus.jobs.deadLetters.replay("q", job.id)).toBe(true);
    for (const event of job.events) if (event.type === "giveUp") this.#model.makeFinal(event);
    job.events.push({ type: "replay", atMs: this.#nowMs });
  }

  async #purge(): Promise<void> {
    const { jobs } = this.#model;
    const places = jobs.map((job) => this.#model.job(job, this.#nowMs).state);
    const there = places.filter((state) => state !== "done" && state !== "dead");
    expect(await this.#bus.jobs.purge("q")).toBe(there.length);
    for (const { events } of jobs) {
      for (const event of events) this.#model.makeFinal(event);
      events.push({ type: "purge", atMs: this.#nowMs } satisfies Event);
    }
  }

  async #write(step: StepOf<"put" | "create" | "remove">): Promise<void> {
    const { kv } = this.#bus;
    const { writes } = this.#model;
    const { key } = step;
    const ttlMs = step.do === "put" ? step.ttlMs : 0;
    const text = `value ${++this.#texts}`;
    const hasValue = this.#model.history(key, this.#nowMs).at(-1)?.value !== undefined;
    const write = { atMs: this.#nowMs, key, ttlMs };
    if (step.do === "remove") {
      await kv.delete("b", key);
      if (hasValue) writes.push({ ...write, value: undefined });
    } else if (step.do === "create" && hasValue) {
      await expect(kv.create("b", key, text)).rejects.toMatchObject({ code: "CONFLICT" });
    } else {
      const revision = await kv[step.do]("b", key, text, ttlMs > 0 ? { ttlMs } : {});
      expect(revision).toBe(writes.length + 1);
      writes.push({ ...write, value: text });
    }
  }

  #crash({ settlesMs, writesMs }: StepOf<"crash">): void {
    this.#server.crash({ lostSettlesMs: settlesMs, lostWritesMs: writesMs });
    this.#model.crash(this.#nowMs, { settlesMs, writesMs });
  }

  /** What is dead has a letter, what is worn may have one: then the server has come upon it. */
  async #checkLetters(): Promise<void> {
    const jobs = this.#model.jobs.map((job) => {
      return { id: job.id, events: job.events, place: this.#model.job(job, this.#nowMs) };
    });
    this.#compareLetters(jobs, (await this.#bus.jobs.deadLetters.list("q")).entries);
    for (const durable of durables) {
      const messages = this.#ofDurable(durable).map((message) => ({
        id: String(this.#sequence(message)),
        events: message.events[durable] ?? [],
        place: this.#place(message, durable),
      }));
      const { entries } = await this.#bus.pubsub.deadLetters.list(durable);
      this.#compareLetters(messages, entries);
    }
  }

  #compareLetters(
    all: readonly { readonly id: string; readonly events: Event[]; readonly place: Place }[],
    letters: readonly { readonly id: string }[],
  ): void {
    const found = letters.map(({ id }) => id);
    const isThere = ({ id, place }: (typeof all)[number]): boolean =>
      place.state === "dead" || (place.state === "worn" && found.includes(id));
    const wanted = all.filter(isThere);
    expect(found.toSorted()).toEqual(wanted.map(({ id }) => id).toSorted());
    for (const { events, place } of wanted) {
      if (place.state === "worn") events.push({ type: "bury", atMs: this.#nowMs });
    }
  }

  async #checkBucket(): Promise<void> {
    const { kv } = this.#bus;
    const present: string[] = [];
    for (const key of KEYS) {
      const kept = this.#model.history(key, this.#nowMs);
      const events = (await kv.history("b", key)).map((event) => {
        return [event.revision, event.type === "put" ? toText(event.value) : undefined];
      });
      expect(events).toEqual(kept.map(({ revision, value }) => [revision, value]));
      if (kept.at(-1)?.value !== undefined) present.push(key);
    }
    expect((await kv.keys("b")).keys).toEqual(present);
  }

  async #soon(pending: Promise<IteratorResult<Message, unknown>>): Promise<Message> {
    let result: IteratorResult<Message, unknown> | undefined;
    void pending.then((one) => {
      result = one;
    });
    await this.#clock.advance(0);
    if (result === undefined || result.done) throw new Error("nothing came");
    return result.value;
  }
}
