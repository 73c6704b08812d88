import { execFile } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { BusConfig } from "@busbar/core";
import type { SeenElsewhere } from "./elsewhere-child.ts";

const run = promisify(execFile);
const CHILD_TIMEOUT_MS = 20_000;

/**
 * Opens the bus in another process, which reads the key `here` of the bucket, writes `there`,
 * publishes `hello` on `from.elsewhere` and enqueues `work` into the queue of the bucket's name.
 */
export async function runElsewhere(
  config: BusConfig | string,
  bucket: string,
): Promise<SeenElsewhere> {
  // The process runs the same kind of file as this one: sources from sources, dist from dist.
  const extension = extname(fileURLToPath(import.meta.url));
  const child = fileURLToPath(new URL(`./elsewhere-child${extension}`, import.meta.url));
  const args = [...process.execArgv, child, JSON.stringify(config), bucket];
  const { stdout } = await run(process.execPath, args, { timeout: CHILD_TIMEOUT_MS });
  return JSON.parse(stdout) as SeenElsewhere;
}
