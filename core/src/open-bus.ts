import type { Bus } from "./bus.ts";
import { type BusBackend, type BusConfig, invalidConfig, parseBuiltInConfig } from "./config.ts";
import { configFromUrl } from "./config-url.ts";
import { BusError, isBusError } from "./errors.ts";

const BUILT_IN: Readonly<Record<string, string>> = {
  memory: "@busbar/bus-memory",
  nats: "@busbar/bus-nats",
};

/**
 * Opens a bus: from a configuration object, from a URL, or, with nothing, from the environment
 * variable `BUSBAR_URL`, else in memory. A `backend` that is not built in is imported as a package,
 * whose export `busBackend` is used.
 *
 * @example
 * await using bus = await openBus("nats://127.0.0.1:4222?namespace=shop");
 *
 * @throws {@link BusError} `INVALID_CONFIG` naming the field, what it got and what it may be;
 *   `DISCONNECTED` if the server cannot be reached in time, `PERMISSION_DENIED` if it refuses the
 *   credentials, `UNSUPPORTED` if it has no JetStream
 */
export async function openBus(config?: BusConfig | string): Promise<Bus> {
  const given = config ?? environmentUrl() ?? "memory:";
  const object: unknown = typeof given === "string" ? configFromUrl(given) : given;
  if (typeof object !== "object" || object === null) {
    throw invalidConfig([{ message: "must be an object, a URL or nothing" }], object);
  }
  const name: unknown = Reflect.get(object, "backend");
  if (typeof name !== "string" || name === "") {
    throw invalidConfig(
      [{ path: ["backend"], message: "must be memory, nats or a package" }],
      object,
    );
  }
  const builtIn = Object.hasOwn(BUILT_IN, name) ? BUILT_IN[name] : undefined;
  if (builtIn !== undefined) {
    const parsed = parseBuiltInConfig(object);
    return (await load(builtIn, name)).open(parsed as never);
  }
  if (!/[/:]|^busbar-/.test(name)) {
    const message = "must be memory, nats, or the name of a package (@scope/name, busbar-name)";
    throw invalidConfig([{ path: ["backend"], message }], object);
  }
  const backend = await load(name, name);
  return backend.open(
    (backend.parseConfig?.(object as Record<string, unknown>) ?? object) as never,
  );
}

// An import that was made before takes turns of the event loop all the same; on a virtual clock time
// would go on meanwhile.
const loaded = new Map<string, BusBackend>();

async function load(specifier: string, name: string): Promise<BusBackend> {
  const known = loaded.get(specifier);
  if (known !== undefined) return known;
  let module: unknown;
  try {
    module = await import(specifier);
  } catch (cause) {
    if (isBusError(cause)) throw cause;
    throw new BusError(
      "INVALID_CONFIG",
      `bus configuration: backend (${JSON.stringify(name)}): package ${specifier} cannot be loaded; install it`,
      {
        cause,
        details: { issues: [{ field: "backend", got: name, problem: "cannot be loaded" }] },
      },
    );
  }
  const backend: unknown = Reflect.get(module as object, "busBackend");
  if (typeof backend !== "object" || backend === null || !("open" in backend)) {
    throw new BusError(
      "INVALID_CONFIG",
      `bus configuration: backend (${JSON.stringify(name)}): package ${specifier} has no export busBackend`,
      { details: { issues: [{ field: "backend", got: name, problem: "no export busBackend" }] } },
    );
  }
  loaded.set(specifier, backend as BusBackend);
  return backend as BusBackend;
}

function environmentUrl(): string | undefined {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return process?.env?.["BUSBAR_URL"] || undefined;
}
