import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const sources = fileURLToPath(new URL("../src", import.meta.url));

describe("core outside of Node", () => {
  it("imports nothing but its own files and zod, and names nothing that only Node has", async () => {
    const files = (await readdir(sources, { recursive: true })).filter((name) =>
      name.endsWith(".ts"),
    );
    expect(files.length).toBeGreaterThan(30);
    for (const file of files) {
      const text = await readFile(`${sources}/${file}`, "utf8");
      const code = text.replace(/\/\*[^]*?\*\/|\/\/.*|`[^`]*`/g, "");
      for (const [, specifier] of code.matchAll(/\bfrom\s+"([^"]+)"|\bimport\s+"[^"]+"/g)) {
        expect(specifier, file).toMatch(/^(?:zod|\.\.?\/[\w./-]+\.ts)$/);
      }
      expect(code, file).not.toMatch(/\b(?:Buffer|require|__dirname|__filename|NodeJS)\b/);
    }
  });

  it("runs where there are only the web's globals", async () => {
    // A process of its own, because the globals are taken away before core is loaded.
    const program = `
      for (const name of ["process", "Buffer", "setImmediate", "clearImmediate", "global"]) {
        Reflect.deleteProperty(globalThis, name);
      }
      const core = await import(${JSON.stringify(`file://${sources}/index.ts`)});
      await import(${JSON.stringify(`file://${sources}/adapter.ts`)});
      const clock = new core.VirtualClock();
      await clock.autoAdvance(clock.sleep(60_000));
      await core.systemClock.sleep(1);
      core.systemClock.setTimer(() => undefined, 60_000, { keepAlive: false });
      const value = core.jsonCodec.decode(core.jsonCodec.encode({ at: clock.monotonic() }));
      const failure = await core.openBus({ backend: "redis" }).catch((error) => error.code);
      console.log(JSON.stringify([value, core.newId().length, failure, typeof process]));
    `;
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--no-warnings",
      "--experimental-strip-types",
      "--input-type=module",
      "--eval",
      program,
    ]);
    expect(JSON.parse(stdout)).toEqual([{ at: 60_000 }, 22, "INVALID_CONFIG", "undefined"]);
  });
});
