import type { Clock, Headers, Payload } from "@busbar/core";
import {
  closedError,
  type Lifecycle,
  NO_HEADERS,
  payloadBytes,
  type StatusHub,
} from "@busbar/core/adapter";
import type { SqliteConfig } from "./config.ts";
import type { SqliteFile } from "./file.ts";
import { Retry } from "./wake.ts";

/** What the four contracts of one bus share. */
export class BusContext {
  readonly config: SqliteConfig;
  readonly file: SqliteFile;
  readonly clock: Clock;
  readonly ns: string;
  readonly lifecycle: Lifecycle;
  readonly status: StatusHub;
  #isOver = false;

  constructor(config: SqliteConfig, parts: Pick<BusContext, "file" | "lifecycle" | "status">) {
    this.config = config;
    this.ns = config.namespace;
    this.clock = config.clock;
    this.file = parts.file;
    this.lifecycle = parts.lifecycle;
    this.status = parts.status;
  }

  /** Begins an operation. @throws BusError `CLOSED` */
  enter(): void {
    this.lifecycle.checkOpen();
  }

  /** Begins a settle, which is possible until closing has ended. @throws BusError `CLOSED` */
  enterSettle(): void {
    if (this.#isOver) throw closedError("the bus");
  }

  /** Closing has come to its end. */
  end(): void {
    this.#isOver = true;
  }

  /** The bytes of a payload; still the caller's, but SQLite copies them. @throws BusError */
  bytes(payload: Payload, what: string): Uint8Array {
    return payloadBytes(payload, this.config.maxPayloadBytes, what);
  }

  /** A topic of this namespace, for {@link BusContext.wake} and {@link BusContext.retry}. */
  topic(kind: "pubsub" | "jobs" | "bucket" | "lease", name = ""): string {
    return `${kind} ${this.ns} ${name}`;
  }

  /** Tries `attempt` again after changes of its topics; see {@link Retry}. Not begun yet. */
  retry(topics: readonly string[], attempt: () => number): Retry {
    const onError = (error: unknown): void => {
      const message = error instanceof Error ? error.message : String(error);
      this.status.emit({ type: "warning", code: "file-error", message });
    };
    return new Retry({ hub: this.file.hub, clock: this.clock, onError }, topics, attempt);
  }
}

/** Headers from the file. */
export function toHeaders(json: string): Headers {
  return json === "{}" ? NO_HEADERS : (Object.freeze(JSON.parse(json)) as Headers);
}
