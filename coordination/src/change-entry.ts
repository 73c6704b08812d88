import {
  type Clock,
  errorCode,
  type Random,
  type SchemaInput,
  type SchemaOutput,
  type StandardSchemaV1,
  type TypedBucket,
  type TypedEntry,
} from "@busbar/core";

/** How writers wait between attempts. */
export interface ChangeParts {
  readonly clock: Clock;
  readonly random: Random;
}

/** What is to be written. */
type Changed<Schema extends StandardSchemaV1> =
  | (SchemaInput<Schema> & SchemaOutput<Schema>)
  | undefined;

/** Among writers of one key one gets through in each round, so this many of them get through at once. */
const ATTEMPTS = 64;
const MAX_PAUSE_MS = 50;

/**
 * To be called with what a compare-and-set has failed with, and how often it was tried: resolves after a
 * random pause of up to 50 ms where another attempt may get through.
 * @throws the error if it is no `CONFLICT`, or after 64 attempts
 */
export async function afterConflict(
  error: unknown,
  attempt: number,
  { clock, random }: ChangeParts,
): Promise<void> {
  if (errorCode(error) !== "CONFLICT" || attempt >= ATTEMPTS) throw error;
  await clock.sleep(random.next() * Math.min(MAX_PAUSE_MS, attempt));
}

/**
 * Reads a value, changes it and writes it back if nobody else wrote meanwhile; else again, up to 64
 * times, with random pauses of up to 50 ms. `change` gets `undefined` where there is no value, and gives
 * `undefined` where nothing is to be written.
 * @returns the value that is there then, and its revision; `undefined` if there is none
 * @throws BusError `CONFLICT` if others were always faster, and what `change` throws
 */
export async function changeEntry<Schema extends StandardSchemaV1>(
  bucket: TypedBucket<Schema>,
  key: string,
  change: (
    entry: TypedEntry<SchemaOutput<Schema>> | undefined,
  ) => Changed<Schema> | Promise<Changed<Schema>>,
  parts: ChangeParts,
): Promise<Pick<TypedEntry<SchemaOutput<Schema>>, "key" | "value" | "revision"> | undefined> {
  for (let attempt = 1; ; attempt++) {
    const entry = await bucket.get(key);
    const value = await change(entry);
    if (value === undefined) return entry;
    try {
      return { key, value, revision: await bucket.cas(key, value, entry?.revision ?? 0) };
    } catch (error) {
      await afterConflict(error, attempt, parts);
    }
  }
}
