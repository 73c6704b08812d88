import { describe, expect, it } from "vitest";
import { z } from "zod";
import { parseBuiltInConfig } from "../src/config.ts";
import { invalidConfig } from "../src/adapter.ts";
import { BusError, VirtualClock } from "../src/index.ts";

function refused(config: unknown): BusError {
  try {
    parseBuiltInConfig(config);
  } catch (error) {
    if (error instanceof BusError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

describe("parseBuiltInConfig", () => {
  it("fills in the defaults", () => {
    expect(parseBuiltInConfig({ backend: "memory" })).toEqual({
      backend: "memory",
      namespace: "default",
      dedupWindowMs: 120_000,
      maxPayloadBytes: 1_048_576,
    });
    expect(parseBuiltInConfig({ backend: "nats", servers: "h:1", tls: true })).toMatchObject({
      servers: ["h:1"],
      tls: { handshakeFirst: false },
      clientName: "busbar",
      replicas: 1,
      storage: "file",
      maxAgeMs: 0,
      maxBytes: -1,
      reconnectWaitMs: 250,
      update: false,
    });
    expect(parseBuiltInConfig({ backend: "nats" })).toMatchObject({
      servers: ["nats://127.0.0.1:4222"],
    });
  });

  it("keeps objects as they are", () => {
    const clock = new VirtualClock();
    const server = {};
    const config = parseBuiltInConfig({ backend: "memory", clock, server });
    expect(config.clock).toBe(clock);
    expect(Reflect.get(config, "server")).toBe(server);
  });

  const nats = (options: object) => ({ backend: "nats", ...options });
  const memory = (options: object) => ({ backend: "memory", ...options });

  // field, what it got, what it may be
  it.each<[string, string, RegExp, object]>([
    ["namespace", '"a.b"', /letters, digits and '-' only/, memory({ namespace: "a.b" })],
    ["namespace", '"a{64}"', /<=64/, memory({ namespace: "a".repeat(65) })],
    ["namespace", "a function", /expected string/, memory({ namespace: () => "source" })],
    ["dedupWindowMs", "99", />=100/, memory({ dedupWindowMs: 99 })],
    ["clock", "5", /a Clock/, memory({ clock: 5 })],
    ["server", "null", /a MemoryServer/, memory({ server: null })],
    ["name", '"a b"', /letters, digits, '_' and '-' only/, memory({ name: "a b" })],
    ["maxPayloadBytes", "0", />=1/, memory({ maxPayloadBytes: 0 })],
    ["replicas", "hidden", /no such option; allowed: .*maxPayloadBytes/, memory({ replicas: 3 })],
    ["servers", "5", /nats:\/\/host:port, or a list/, nats({ servers: 5 })],
    ["servers", "an array", />=1/, nats({ servers: [] })],
    ["servers.1", '"b c"', /nats:\/\/host:port/, nats({ servers: ["a", "b c"] })],
    ["replicas", "6", /<=5/, nats({ replicas: 6 })],
    ["replicas", '"many"', /expected number/, nats({ replicas: "many" })],
    ["replicas", "1.5", /int/, nats({ replicas: 1.5 })],
    ["storage", '"disk"', /"file"\|"memory"/, nats({ storage: "disk" })],
    ["tls", "false", /true, or an object of caFile/, nats({ tls: false })],
    ["tls.ca", "hidden", /no such option; allowed: caFile, certFile/, nats({ tls: { ca: "x" } })],
    ["auth", "hidden", /one of { user, password }, { token }/, nats({ auth: "s3cret" })],
    ["auth", "hidden", /one of/, nats({ auth: { user: "u", pasword: "s3cret" } })],
    ["auth.user", "hidden", /allowed: token/, nats({ auth: { token: "s3cret", user: "s3cret" } })],
    ["auth.nkeySeed", "hidden", /begins with SU/, nats({ auth: { nkeySeed: "SAs3cret" } })],
    ["servers", '"...@h/x"', /host:port/, nats({ servers: "nats://u:s3cret@h/x" })],
    ["servers.0", '"...@h/x"', /host:port/, nats({ servers: ["nats://u:s3cret@h/x"] })],
    ["pasword", "hidden", /no such option/, nats({ pasword: "s3cret" })],
    ["connection", "a function", /NatsConnection/, nats({ connection: () => "source" })],
    ["stream.name", '"a b"', /without white space/, nats({ stream: { name: "a b" } })],
    ["stream.x", "hidden", /allowed: name, subjectPrefix/, nats({ stream: { name: "a", x: 1 } })],
    ["update", "1", /expected boolean/, nats({ update: 1 })],
    ["connectTimeoutMs", "1", />=100/, nats({ connectTimeoutMs: 1 })],
    ["backend", '"redis"', /"memory"|discriminator/, { backend: "redis" }],
  ])("%s (%s): %s", (field, got, allowed, config) => {
    const error = refused(config);
    expect(error.code).toBe("INVALID_CONFIG");
    const issues = error.details["issues"] as { field: string; got: string; problem: string }[];
    const issue = issues.find((one) => one.field === field);
    expect(issue, JSON.stringify(issues)).toBeDefined();
    expect(issue!.got).toMatch(new RegExp(`^${got.replace(/[.]/g, "\\.")}$`));
    expect(issue!.problem).toMatch(allowed);
    expect(error.message).toContain(`${field} (${issue!.got}): ${issue!.problem}`);
    expect(JSON.stringify([error.message, error.details])).not.toMatch(/s3cret|source/);
    expect(error.cause).toBeUndefined();
  });

  it("names every field that is wrong", () => {
    const issues = refused({ backend: "nats", replicas: 9, storage: "disk", a: 1, b: 2 }).details[
      "issues"
    ] as { field: string }[];
    expect(issues.map(({ field }) => field).sort()).toEqual(["a", "b", "replicas", "storage"]);
  });
});

describe("invalidConfig", () => {
  it("takes the issues of any Standard Schema", () => {
    const issues = [{ message: "too long", path: [{ key: "list" }, 0] }, { message: "all wrong" }];
    expect(invalidConfig(issues, { list: ["x"] })).toMatchObject({
      code: "INVALID_CONFIG",
      message: 'bus configuration: list.0 ("x"): too long; config (an object): all wrong',
    });
  });

  it("serves a backend of one's own", () => {
    const result = z.strictObject({ backend: z.string(), port: z.int() }).safeParse({
      backend: "x/y",
      prt: 5,
    });
    expect(invalidConfig(result.error!.issues, { backend: "x/y", prt: 5 }).message).toMatch(
      /port \(undefined\): .*; prt \(hidden\): /,
    );
  });
});
