import type { Headers } from "@busbar/core";
import { copyOf, type StoredBytes } from "./arena.ts";

/** A message as the stream has it, taken out of there for somebody who needs it now. */
export class StoredMessage implements StoredBytes {
  readonly sequence: number;
  readonly subject: string;
  readonly headers: Headers;
  readonly publishedAtMs: number;
  readonly slab: Uint8Array;
  readonly at: number;
  readonly length: number;

  constructor(
    content: Pick<StoredMessage, "sequence" | "subject" | "headers" | "publishedAtMs">,
    bytes: StoredBytes,
  ) {
    this.sequence = content.sequence;
    this.subject = content.subject;
    this.headers = content.headers;
    this.publishedAtMs = content.publishedAtMs;
    this.slab = bytes.slab;
    this.at = bytes.at;
    this.length = bytes.length;
  }

  /** The same message with bytes of its own: kept for long, it must not keep a whole slab. */
  detached(): StoredMessage {
    return new StoredMessage(this, { slab: copyOf(this), at: 0, length: this.length });
  }
}
