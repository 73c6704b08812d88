import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { NatsSetup } from "../nats/setup.ts";

/** What a server has and takes. */
export interface Footprint {
  readonly streams: number;
  readonly consumers: number;
  /** Resident, in bytes. */
  readonly memoryBytes: number;
  /** What its store takes on the disk. */
  readonly diskBytes: number;
}

interface Monitored {
  readonly mem: number;
  readonly streams: number;
  readonly consumers: number;
}

/** Asks the server's monitoring, and looks at its store. */
export async function footprint({ monitorUrl, server }: NatsSetup): Promise<Footprint> {
  const ask = async (page: string): Promise<Monitored> =>
    (await (await fetch(`${monitorUrl}/${page}`)).json()) as Monitored;
  const [{ mem }, { streams, consumers }] = [await ask("varz"), await ask("jsz")];
  return { streams, consumers, memoryBytes: mem, diskBytes: await diskBytes(server.storeDir) };
}

async function diskBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    // A file may go while its folder is read.
    const found = await stat(join(entry.parentPath, entry.name)).catch(() => undefined);
    bytes += (found?.blocks ?? 0) * 512;
  }
  return bytes;
}
