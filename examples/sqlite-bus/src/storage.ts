import type { StorageStats } from "@busbar/core";
import { isNamespaceWithin, type ResolvedStorageOptions } from "@busbar/core/adapter";
import type { BusContext } from "./context.ts";

/** The ids of a table's rows in a list of namespaces; a second list chooses names. */
const OWNED = {
  consumer: "SELECT id FROM consumer WHERE ns IN (SELECT value FROM json_each(?))",
  queue: "SELECT id FROM queue WHERE ns IN (SELECT value FROM json_each(?))",
  bucket: "SELECT id FROM bucket WHERE ns IN (SELECT value FROM json_each(?))",
} as const;
const NAMED = "AND name IN (SELECT value FROM json_each(?))";

/** What is counted where, and as how many bytes. */
const MESSAGES = `SELECT count(*) AS objects, total(length(payload)) AS bytes FROM message
  WHERE ns IN (SELECT value FROM json_each(?))`;
const JOBS = "SELECT count(*) AS objects, total(length(payload)) AS bytes FROM job WHERE queue IN";
const LETTERS = `SELECT count(*) AS objects, total(length(payload)) AS bytes FROM dead_letter
  WHERE kind = ? AND owner IN`;
const ENTRIES = `SELECT count(*) AS objects, total(length(key) + length(value)) AS bytes FROM entry
  WHERE (until_ms IS NULL OR until_ms > ?) AND bucket IN`;

/** What is stored: in the namespace and those below it, or in some of its own queues and buckets. */
export function storedIn(context: BusContext, only?: ResolvedStorageOptions): StorageStats {
  const { file, ns, clock } = context;
  const within = JSON.stringify(only ? [ns] : namespacesWithin(context));
  const named = only ? NAMED : "";
  const queues = only ? [within, JSON.stringify(only.queues)] : [within];
  const buckets = only ? [within, JSON.stringify(only.buckets)] : [within];
  let objects = 0;
  let bytes = 0;
  const add = (sql: string, ...values: (string | number)[]): void => {
    const sum = file.one<StorageStats>(sql, ...values);
    objects += sum?.objects ?? 0;
    bytes += sum?.bytes ?? 0;
  };
  add(`${JOBS} (${OWNED.queue} ${named})`, ...queues);
  add(`${LETTERS} (${OWNED.queue} ${named})`, "queue", ...queues);
  add(`${ENTRIES} (${OWNED.bucket} ${named})`, clock.now(), ...buckets);
  if (only === undefined) {
    add(MESSAGES, within);
    add(`${LETTERS} (${OWNED.consumer})`, "durable", within);
  }
  return { objects, bytes };
}

/** Removes everything that is stored in the namespace and those below it, all at once. */
export function removeStored(context: BusContext): void {
  const { file } = context;
  file.write(() => {
    const all = namespacesWithin(context);
    const within = JSON.stringify(all);
    const run = (sql: string, ...values: string[]): number => file.run(sql, ...values);
    run(`DELETE FROM delivery WHERE consumer IN (${OWNED.consumer})`, within);
    run(`DELETE FROM dead_letter WHERE kind = 'durable' AND owner IN (${OWNED.consumer})`, within);
    run(`DELETE FROM dead_letter WHERE kind = 'queue' AND owner IN (${OWNED.queue})`, within);
    run(`DELETE FROM dedup WHERE scope IN (SELECT 'job ' || id FROM (${OWNED.queue}))`, within);
    for (const ns of all) run("DELETE FROM dedup WHERE scope = ?", `message ${ns}`);
    run(`DELETE FROM job WHERE queue IN (${OWNED.queue})`, within);
    run(`DELETE FROM entry WHERE bucket IN (${OWNED.bucket})`, within);
    for (const table of ["message", "consumer", "queue", "bucket", "lease"]) {
      run(`DELETE FROM ${table} WHERE ns IN (SELECT value FROM json_each(?))`, within);
    }
  });
  file.hub.wakeAll();
}

/** The namespaces that have something, of this one and those below it. */
function namespacesWithin({ file, ns }: BusContext): string[] {
  const tables = ["message", "consumer", "queue", "bucket", "lease"];
  const sql = tables.map((table) => `SELECT ns FROM ${table}`).join(" UNION ");
  const all = file.all<{ ns: string }>(sql).map((row) => row.ns);
  return all.filter((one) => isNamespaceWithin(one, ns));
}
