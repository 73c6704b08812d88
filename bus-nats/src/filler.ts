import type { MsgHdrs } from "@nats-io/transport-node";
import type { NatsContext } from "./context.ts";
import type { Ledger } from "./ledger.ts";
import { priorityOfSubject, type QueueState } from "./queue-state.ts";
import { field, H } from "./wire/headers.ts";
import { fieldsOnly, type StoredRecord } from "./wire/jetstream-api.ts";

/**
 * Servers before 2.10 forget a job if the one behind it, the last of its priority, is deleted: when it
 * is the only one left of its subject, and the stream has others, no consumer finds it (seen on
 * 2.9.10). So something is stored behind the last one before that is deleted. Whoever is handed this
 * drops it: everything before it was handed out by then.
 */
export async function storeFiller(
  { api }: NatsContext,
  ledger: Ledger,
  { queue, stream }: QueueState,
  { subject, sequence }: StoredRecord,
): Promise<void> {
  const [last, info] = await Promise.all([
    api.lastByLeader(stream, subject),
    api.streamInfo(stream, subject),
  ]);
  if (last?.sequence !== sequence || info?.state.subjects?.[subject] === 1) return;
  const stored = await api.publish({
    subject,
    payload: "",
    headers: fieldsOnly([[H.filler, 1]]),
    timeoutMs: 5_000,
    what: `filler of queue ${queue}`,
    // One too many does no harm.
    idempotent: true,
  });
  const priority = priorityOfSubject(subject);
  await ledger.write("job", queue, stored.sequence, { uncounted: 0, priority, isFiller: true });
}

/** Whether headers are those of a filler. */
export function isFiller(headers: MsgHdrs | undefined): boolean {
  return field(headers, H.filler) !== undefined;
}
