import type { NatsConnection, PublishOptions } from "@nats-io/transport-node";

/**
 * Everything that goes out over a connection, in the order in which it was said.
 *
 * Settles that nobody waits for are collected until the current turn of the event loop has eaten all
 * that came in, and written together: a loop over messages would cost one write to the socket for
 * each ack otherwise, which is a third of its time. Whatever else is sent goes after them.
 */
export class Outbox {
  readonly #connection: NatsConnection;
  #settles: string[] = [];

  constructor(connection: NatsConnection) {
    this.#connection = connection;
  }

  /** Sends a settle, together with those of this turn. */
  settle(reply: string, verb: string): void {
    // Pairs in one flat array: nothing is made for the collector to clean up.
    if (this.#settles.push(reply, verb) === 2) process.nextTick(this.#flush);
  }

  /** Sends a message. */
  publish(subject: string, payload: Uint8Array | string = "", options?: PublishOptions): void {
    if (this.#settles.length > 0) this.flush();
    this.#connection.publish(subject, payload, options);
  }

  /** Hands over what was collected. */
  flush(): void {
    const settles = this.#settles;
    this.#settles = [];
    for (let index = 0; index < settles.length; index += 2) {
      this.#connection.publish(settles[index] as string, settles[index + 1] as string);
    }
  }

  readonly #flush = (): void => {
    // The connection may have been closed in this very turn.
    if (this.#connection.isClosed()) this.#settles = [];
    else this.flush();
  };
}
