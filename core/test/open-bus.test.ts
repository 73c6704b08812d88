import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { MemoryServer } from "@busbar/bus-memory";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type BusConfig, BusError, openBus, VirtualClock } from "../src/index.ts";

const adapter = new URL("../src/adapter.ts", import.meta.url).href;

/** Modules as third parties would write them; what they open only shows what it was opened with. */
const MODULES: Readonly<Record<string, string>> = {
  own: `
    import { invalidConfig } from ${JSON.stringify(adapter)};
    export const busBackend = {
      name: "own",
      parseConfig(config) {
        if (typeof config.port === "number") return { port: config.port };
        throw invalidConfig([{ path: ["port"], message: "must be a number" }], config);
      },
      open: async (config) => ({ opened: config }),
    };`,
  plain: `export const busBackend = { name: "plain", open: async (config) => ({ opened: config }) };`,
  none: "export const something = 5;",
  broken: `throw new Error("this module cannot be loaded");`,
};

let folder = "";

function own(name: string): `file:${string}` {
  return pathToFileURL(join(folder, `${name}.mjs`)).href as `file:${string}`;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "busbar-backends-"));
  for (const [name, text] of Object.entries(MODULES)) {
    await writeFile(join(folder, `${name}.mjs`), text);
  }
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function refused(config: unknown): Promise<BusError> {
  try {
    await openBus(config as BusConfig);
  } catch (error) {
    if (error instanceof BusError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("openBus", () => {
  it("opens a bus in memory from an object, a URL or nothing", async () => {
    vi.stubEnv("BUSBAR_URL", undefined);
    for (const config of [undefined, "memory:", { backend: "memory" } as const]) {
      await using bus = await openBus(config);
      expect(bus.capabilities).toMatchObject({ backend: "memory", maxPayloadBytes: 1_048_576 });
      const [first] = [await bus.pubsub.publish("a", "x")];
      expect(first.duplicate).toBe(false);
    }
  });

  it("takes the options of a URL", async () => {
    await using bus = await openBus("memory:?maxPayloadBytes=5&dedupWindowMs=1000");
    expect(bus.capabilities).toMatchObject({ maxPayloadBytes: 5, dedupWindowMs: 1_000 });
  });

  it("takes objects that no URL can carry", async () => {
    const clock = new VirtualClock();
    const server = new MemoryServer({ clock });
    await using other = await openBus({ backend: "memory", server });
    const bus = await openBus({ backend: "memory", server, clock });
    await other.kv.put("b", "k", "shared");
    expect(await bus.kv.get("b", "k")).toMatchObject({ key: "k" });
    const claim = bus.jobs.claim("q", { workerId: "w", waitMs: 60_000 });
    expect(await clock.autoAdvance(claim)).toEqual([]);
    expect(clock.monotonic()).toBe(60_000);
    await clock.autoAdvance(bus.close());
    expect(clock.pendingTimers).toBe(0);
  });

  it("opens a second one without a turn of the event loop, so that virtual time stands still", async () => {
    await using first = await openBus("memory:");
    const clock = new VirtualClock();
    clock.setTimer(() => undefined, 60_000);
    const work = async (): Promise<number> => {
      await using _second = await openBus({ backend: "memory", clock });
      return clock.monotonic();
    };
    expect(await clock.autoAdvance(work())).toBe(0);
    expect(first.capabilities.backend).toBe("memory");
  });

  it("takes the URL of the environment if there is nothing else", async () => {
    vi.stubEnv("BUSBAR_URL", "memory:?maxPayloadBytes=7");
    await using bus = await openBus();
    expect(bus.capabilities.maxPayloadBytes).toBe(7);
    await using other = await openBus("memory:");
    expect(other.capabilities.maxPayloadBytes).toBe(1_048_576);
    vi.stubEnv("BUSBAR_URL", "");
    await using third = await openBus();
    expect(third.capabilities.backend).toBe("memory");
    vi.stubEnv("BUSBAR_URL", "redis://user:s3cret@h");
    const error = await refused(undefined);
    expect(error).toMatchObject({ code: "INVALID_CONFIG" });
    expect(error.message).not.toContain("s3cret");
  });

  it("checks a configuration before it loads anything", async () => {
    expect(await refused({ backend: "nats", replicas: 9 })).toMatchObject({
      code: "INVALID_CONFIG",
      message: expect.stringMatching(/replicas \(9\): .*<=5/),
    });
    expect(await refused("nats://u:s3cret@h?replicas=9")).toMatchObject({
      message: expect.not.stringContaining("s3cret"),
    });
  });

  it.each([
    ["a number", 5],
    ["null inside", { backend: null }],
    ["no backend", {}],
    ["an empty name", { backend: "" }],
    ["an unknown name", { backend: "redis" }],
    ["a name from a prototype", { backend: "constructor" }],
    ["another name from a prototype", { backend: "__proto__" }],
  ])("refuses %s and says what may be there", async (_what, config) => {
    const error = await refused(config);
    expect(error.code).toBe("INVALID_CONFIG");
    expect(error.message).toMatch(/must be (?:memory, nats|an object, a URL or nothing)/);
  });
});

describe("openBus with a backend of a third party", () => {
  it("loads it from a package", async () => {
    const config = { namespace: "n", dedupWindowMs: 1_000, maxPayloadBytes: 9 };
    await using bus = await openBus({ backend: "@busbar/bus-memory", ...config });
    expect(bus.capabilities.maxPayloadBytes).toBe(9);
  });

  it("loads it from a file and lets it check its configuration", async () => {
    const bus = await openBus({ backend: own("own"), port: 5, more: 1 });
    expect(bus).toEqual({ opened: { port: 5 } });
    expect(await refused({ backend: own("own"), port: "x" })).toMatchObject({
      code: "INVALID_CONFIG",
      message: 'bus configuration: port ("x"): must be a number',
    });
  });

  it("gives it the configuration as it is where it does not check", async () => {
    const config = { backend: own("plain"), port: 5 };
    expect(await openBus(config)).toEqual({ opened: config });
  });

  it.each([
    ["busbar-that-nobody-wrote", "install it"],
    ["@busbar-nobody/nothing", "install it"],
    ["missing", "cannot be loaded"],
    ["broken", "cannot be loaded"],
    ["none", "has no export busBackend"],
  ])("refuses %s: %s", async (name, problem) => {
    const backend = /[/-]/.test(name) ? name : own(name);
    const error = await refused({ backend, password: "s3cret" });
    expect(error).toMatchObject({
      code: "INVALID_CONFIG",
      message: expect.stringContaining(problem),
      details: { issues: [{ field: "backend", got: backend }] },
    });
    expect(error.message).not.toContain("s3cret");
  });

  it("passes on why a module could not be loaded", async () => {
    const { cause } = await refused({ backend: own("broken") });
    expect(String(cause)).toContain("this module cannot be loaded");
  });
});
