import { readFile } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type BusConfig, newId, openBus } from "@busbar/core";
import type { Harness, HarnessFactory } from "./case.ts";

/** The export of a module by which it brings a harness of its own: faults, time, clean-up. */
export const HARNESS_EXPORT = "conformanceHarness";

/**
 * A harness for any bus that `openBus` can open. It has no faults and no virtual time, and it leaves
 * the namespaces on the server. `bus` is a URL (`memory:`, `nats://host:4222`), a package, a file
 * with a backend, or a JSON file with a configuration. A package or file that exports
 * `conformanceHarness` (a {@link HarnessFactory}) is asked for its own harness instead.
 *
 * @throws RangeError if it is none of these
 */
export async function busHarness(bus: string): Promise<HarnessFactory> {
  if (bus === "") throw new RangeError("the bus must be a URL, a package or a file");
  if (/^(?:memory|nats|tls):/i.test(bus)) return genericHarness(bus, urlConfig(bus));
  const isFile = /^(?:\.{0,2}\/|file:)/.test(bus);
  if (isFile && extname(bus) === ".json") {
    const config = JSON.parse(await readFile(bus, "utf8")) as BusConfig;
    return genericHarness(bus, (own) => ({ ...config, ...own }));
  }
  const specifier = isFile && !bus.startsWith("file:") ? pathToFileURL(resolve(bus)).href : bus;
  const module = (await import(specifier)) as Readonly<Record<string, unknown>>;
  const own = module[HARNESS_EXPORT];
  if (typeof own === "function") return own as HarnessFactory;
  return genericHarness(bus, (options) => ({ ...options, backend: specifier }) as BusConfig);
}

type OpenOptions = Parameters<Harness["open"]>[0];

function genericHarness(
  name: string,
  configOf: (options: OpenOptions) => BusConfig | string,
): HarnessFactory {
  return async () => ({
    // What stands before the @ of a URL is a secret.
    name: name.replace(/\/\/[^@/]*@/, "//"),
    open: (options) => openBus(configOf(options)),
    elsewhere: (namespace) => configOf({ namespace }),
    close: () => Promise.resolve(),
  });
}

function urlConfig(url: string): (options: OpenOptions) => string {
  // Without a name every bus would have a simulated server of its own.
  const shared = /^memory:(?:\/\/)?(?=\?|$)/i.test(url)
    ? url.replace(/^memory:(?:\/\/)?/i, `memory://conformance-${newId(undefined, 8)}`)
    : url;
  return ({ namespace, dedupWindowMs }) => {
    const [base = "", query = ""] = shared.split("?", 2);
    const parameters = new URLSearchParams(query);
    parameters.set("namespace", namespace);
    if (dedupWindowMs !== undefined) parameters.set("dedupWindowMs", String(dedupWindowMs));
    return `${base}?${parameters.toString()}`;
  };
}
