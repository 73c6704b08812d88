/** What the reply subject of a delivery says. ADR-15 describes its form. */
export interface DeliveryInfo {
  /** How often the server has delivered the message, this one included. */
  readonly deliveries: number;
  /** Its sequence in the stream. */
  readonly streamSequence: number;
  /** Its sequence in the consumer: grows with every delivery. */
  readonly consumerSequence: number;
  /** When it was stored, in milliseconds since the Unix epoch. */
  readonly storedAtMs: number;
  /** How many messages the consumer has not delivered yet. */
  readonly pending: number;
}

/** Reads `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<ns>.<pending>`. */
export function parseAckSubject(reply: string): DeliveryInfo {
  const tokens = reply.split(".");
  // With a domain and an account hash there are two tokens more in front, and one more at the end.
  const at = tokens.length >= 11 ? 6 : 4;
  const nanoseconds = tokens[at + 3] as string;
  return {
    deliveries: Number(tokens[at]),
    streamSequence: Number(tokens[at + 1]),
    consumerSequence: Number(tokens[at + 2]),
    // As text, because nanoseconds do not fit a number.
    storedAtMs: Number(nanoseconds.slice(0, -6)),
    pending: Number(tokens[at + 4]),
  };
}

/** What settles a delivery, as the server reads it. */
export const ACK = "+ACK";
/** Restarts the ack wait. */
export const IN_PROGRESS = "+WPI";
/** Ends a message; a reason is understood from 2.10 on, and not taken for a term before. */
export const TERM = "+TERM";

/**
 * Gives a delivery back after a delay. The server takes the delay for the rest of the ack wait of
 * this one delivery, and still takes an ack meanwhile: that is also how a lease of any length is set.
 *
 * With a backoff the server reckons the delay from the consumer's ack wait, but the end from the
 * delivery's own wait (`processNak` and `checkPending` in server/consumer.go): `correctionMs`, the
 * first less the second, makes up for it.
 */
export function nakAfter(delayMs: number, correctionMs = 0): string {
  if (delayMs <= 0) return "-NAK";
  // Never 0, which the server takes for no delay.
  const nanoseconds = Math.round((delayMs + correctionMs) * 1_000_000) || 1;
  return `-NAK {"delay": ${nanoseconds}}`;
}
