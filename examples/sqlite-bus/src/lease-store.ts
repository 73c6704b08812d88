import { type LeaseRecord, type LeaseStore, revisionConflict } from "@busbar/core/adapter";
import type { BusContext } from "./context.ts";

interface LeaseRow {
  readonly revision: number;
  readonly value: Uint8Array;
  readonly written_ms: number;
}

/** The lease records of one namespace, as `LeaseManager` wants them. */
export class SqliteLeaseStore implements LeaseStore {
  readonly #context: BusContext;

  constructor(context: BusContext) {
    this.#context = context;
  }

  async read(key: string): Promise<LeaseRecord | undefined> {
    const row = this.#row(key);
    if (row === undefined) return undefined;
    const { revision, value, written_ms } = row;
    return { revision, value, ageMs: async () => this.#context.clock.now() - written_ms };
  }

  async write(key: string, value: Uint8Array, expected: number): Promise<number> {
    const { file, ns, clock } = this.#context;
    const revision = file.write(() => {
      const current = this.#row(key)?.revision ?? 0;
      if (current !== expected) throw revisionConflict("leases", key, expected, current);
      // A new row: its revision is greater than all before, for ever.
      file.run("DELETE FROM lease WHERE ns = ? AND key = ?", ns, key);
      // The wall clock cuts fractions off, which must not make the record older than it is.
      return file.insert("lease", { ns, key, value, written_ms: clock.now() + 1 });
    });
    this.#wake(key);
    return revision;
  }

  async remove(key: string, revision: number): Promise<void> {
    const { file, ns } = this.#context;
    const sql = "DELETE FROM lease WHERE ns = ? AND key = ? AND revision = ?";
    file.run(sql, ns, key, revision);
    this.#wake(key);
  }

  async subscribe(key: string, onChange: () => void): Promise<{ close(): void }> {
    const { file } = this.#context;
    return { close: file.hub.on(this.#context.topic("lease", key), onChange) };
  }

  #row(key: string): LeaseRow | undefined {
    const { file, ns } = this.#context;
    return file.one("SELECT * FROM lease WHERE ns = ? AND key = ?", ns, key);
  }

  #wake(key: string): void {
    this.#context.file.hub.wake(this.#context.topic("lease", key));
  }
}
