import type { BusContext } from "./context.ts";

/** What the first with this id was answered, if that is not too long ago. Within a transaction. */
export function findDuplicate(context: BusContext, scope: string, id: string): string | undefined {
  const sql = "SELECT answer FROM dedup WHERE scope = ? AND id = ? AND until_ms > ?";
  return context.file.one<{ answer: string }>(sql, scope, id, context.clock.now())?.answer;
}

/** Remembers an id with its answer; forgets those whose time is over. Within a transaction. */
export function remember(context: BusContext, scope: string, id: string, answer: string): void {
  const nowMs = context.clock.now();
  context.file.run("DELETE FROM dedup WHERE until_ms <= ?", nowMs);
  const until_ms = nowMs + context.config.dedupWindowMs;
  context.file.insert("dedup", { scope, id, answer, until_ms });
}
