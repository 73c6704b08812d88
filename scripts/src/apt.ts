import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { promisify } from "node:util";
import { deriveSources, withKeyring, type SourceFile } from "./apt-sources.ts";

const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 180_000;
const MACHINE_SOURCES = ["/etc/apt/sources.list", "/etc/apt/sources.list.d"];
const KEYRING_PACKAGE = "debian-archive-keyring";
const KEYRING_PATH = "usr/share/keyrings/debian-archive-keyring.gpg";

/** What {@link downloadPackage} fetches and where it may write. */
export interface DownloadPackageOptions {
  readonly packageName: string;
  /** The Debian suite that holds the wanted version, such as `trixie`. */
  readonly suite: string;
  /** An empty folder of the caller's; everything apt writes goes below it. */
  readonly workDir: string;
  /** The machine's apt sources. Default: read from /etc/apt. */
  readonly sources?: readonly SourceFile[];
}

/**
 * Fetches one package of a Debian suite and unpacks it, without touching the system: apt's lists,
 * caches and sources are private to `workDir`, nothing is installed, and no right but that of
 * writing there is needed. Returns the folder with the package's files.
 */
export async function downloadPackage(options: DownloadPackageOptions): Promise<string> {
  const machine = options.sources ?? (await readMachineSources());
  const sources = deriveSources(machine, options.suite);
  if (sources.length === 0) {
    throw new Error("this machine's apt configuration names no Debian archive");
  }
  try {
    return await downloadFrom(sources, options.packageName, join(options.workDir, "apt"));
  } catch (error) {
    if (!isUnverified(error)) throw error;
    // A suite newer than the machine may be signed with keys that its keyring does not hold yet.
    // The machine's own suite, which it can verify, carries the keyring with the newer keys, so
    // the chain of trust holds and no unsigned file is ever accepted.
    const own = deriveSources(machine, undefined);
    const files = await downloadFrom(own, KEYRING_PACKAGE, join(options.workDir, "keyring"));
    const trusted = withKeyring(sources, join(files, KEYRING_PATH));
    return await downloadFrom(trusted, options.packageName, join(options.workDir, "apt-trusted"));
  }
}

async function readMachineSources(): Promise<readonly SourceFile[]> {
  const files: SourceFile[] = [];
  for (const path of MACHINE_SOURCES) {
    for (const file of await listFiles(path)) {
      // apt itself ignores every other extension, disabled entries among them.
      if (![".list", ".sources"].includes(extname(file))) continue;
      files.push({ name: basename(file), text: await readFile(file, "utf8") });
    }
  }
  return files;
}

async function listFiles(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort().map((name) => join(path, name));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOTDIR") return [path];
    if (code === "ENOENT") return [];
    throw error;
  }
}

async function downloadFrom(
  sources: readonly SourceFile[],
  packageName: string,
  dir: string,
): Promise<string> {
  const config = await writeAptConfig(sources, dir);
  const archives = join(dir, "archives");
  const files = join(dir, "files");
  await mkdir(archives, { recursive: true });
  // One source that lacks the suite fails the whole update although the lists of the others
  // arrived, so only the download decides; the update's complaint explains why it failed.
  const complaint = await runApt(config, ["update"], dir).then(
    (output) => output,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  try {
    await runApt(config, ["download", packageName], archives);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${complaint}`.trim(), { cause: error });
  }
  const archive = (await readdir(archives)).find((name) => name.endsWith(".deb"));
  if (archive === undefined) throw new Error(`apt-get download ${packageName} left no file`);
  await mkdir(files, { recursive: true });
  await run("dpkg", ["-x", join(archives, archive), files], { timeout: COMMAND_TIMEOUT_MS });
  return files;
}

async function writeAptConfig(sources: readonly SourceFile[], dir: string): Promise<string> {
  const parts = join(dir, "sources.d");
  const state = join(dir, "state");
  const cache = join(dir, "cache");
  for (const path of [parts, join(state, "lists", "partial"), join(cache, "archives", "partial")]) {
    await mkdir(path, { recursive: true });
  }
  for (const source of sources) await writeFile(join(parts, source.name), source.text);
  await writeFile(join(state, "status"), "");
  const config = join(dir, "apt.conf");
  // The machine's own apt configuration is read before this file, so its proxies, certificates
  // and credentials hold; its hooks are cleared because they would write outside `dir`.
  const lines = [
    "#clear APT::Update::Pre-Invoke;",
    "#clear APT::Update::Post-Invoke;",
    "#clear APT::Update::Post-Invoke-Success;",
    `Dir::State "${state}";`,
    `Dir::Cache "${cache}";`,
    `Dir::Cache::archives "archives";`,
    `Dir::Etc::sourcelist "/dev/null";`,
    `Dir::Etc::sourceparts "${parts}";`,
    // Neither what is installed nor the machine's pins may decide which version is fetched.
    `Dir::State::status "${join(state, "status")}";`,
    `Dir::Etc::preferences "/dev/null";`,
    `Dir::Etc::preferencesparts "/dev/null";`,
    // apt run by root would fetch as the user _apt, who may not enter this folder.
    `APT::Sandbox::User "root";`,
    `Acquire::Languages "none";`,
    `Acquire::PDiffs "false";`,
    `Acquire::Retries "3";`,
  ];
  await writeFile(config, `${lines.join("\n")}\n`);
  return config;
}

async function runApt(config: string, args: readonly string[], cwd: string): Promise<string> {
  const { stderr } = await run("apt-get", ["-q", "-c", config, ...args], {
    cwd,
    timeout: COMMAND_TIMEOUT_MS,
    // Messages are searched for words, so they must not be translated.
    env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
    maxBuffer: 16 * 1024 * 1024,
  });
  return stderr;
}

function isUnverified(error: unknown): boolean {
  return (
    error instanceof Error &&
    /NO_PUBKEY|not signed|couldn't be verified|EXPKEYSIG/.test(error.message)
  );
}
