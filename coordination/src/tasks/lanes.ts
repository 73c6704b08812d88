import { type Bus, errorCode, type KvWatch, type Listener, toText } from "@busbar/core";

/** A lane: the tasks of one tenant in one queue. Its name is the tenant's storage id. */
export interface LaneEntry {
  readonly name: string;
  readonly tenant: string;
}

/** Told of by {@link Lanes.watch}. */
export interface LaneListener {
  /** There is such a lane. */
  found(lane: LaneEntry): void;
  /** It is gone. */
  gone(name: string): void;
  /** Tasks were submitted; it is not known how many if that is `undefined`. */
  submitted(name: string, tasks: number | undefined): void;
  /** It may have tasks after so many milliseconds. */
  due(name: string, delayMs: number): void;
  /** Somebody gave permits of it back. */
  freed(name: string): void;
  /** Somebody has cancelled a task of it. */
  cancelled(name: string, id: string): void;
  /** Live messages came faster than they were read, and some of them are lost. */
  missed(): void;
  /** The whole queue is paused, or is not any more. */
  paused(isPaused: boolean): void;
  /** The watch has ended by itself: somebody has removed the bucket of the lanes. */
  failed(error: unknown): void;
}

const BUCKET = "task-lanes";
/** Live messages that wait for a busy process: some 100 bytes each. */
const MAX_BUFFERED = 65_536;
/** In the place of a lane: no lane has such a name, for they are longer. */
const PAUSED = "paused";

/** Name of the job queue with the tasks of a lane. */
export function laneQueue(queue: string, lane: string): string {
  return `tasks.${queue}.${lane}`;
}

/**
 * Which lanes a queue has, and which of them have something to do.
 *
 * A lane is written down before its first task, so that none is overlooked. That it has work is told by
 * a live message, which may be lost: whoever listens looks at every lane now and then.
 */
export class Lanes {
  readonly #bus: Bus;
  readonly #queue: string;
  readonly #written = new Map<string, Promise<void>>();
  /** Of how many tasks is about to be told, by lane. */
  readonly #waking = new Map<string, number | undefined>();

  constructor(bus: Bus, queue: string) {
    this.#bus = bus;
    this.#queue = queue;
  }

  /** Makes sure that the lane is written down; costs nothing from the second time on. */
  ensure(lane: LaneEntry): Promise<void> {
    let written = this.#written.get(lane.name);
    if (written === undefined) {
      written = this.#write(lane).catch((error: unknown) => {
        this.#written.delete(lane.name);
        throw error;
      });
      this.#written.set(lane.name, written);
    }
    return written;
  }

  /**
   * Tells whoever watches that so many tasks may be run now; without a number, that some may. Never fails:
   * whoever misses it looks by itself.
   */
  wake(name: string, tasks?: number): void {
    // What the server has answered at once shares a message.
    if (this.#waking.has(name)) {
      this.#waking.set(name, sum(this.#waking.get(name), tasks));
      return;
    }
    this.#waking.set(name, tasks);
    queueMicrotask(() => {
      const told = this.#waking.get(name);
      this.#waking.delete(name);
      this.#tell("wake", name, String(told ?? ""));
    });
  }

  /** Tells whoever watches that a lane may have something to do after so many milliseconds. Never fails. */
  wakeLater(name: string, delayMs: number): void {
    this.#tell("due", name, String(delayMs));
  }

  /** Tells whoever had to wait for permits of a lane that there may be some. */
  free(name: string): Promise<void> {
    return this.#bus.pubsub.notify(this.#subject("free", name), "");
  }

  /** Tells the workers that a task of a lane was cancelled. */
  cancel(name: string, id: string): Promise<void> {
    return this.#bus.pubsub.notify(this.#subject("cancel", name), id);
  }

  /** Pauses the whole queue, until `resume`. */
  async pause(): Promise<void> {
    await this.#bus.kv.put(BUCKET, this.#key(PAUSED), "");
  }

  /** Ends a `pause`. */
  async resume(): Promise<void> {
    await this.#bus.kv.delete(BUCKET, this.#key(PAUSED));
  }

  /** Whether the whole queue is paused. */
  async isPaused(): Promise<boolean> {
    return (await this.#bus.kv.get(BUCKET, this.#key(PAUSED))) !== undefined;
  }

  /** Removes a lane and its tasks. */
  async remove(name: string): Promise<void> {
    await this.#bus.jobs.deleteQueue(laneQueue(this.#queue, name));
    await this.#bus.kv.delete(BUCKET, this.#key(name));
    this.#written.delete(name);
  }

  /** Calls `listener`; resolves when it knows all lanes that there are. @returns what ends it */
  async watch(listener: LaneListener): Promise<{ close(): Promise<void> }> {
    const live = await this.#bus.pubsub.listen(this.#subject("*", "*"), {
      maxBuffered: MAX_BUFFERED,
    });
    const watching = this.#bus.kv.watch(BUCKET, { key: `${this.#queue}.*` });
    const watch = await watching.catch(async (error: unknown) => {
      await live.close();
      throw error;
    });
    let reading: Promise<unknown> = Promise.resolve();
    await new Promise<void>((resolve) => {
      const seeing = this.#see(watch, listener, resolve).finally(resolve);
      reading = Promise.all([this.#hear(live, listener), seeing]).catch((error: unknown) =>
        listener.failed(error),
      );
    });
    return {
      close: async () => {
        await Promise.all([live.close(), watch.close()]);
        await reading;
      },
    };
  }

  #tell(what: string, name: string, payload: string): void {
    this.#bus.pubsub.notify(this.#subject(what, name), payload).catch(() => undefined);
  }

  async #hear(live: Listener, listener: LaneListener): Promise<void> {
    let missed = 0;
    for await (const { subject, payload } of live) {
      if (live.dropped > missed) {
        missed = live.dropped;
        listener.missed();
      }
      // tasks.<queue>.<what>.<lane>: neither the name of a queue nor that of a lane has a dot.
      const [, , what, name = ""] = subject.split(".");
      const text = toText(payload);
      if (what === "wake") listener.submitted(name, text === "" ? undefined : Number(text));
      else if (what === "due") listener.due(name, Number(text));
      else if (what === "free") listener.freed(name);
      else if (what === "cancel") listener.cancelled(name, text);
    }
  }

  async #see(watch: KvWatch, listener: LaneListener, initialDone: () => void): Promise<void> {
    for await (const event of watch) {
      if (event.type === "initialDone") {
        initialDone();
        continue;
      }
      const name = lastWord(event.key);
      if (name === PAUSED) listener.paused(event.type === "put");
      else if (event.type === "put") listener.found({ name, tenant: toText(event.value) });
      else listener.gone(name);
    }
  }

  async #write({ name, tenant }: LaneEntry): Promise<void> {
    try {
      await this.#bus.kv.create(BUCKET, this.#key(name), tenant);
    } catch (error) {
      if (errorCode(error) !== "CONFLICT") throw error;
    }
  }

  #key(name: string): string {
    return `${this.#queue}.${name}`;
  }

  #subject(what: string, name: string): string {
    return `tasks.${this.#queue}.${what}.${name}`;
  }
}

function sum(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one + other;
}

function lastWord(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
