import {
  type Bus,
  BusError,
  type Clock,
  type Codec,
  defineBucket,
  type Payload,
  type Random,
  systemClock,
  systemRandom,
  toBytes,
  toText,
  type TypedBucket,
  typedBus,
} from "@busbar/core";
import { checkInteger } from "@busbar/core/adapter";
import { z } from "zod";
import { changeEntry } from "../change-entry.ts";

/** Options of a {@link FencedBucket}. */
export interface FencedBucketOptions {
  readonly bus: Bus;
  /** Where the values are. Nobody else may write there. */
  readonly bucket: string;
  /** The clock of this process. Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Default: the machine's randomness. */
  readonly random?: Random | undefined;
}

/** A value, and the highest fence that somebody came with. */
export interface FencedEntry {
  readonly value: Uint8Array;
  readonly fence: number;
  readonly revision: number;
}

/** What is stored: `value` is not there once it was deleted. The fence stays for ever. */
interface Fenced {
  readonly fence: number;
  readonly value?: Uint8Array | undefined;
}

const schema: z.ZodType<Fenced, unknown> = z.strictObject({
  fence: z.int().min(1),
  value: z.instanceof(Uint8Array).optional(),
});

const NEWLINE = 10;

/** The fence as a line of text, then the bytes. Without the end of the line there is no value. */
const codec: Codec<Fenced, unknown> = {
  contentType: "application/octet-stream",
  encode({ fence, value }) {
    const line = toBytes(value === undefined ? `${fence}` : `${fence}\n`);
    const bytes = new Uint8Array(line.byteLength + (value?.byteLength ?? 0));
    bytes.set(line);
    if (value) bytes.set(value, line.byteLength);
    return bytes;
  },
  decode(bytes) {
    const end = bytes.indexOf(NEWLINE);
    if (end < 0) return { fence: Number(toText(bytes)) };
    return { fence: Number(toText(bytes.subarray(0, end))), value: bytes.slice(end + 1) };
  },
};

/**
 * A bucket that refuses writers whose lock or leadership has passed on: beside each value stands the
 * highest fence that anybody came with, and who comes with a smaller one gets `CONFLICT`.
 *
 * The fences of a key have to come from one lock, or be the terms of one election.
 */
export class FencedBucket {
  readonly #values: TypedBucket<typeof schema>;
  readonly #parts: { readonly clock: Clock; readonly random: Random };

  /** @throws BusError `INVALID_ARGUMENT` */
  constructor({ bus, bucket, clock = systemClock, random = systemRandom }: FencedBucketOptions) {
    this.#values = typedBus(bus).bucket(defineBucket({ bucket, schema, codec }));
    this.#parts = { clock, random };
  }

  /** Reads, without any fence. */
  async get(key: string): Promise<FencedEntry | undefined> {
    return entryOf(await this.#values.get(key));
  }

  /** For the holder of this fence. @throws RangeError, TypeError */
  guard(fence: number): FencedWriter {
    checkInteger("fence", fence, 1, Number.MAX_SAFE_INTEGER);
    return {
      get: async (key) => entryOf(await this.#change(key, fence, (value) => ({ fence, value }))),
      put: async (key, value) => {
        const bytes = typeof value === "string" ? toBytes(value) : value;
        const entry = await this.#change(key, fence, () => ({ fence, value: bytes }));
        return entry?.revision ?? 0;
      },
      delete: async (key) => {
        await this.#change(key, fence, () => ({ fence }));
      },
    };
  }

  #change(
    key: string,
    fence: number,
    change: (value: Uint8Array | undefined) => Fenced,
  ): Promise<{ value: Fenced; revision: number } | undefined> {
    return changeEntry(
      this.#values,
      key,
      (current) => {
        const highest = current?.value.fence ?? 0;
        if (fence < highest) throw stale(key, fence, highest);
        const next = change(current?.value.value);
        const isSame = fence === highest && next.value === current?.value.value;
        return isSame ? undefined : next;
      },
      this.#parts,
    );
  }
}

/** How the holder of a fence reads and writes a {@link FencedBucket}. All throw `CONFLICT` if it is too small. */
export interface FencedWriter {
  /** Reads, and from now on refuses all who come with a smaller fence: what was read stays true. */
  get(key: string): Promise<FencedEntry | undefined>;
  /** Writes. @returns the revision */
  put(key: string, value: Payload): Promise<number>;
  /** Removes the value; the fence stays. */
  delete(key: string): Promise<void>;
}

function entryOf(
  entry: { readonly value: Fenced; readonly revision: number } | undefined,
): FencedEntry | undefined {
  if (entry?.value.value === undefined) return undefined;
  const { fence, value } = entry.value;
  return { value, fence, revision: entry.revision };
}

function stale(key: string, fence: number, highest: number): BusError {
  return new BusError(
    "CONFLICT",
    `fence ${fence} is too small for key ${key}: somebody came with ${highest}`,
    { details: { key, fence, highest } },
  );
}
