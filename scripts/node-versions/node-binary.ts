import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const FILE = process.platform === "win32" ? "node.exe" : "node";
const CACHE_DIR = fileURLToPath(new URL("../../.cache/node", import.meta.url));

/** A Node that can be started. */
export interface NodeBinary {
  readonly path: string;
  /** What the binary says of itself, such as `22.23.3`. */
  readonly version: string;
}

/**
 * Node of a version (`22.0.0`) or of the newest that its major has (`22`), from the project's cache.
 * What is missing there is fetched with npm: the package of this platform's binaries, those that the
 * `node` package would fetch with an install script.
 */
export async function findNode(wanted: string): Promise<NodeBinary> {
  const path = join(CACHE_DIR, wanted, FILE);
  return (await probe(path)) ?? (await fetchTo(path, wanted));
}

async function fetchTo(path: string, wanted: string): Promise<NodeBinary> {
  await mkdir(dirname(path), { recursive: true });
  const workDir = await mkdtemp(join(CACHE_DIR, ".fetch-"));
  const name = packageName();
  try {
    const options = ["--no-save", "--no-package-lock", "--ignore-scripts", "--prefix", workDir];
    await run("npm", ["install", ...options, `${name}@${wanted}`], {
      timeout: 300_000,
      // There npm is a script of the shell.
      shell: process.platform === "win32",
    });
    // A rename is atomic: of several processes that fetch at once, each finds a whole binary.
    await rename(join(workDir, "node_modules", name, "bin", FILE), path);
  } catch (cause) {
    throw new Error(`npm has no Node ${wanted} for this machine (package ${name})`, { cause });
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
  const binary = await probe(path);
  if (binary === undefined) throw new Error(`${path} does not run`);
  return binary;
}

async function probe(path: string): Promise<NodeBinary | undefined> {
  try {
    const { stdout } = await run(path, ["--version"], { timeout: 10_000 });
    return { path, version: stdout.trim().replace(/^v/, "") };
  } catch {
    return undefined;
  }
}

/** As the `node` package names the packages of its binaries. */
function packageName(): string {
  const { platform, arch } = process;
  const prefix = platform === "darwin" && arch === "arm64" ? "node-bin" : "node";
  return `${prefix}-${platform === "win32" ? "win" : platform}-${arch}`;
}
