import { describe, expect, it } from "vitest";
import { configFromUrl } from "../src/config-url.ts";
import { BusError } from "../src/index.ts";

function refused(url: string): BusError {
  try {
    configFromUrl(url);
  } catch (error) {
    if (error instanceof BusError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

describe("configFromUrl", () => {
  it.each<[string, object]>([
    ["memory:", { backend: "memory" }],
    ["memory://", { backend: "memory" }],
    ["memory://shared", { backend: "memory", name: "shared" }],
    ["MEMORY:?namespace=a", { backend: "memory", namespace: "a" }],
    ["nats:", { backend: "nats" }],
    ["nats://h", { backend: "nats", servers: ["nats://h"] }],
    ["nats://h:4222/", { backend: "nats", servers: ["nats://h:4222"] }],
    ["nats://[::1]:4222", { backend: "nats", servers: ["nats://[::1]:4222"] }],
    ["nats://a:1,b:2", { backend: "nats", servers: ["nats://a:1", "nats://b:2"] }],
    ["tls://h", { backend: "nats", servers: ["nats://h"], tls: true }],
    ["nats://t0k3n@h", { backend: "nats", servers: ["nats://h"], auth: { token: "t0k3n" } }],
    [
      "nats://u:p@h",
      { backend: "nats", servers: ["nats://h"], auth: { user: "u", password: "p" } },
    ],
    [
      "nats://u%3A:p%40%2F%3F:x@y@h",
      { backend: "nats", servers: ["nats://h"], auth: { user: "u:", password: "p@/?:x@y" } },
    ],
    ["nats://u:@h", { backend: "nats", servers: ["nats://h"], auth: { user: "u", password: "" } }],
    [
      "nats://h?replicas=3&storage=memory&update=true&maxBytes=-1&clientName=a%20b",
      {
        backend: "nats",
        servers: ["nats://h"],
        replicas: 3,
        storage: "memory",
        update: true,
        maxBytes: -1,
        clientName: "a b",
      },
    ],
    // What is not right is left to the schema, which names the field and shows it.
    ["nats:?replicas=many", { backend: "nats", replicas: "many" }],
    ["nats:?replicas=", { backend: "nats", replicas: "" }],
    ["nats:?update=yes", { backend: "nats", update: "yes" }],
  ])("%s", (url, config) => {
    expect(configFromUrl(url)).toEqual(config);
  });

  it.each(["", "memory", "//h", "nats//h", ":", "nats://h/path", "nats://h#x", "nats:x"])(
    "refuses %j and says what a URL looks like",
    (url) => {
      expect(refused(url)).toMatchObject({
        code: "INVALID_CONFIG",
        message: expect.stringContaining("memory: or nats://host:4222?namespace=app"),
        details: { issues: [{ field: "url" }] },
      });
    },
  );

  it("names a scheme or an option that it does not know, and those there are", () => {
    expect(refused("redis://h").message).toContain(
      'scheme "redis" is not one of memory, nats, tls',
    );
    expect(refused("nats://h?replica=3")).toMatchObject({
      message: expect.stringMatching(
        /replica is not an option of a URL; allowed: namespace, .*replicas/,
      ),
      details: { issues: [{ field: "replica" }] },
    });
  });

  it.each([
    "nats://u:s3cret/x@h",
    "nats://u:a?s3cret@h",
    "nats://u:a?s3cret=b@h",
    "nats://u:s3cret#x@h",
    "nats://u:s3cret%zz@h",
    "nats://s3cret%zz@h",
    "nats://u:s3cret@h/path",
    "nats://u:s3cret@h?what=1",
  ])("does not show the secret of %s", (url) => {
    const { message, details, cause } = refused(url);
    expect(JSON.stringify([message, details, String(cause)])).not.toContain("s3cret");
  });
});
