import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findNatsServer } from "../src/index.ts";

describe("findNatsServer", () => {
  let dir: string;
  let empty: { readonly cacheDir: string; readonly fetch: false };

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "busbar-find-"));
    empty = { cacheDir: join(dir, "no-cache"), fetch: false };
  });
  afterEach(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  /** A program that answers --version the way nats-server does. */
  async function fake(folder: string, version: string): Promise<string> {
    const path = join(dir, folder, "nats-server");
    await mkdir(join(dir, folder), { recursive: true });
    await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
    await chmod(path, 0o755);
    return path;
  }

  it("takes NATS_SERVER_BIN before the PATH", async () => {
    const named = await fake("named", "2.10.1");
    await fake("path", "2.15.1");
    const env = { NATS_SERVER_BIN: named, PATH: join(dir, "path") };
    expect(await findNatsServer({ ...empty, env })).toEqual({ path: named, version: "2.10.1" });
  });

  it("passes over binaries of another generation than the one asked for", async () => {
    const named = await fake("named", "2.10.1");
    const onPath = await fake("path", "2.9.10");
    const env = { NATS_SERVER_BIN: named, PATH: `${join(dir, "none")}:${join(dir, "path")}` };
    const found = await findNatsServer({ ...empty, env, version: "2.9" });
    expect(found).toEqual({ path: onPath, version: "2.9.10" });
  });

  it("counts versions after 2.15 as the newest generation", async () => {
    const path = await fake("path", "2.16.0");
    const env = { PATH: join(dir, "path") };
    expect(await findNatsServer({ ...empty, env, version: "2.15" })).toMatchObject({ path });
    await expect(findNatsServer({ ...empty, env, version: "2.10" })).rejects.toThrow("2.16.0");
  });

  it("prefers the newest generation of the cache", async () => {
    await fake("cache/2.9", "2.9.10");
    const path = await fake("cache/2.10", "2.10.27");
    const options = { cacheDir: join(dir, "cache"), env: {}, fetch: false };
    expect(await findNatsServer(options)).toEqual({ path, version: "2.10.27" });
    expect(await findNatsServer({ ...options, version: "2.9" })).toMatchObject({
      version: "2.9.10",
    });
  });

  it("refuses a NATS_SERVER_BIN that does not run", async () => {
    const env = { NATS_SERVER_BIN: join(dir, "missing") };
    await expect(findNatsServer({ ...empty, env })).rejects.toThrow(/NATS_SERVER_BIN is .*missing/);
  });

  it("says what it tried and how to get a server", async () => {
    const error: unknown = await findNatsServer({ ...empty, env: {} }).catch((e: unknown) => e);
    expect(String(error)).toMatch(/no nats-server found[^]*not set[^]*PATH[^]*no-cache[^]*apt-get/);
  });
});
