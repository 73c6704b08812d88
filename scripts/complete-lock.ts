import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Adds the binaries of other platforms to package-lock.json where npm left them out. It does so when
 * the registry at hand does not carry them, and `npm ci` then refuses its own lock file on every
 * machine. An entry made here has no integrity: npm fills it in where it installs that binary.
 */
interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const OS = [
  "aix",
  "android",
  "darwin",
  "freebsd",
  "linux",
  "netbsd",
  "openbsd",
  "openharmony",
  "sunos",
  "win32",
];
const CPU = [
  "arm",
  "arm64",
  "ia32",
  "loong64",
  "mips64el",
  "ppc64",
  "riscv64",
  "s390x",
  "wasm32",
  "x64",
];
const LIBC: Readonly<Record<string, string>> = {
  gnu: "glibc",
  gnueabihf: "glibc",
  musl: "musl",
  musleabihf: "musl",
};

/** What npm reads from the package's own manifest, read from the words of its name instead. */
function platformOf(name: string): Record<string, readonly string[]> | undefined {
  const words = name.split(/[/-]/);
  const os = words.find((word) => OS.includes(word));
  const cpu = words.find((word) => CPU.includes(word));
  const libc = words.map((word) => LIBC[word]).find((word) => word !== undefined);
  if (os === undefined || cpu === undefined) return undefined;
  return { cpu: [cpu], os: [os], ...(os === "linux" && libc !== undefined && { libc: [libc] }) };
}

/** In the order in which npm writes names, so that its next run changes nothing. */
function sorted<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => a.localeCompare(b, "en")));
}

const path = fileURLToPath(new URL("../package-lock.json", import.meta.url));
const lock = JSON.parse(readFileSync(path, "utf8")) as { packages: Record<string, LockedPackage> };
const added: string[] = [];
for (const [parentPath, parent] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    const platform = platformOf(name);
    const known = lock.packages[key] ?? lock.packages[`${parentPath}/${key}`];
    if (platform === undefined || known !== undefined || !/^\d/.test(version)) continue;
    const flags = { ...(parent.dev === true && { dev: true }), optional: true };
    lock.packages[key] = { version, ...sorted({ ...flags, ...platform }) };
    added.push(`${name}@${version}`);
  }
}
lock.packages = sorted(lock.packages);
writeFileSync(path, `${JSON.stringify(lock, undefined, 2)}\n`);
console.log(added.length === 0 ? "complete" : `added ${added.join(", ")}`);
