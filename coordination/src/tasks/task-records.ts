import { type Bus, errorCode, type TypedBucket, typedBus } from "@busbar/core";
import { type ChangeParts, changeEntry } from "../change-entry.ts";
import { isFinal, recordBucket, type TaskRecord } from "./task-record.ts";

/** How long records are kept, in milliseconds. */
export const DEFAULT_KEEP_MS = 86_400_000;

/** What {@link TaskRecords} are made of. */
export interface TaskRecordsParts extends ChangeParts {
  /** How long they are kept, in milliseconds; `undefined` for a worker. */
  readonly keepMs?: number | undefined;
}

/**
 * The records of a queue's tasks: one for each task whose result is kept, from its first failed attempt
 * or its end on. Of all who say how a task ended, the first one counts.
 */
export class TaskRecords {
  readonly #bus: Bus;
  readonly #name: string;
  readonly #bucket: TypedBucket<ReturnType<typeof recordBucket>["schema"]>;
  readonly #parts: TaskRecordsParts;
  #made: Promise<void> | undefined;

  constructor(bus: Bus, queue: string, parts: TaskRecordsParts) {
    const definition = recordBucket(queue);
    this.#bus = bus;
    this.#name = definition.bucket;
    this.#bucket = typedBus(bus).bucket(definition);
    this.#parts = parts;
  }

  /** Makes the bucket, before the first task. @throws BusError `CONFLICT` if it keeps records for another time */
  ensure(): Promise<void> {
    const { keepMs: ttlMs = DEFAULT_KEEP_MS } = this.#parts;
    this.#made ??= this.#bus.kv.ensureBucket(this.#name, { ttlMs }).catch((error: unknown) => {
      this.#made = undefined;
      throw error;
    });
    return this.#made;
  }

  /** What is kept of a task. */
  async get(lane: string, id: string): Promise<TaskRecord | undefined> {
    await this.#open();
    return (await this.#bucket.get(keyOf(lane, id)))?.value;
  }

  /**
   * Writes what became of a task, unless it has ended.
   * @returns the record that stands: another one if it had ended
   */
  async write(
    lane: string,
    id: string,
    make: (previous: TaskRecord | undefined) => TaskRecord,
  ): Promise<TaskRecord> {
    const change = (entry: { readonly value: TaskRecord } | undefined): TaskRecord | undefined =>
      isFinal(entry?.value) ? undefined : make(entry?.value);
    await this.#open();
    const entry = await changeEntry(this.#bucket, keyOf(lane, id), change, this.#parts);
    return (entry as { readonly value: TaskRecord }).value;
  }

  /** As `write`, where most likely nothing is there: one request instead of two. */
  async writeFirst(lane: string, id: string, record: TaskRecord): Promise<TaskRecord> {
    try {
      await this.#bucket.create(keyOf(lane, id), record);
      return record;
    } catch (error) {
      if (errorCode(error) !== "CONFLICT") throw error;
      return this.write(lane, id, () => record);
    }
  }

  /** Forgets all tasks of a lane. */
  async forgetLane(lane: string): Promise<void> {
    await this.#open();
    for (;;) {
      const { keys } = await this.#bucket.keys({ key: `${lane}.*`, limit: 1_000 });
      if (keys.length === 0) return;
      await Promise.all(keys.map((key) => this.#bucket.delete(key)));
    }
  }

  /**
   * Whatever touches a bucket first makes it, and it must not be made without its time. Workers do not
   * know that time; they touch only what somebody has submitted.
   */
  async #open(): Promise<void> {
    if (this.#parts.keepMs === undefined) return;
    await this.ensure().catch((error: unknown) => {
      // It is there, with another time: that is for whoever submits.
      if (errorCode(error) !== "CONFLICT") throw error;
    });
  }
}

function keyOf(lane: string, id: string): string {
  return `${lane}.${id}`;
}
