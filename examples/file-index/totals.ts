import { createHash } from "node:crypto";
import { type Bus, errorCode, type TypedBucket, typedBus } from "@busbar/core";
import { type FileRecord, fileRecords, indexTotals, type TotalsValue } from "./definitions.ts";

/** The key of the sums. */
const ALL = "all";
const EMPTY: TotalsValue = { files: 0, lines: 0, words: 0, bytes: 0, unrecorded: [] };

/**
 * Sums over all files, to which each file is added exactly once, however many workers race for
 * them, however often a job is handed out, and wherever a worker dies.
 *
 * A file is in the sums as soon as one compare-and-set added its numbers and its key to
 * `unrecorded`. Then its record is written. Only when that is done may its key be taken out of
 * `unrecorded` again, which the next compare-and-set does on the way. So at any time a file that
 * is in the sums has a record, or is in `unrecorded`, or both.
 *
 * Whoever wants to add a file reads the sums first and looks for the record after that. If it finds
 * neither key nor record, nobody had added the file when the sums were read; and if somebody does
 * before its own compare-and-set, the revision has moved, and it looks again.
 */
export class Totals {
  readonly #totals: TypedBucket<typeof indexTotals.schema>;
  readonly #records: TypedBucket<typeof fileRecords.schema>;
  /** Keys with a record, which need not be in `unrecorded` any more. */
  #recorded: string[] = [];

  /** How many races were lost, and run again. */
  conflicts = 0;

  constructor(bus: Bus) {
    this.#totals = typedBus(bus).bucket(indexTotals);
    this.#records = typedBus(bus).bucket(fileRecords);
  }

  /** Adds a file. Resolves with false if it was in the sums already. */
  async add(record: FileRecord): Promise<boolean> {
    const key = keyOf(record.path);
    const added = await this.#addOnce(key, record);
    if (added !== "recorded") {
      await this.#records.create(key, record).catch(unlessCode("CONFLICT"));
      this.#recorded.push(key);
    }
    return added === "added";
  }

  async #addOnce(key: string, record: FileRecord): Promise<"added" | "unrecorded" | "recorded"> {
    for (;;) {
      const entry = await this.#totals.get(ALL);
      const sums = entry?.value ?? EMPTY;
      if (sums.unrecorded.includes(key)) return "unrecorded";
      if (await this.#records.get(key)) return "recorded";
      const recorded = this.#recorded;
      const next = {
        files: sums.files + 1,
        lines: sums.lines + record.lines,
        words: sums.words + record.words,
        bytes: sums.bytes + record.bytes,
        unrecorded: [...sums.unrecorded.filter((other) => !recorded.includes(other)), key],
      };
      try {
        await this.#totals.cas(ALL, next, entry?.revision ?? 0);
        this.#recorded = [];
        return "added";
      } catch (error) {
        unlessCode("CONFLICT")(error);
        this.conflicts += 1;
      }
    }
  }
}

/** The sums as they are. */
export async function readTotals(bus: Bus): Promise<TotalsValue> {
  return (await typedBus(bus).bucket(indexTotals).get(ALL))?.value ?? EMPTY;
}

/** All records. */
export async function readRecords(bus: Bus): Promise<FileRecord[]> {
  const records: FileRecord[] = [];
  await using watch = await typedBus(bus).bucket(fileRecords).watch();
  for await (const event of watch) {
    if (event.type === "initialDone") break;
    if (event.type === "put") records.push(event.value);
  }
  return records;
}

/** The key of a file: a path may have characters that a key may not. */
export function keyOf(path: string): string {
  return createHash("sha256").update(path).digest("hex").slice(0, 32);
}

function unlessCode(code: string): (error: unknown) => void {
  return (error) => {
    if (errorCode(error) !== code) throw error;
  };
}
