import type { Codec } from "../codec.ts";
import { BusError } from "../errors.ts";
import { codecIssues, invalidPayload, schemaIssues } from "./invalid.ts";
import type {
  SchemaInput,
  SchemaOutput,
  StandardSchemaResult,
  StandardSchemaV1,
} from "./standard-schema.ts";

/** A value, or why there is none. */
export type Checked<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: BusError };

/**
 * The edge between values and payloads.
 *
 * Out: the value is checked, and what the schema gives (defaults filled in, unknown properties gone)
 * is encoded. In: the payload is decoded and checked with the same schema. So the schema sees its
 * own output again, and must take it.
 */
export class Port<Schema extends StandardSchemaV1> {
  readonly #schema: Schema;
  readonly #codec: Codec<SchemaOutput<Schema>, unknown>;
  readonly #name: string;
  #proven = false;

  /** `name` is what errors call the definition. */
  constructor(schema: Schema, codec: Codec<SchemaOutput<Schema>, unknown>, name: string) {
    this.#schema = schema;
    this.#codec = codec;
    this.#name = name;
  }

  // Waits only where the schema does, so that values keep their order.

  /**
   * @throws BusError `INVALID_ARGUMENT`, `INTERNAL` if the schema throws;
   *   TypeError if the schema does not take its own output
   */
  async encode(value: SchemaInput<Schema>, what: string): Promise<Uint8Array> {
    const checking = this.#check(value, what);
    const checked = checking instanceof Promise ? await checking : checking;
    if (!checked.ok) throw checked.error;
    let bytes: Uint8Array;
    try {
      bytes = this.#codec.encode(checked.value);
    } catch (thrown) {
      throw invalidPayload(what, codecIssues(thrown, "sent", this.#codec.contentType));
    }
    if (!this.#proven) {
      const decoding = this.#decode(bytes, what);
      this.#prove(decoding instanceof Promise ? await decoding : decoding);
    }
    return bytes;
  }

  /** The error is `INVALID_ARGUMENT`, or `INTERNAL` if the schema throws: that is no verdict. */
  async decode(bytes: Uint8Array, what: string): Promise<Checked<SchemaOutput<Schema>>> {
    return this.#decode(bytes, what);
  }

  /** {@link Port.decode} for one that waits for the value. @throws BusError as there */
  async read(bytes: Uint8Array, what: string): Promise<SchemaOutput<Schema>> {
    const decoded = await this.#decode(bytes, what);
    if (!decoded.ok) throw decoded.error;
    return decoded.value;
  }

  #decode(bytes: Uint8Array, what: string): MaybePromise<Checked<SchemaOutput<Schema>>> {
    let raw: unknown;
    try {
      raw = this.#codec.decode(bytes);
    } catch (thrown) {
      const issues = codecIssues(thrown, "read", this.#codec.contentType);
      return { ok: false, error: invalidPayload(what, issues) };
    }
    return this.#check(raw, what);
  }

  #check(value: unknown, what: string): MaybePromise<Checked<SchemaOutput<Schema>>> {
    const judge = (
      result: StandardSchemaResult<SchemaOutput<Schema>>,
    ): Checked<SchemaOutput<Schema>> =>
      result.issues
        ? { ok: false, error: invalidPayload(what, schemaIssues(result.issues)) }
        : { ok: true, value: result.value };
    const fail = (cause: unknown): Checked<SchemaOutput<Schema>> => {
      const message = `${what} could not be checked: the schema of ${this.#name} failed`;
      return { ok: false, error: new BusError("INTERNAL", message, { cause }) };
    };
    try {
      const result = this.#schema["~standard"].validate(value) as MaybePromise<
        StandardSchemaResult<SchemaOutput<Schema>>
      >;
      return result instanceof Promise ? result.then(judge, fail) : judge(result);
    } catch (thrown) {
      return fail(thrown);
    }
  }

  /** Once: what every receiver would refuse is a mistake in the schema, found at the first send. */
  #prove(received: Checked<unknown>): void {
    if (!received.ok) {
      if (received.error.code === "INTERNAL") throw received.error;
      throw new TypeError(
        `the schema of ${this.#name} does not take its own output after it was sent, so that nobody could receive it: ${received.error.message}`,
      );
    }
    this.#proven = true;
  }
}

type MaybePromise<Value> = Value | Promise<Value>;
