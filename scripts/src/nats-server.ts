import { execFile } from "node:child_process";
import { access, chmod, constants, copyFile, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { downloadPackage } from "./apt.ts";

const run = promisify(execFile);

/**
 * The generations of nats-server that Busbar is tested on. `2.15` stands for the newest one: it
 * comes from a suite that moves on, so any later version counts as well.
 */
export type NatsServerGeneration = "2.9" | "2.10" | "2.15";

/** Every generation, the preferred one first. */
export const NATS_SERVER_GENERATIONS: readonly NatsServerGeneration[] = ["2.15", "2.10", "2.9"];

const SUITES: Readonly<Record<NatsServerGeneration, string>> = {
  "2.9": "bookworm",
  "2.10": "trixie",
  "2.15": "sid",
};
const CACHE_DIR = fileURLToPath(new URL("../../.cache/nats-server", import.meta.url));
const BINARY = "nats-server";

/** A nats-server that can be started. */
export interface NatsServerBinary {
  readonly path: string;
  /** What the binary says of itself, such as `2.10.27`. */
  readonly version: string;
}

/** Which nats-server to look for, and where. */
export interface FindNatsServerOptions {
  /** This one and no other. */
  readonly path?: string | undefined;
  /** Only a binary of this generation. Default: any, the newest if there is a choice. */
  readonly version?: NatsServerGeneration | undefined;
  /** The folder of fetched binaries. Default: `.cache/nats-server` of the repository. */
  readonly cacheDir?: string;
  /** Where `NATS_SERVER_BIN` and `PATH` are read. Default: this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Whether a missing binary may be fetched. Default: true. */
  readonly fetch?: boolean;
}

/**
 * Finds a nats-server: `NATS_SERVER_BIN`, else the `PATH`, else the project's cache, which is
 * filled from a Debian mirror without touching the system. Rejects with what was tried and how to
 * get one.
 */
export async function findNatsServer(
  options: FindNatsServerOptions = {},
): Promise<NatsServerBinary> {
  const { path } = options;
  if (path !== undefined) {
    const named = await probe(path);
    if (named !== undefined) return named;
    throw new RangeError(`${path} does not run as a nats-server`);
  }
  const env = options.env ?? process.env;
  const cacheDir = options.cacheDir ?? CACHE_DIR;
  const tried: string[] = [];
  const own = await fromEnvironment(env, options.version, tried);
  if (own !== undefined) return own;
  const wanted = options.version === undefined ? NATS_SERVER_GENERATIONS : [options.version];
  for (const generation of wanted) {
    const cached = await probe(join(cacheDir, generation, BINARY));
    if (cached !== undefined) return cached;
  }
  tried.push(`cache ${cacheDir}: none`);
  if (options.fetch === false) throw notFound(options.version, tried);
  for (const generation of wanted) {
    try {
      return await fetchOnce(generation, cacheDir);
    } catch (error) {
      tried.push(`apt, suite ${SUITES[generation]}: ${(error as Error).message}`);
    }
  }
  throw notFound(options.version, tried);
}

async function fromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  version: NatsServerGeneration | undefined,
  tried: string[],
): Promise<NatsServerBinary | undefined> {
  const named = env["NATS_SERVER_BIN"];
  if (named !== undefined && named !== "") {
    const binary = await probe(named);
    if (binary !== undefined && isGeneration(binary.version, version)) return binary;
    // Falling through in silence would test another server than the one that was named.
    if (version === undefined) {
      throw new Error(`NATS_SERVER_BIN is ${named}, which does not run as a nats-server`);
    }
    tried.push(`NATS_SERVER_BIN ${named}: ${binary?.version ?? "does not run"}`);
  } else {
    tried.push("NATS_SERVER_BIN: not set");
  }
  for (const dir of (env["PATH"] ?? "").split(delimiter).filter((entry) => entry !== "")) {
    const binary = await probe(join(dir, BINARY));
    if (binary !== undefined && isGeneration(binary.version, version)) return binary;
    if (binary !== undefined) tried.push(`${binary.path}: ${binary.version}`);
  }
  tried.push("PATH: none that fits");
  return undefined;
}

/** Fetches under way or done in this process, by target, so that callers share one. */
const fetches = new Map<string, Promise<NatsServerBinary>>();

function fetchOnce(generation: NatsServerGeneration, cacheDir: string): Promise<NatsServerBinary> {
  const target = join(cacheDir, generation, BINARY);
  let fetching = fetches.get(target);
  if (fetching === undefined) {
    fetching = fetchTo(target, generation);
    fetches.set(target, fetching);
  }
  return fetching;
}

async function fetchTo(
  target: string,
  generation: NatsServerGeneration,
): Promise<NatsServerBinary> {
  const dir = dirname(target);
  await mkdir(dir, { recursive: true });
  const workDir = await mkdtemp(join(dir, ".fetch-"));
  try {
    const files = await downloadPackage({
      packageName: BINARY,
      suite: SUITES[generation],
      workDir,
    });
    const complete = join(workDir, BINARY);
    await copyFile(join(files, "usr", "sbin", BINARY), complete);
    await chmod(complete, 0o755);
    const binary = await probe(complete);
    if (binary === undefined || !isGeneration(binary.version, generation)) {
      const got = binary?.version ?? "one that does not run";
      throw new Error(`the suite holds nats-server ${got}, not ${generation}`);
    }
    // A rename is atomic: of several processes that fetch at once, each finds a whole binary.
    await rename(complete, target);
    return { path: target, version: binary.version };
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

async function probe(path: string): Promise<NatsServerBinary | undefined> {
  try {
    await access(path, constants.X_OK);
    const { stdout } = await run(path, ["--version"], { timeout: 10_000 });
    const version = /v?(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1];
    return version === undefined ? undefined : { path, version };
  } catch {
    return undefined;
  }
}

function isGeneration(version: string, generation: NatsServerGeneration | undefined): boolean {
  if (generation === undefined) return true;
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (generation === NATS_SERVER_GENERATIONS[0]) {
    const [newestMajor = 0, newestMinor = 0] = generation.split(".").map(Number);
    return major > newestMajor || (major === newestMajor && minor >= newestMinor);
  }
  return generation === `${major}.${minor}`;
}

function notFound(version: NatsServerGeneration | undefined, tried: readonly string[]): Error {
  return new Error(
    [
      `no nats-server${version === undefined ? "" : ` ${version}`} found`,
      ...tried.map((line) => `  ${line}`),
      "set NATS_SERVER_BIN to the path of one, or put nats-server on the PATH " +
        "(Debian: apt-get install nats-server)",
    ].join("\n"),
  );
}
