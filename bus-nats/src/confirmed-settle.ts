import { BusError } from "@busbar/core";
import type { Msg } from "@nats-io/transport-node";
import type { Link } from "./link.ts";

const TIMEOUT_MS = 5_000;

/** What a {@link confirmedSettle} says in its errors. */
export interface SettleWords {
  /** What is tried. */
  readonly what: string;
  /** That what could take the verb is not there any more. */
  readonly gone: string;
}

/** Sends a verb for a delivery and waits until the server has taken it. @throws BusError `NOT_FOUND`, `TIMEOUT` */
export function confirmedSettle(
  link: Link,
  { reply }: Msg,
  verb: string,
  { what, gone }: SettleWords,
): Promise<void> {
  return link.requester.request({
    subject: reply as string,
    payload: verb,
    timeoutMs: TIMEOUT_MS,
    what,
    idempotent: true,
    parse: () => undefined,
    onNoResponders: link.isClustered ? "retry" : () => new BusError("NOT_FOUND", gone),
  });
}
