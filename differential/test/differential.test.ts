import { randomInt } from "node:crypto";
import { findNatsServer } from "@busbar/scripts";
import { describe, expect, it } from "vitest";
import { Differential } from "../src/differential.ts";
import { NatsHost } from "../src/nats-world.ts";
import { UNIT_MS } from "./support/worlds.ts";

const SCRIPTS = 12;

describe("Differential", () => {
  it("finds no difference on a server that no rule explains", { timeout: 180_000 }, async () => {
    const seed = randomInt(0x1_0000_0000);
    const binary = await findNatsServer();
    const host = await NatsHost.start({ binary });
    const lines = [`nats-server ${binary.version}, seed ${seed}`];
    console.log(lines[0]);
    try {
      const report = await new Differential({
        host,
        seed,
        scripts: SCRIPTS,
        concurrency: SCRIPTS,
        unitMs: UNIT_MS,
        shrink: true,
        progress: (line) => lines.push(line),
      }).run();
      expect(report.unexplained, lines.join("\n")).toBe(0);
      expect(report).toMatchObject({ seed, scripts: SCRIPTS });
      expect(report.steps).toBeGreaterThan(SCRIPTS * 20);
    } finally {
      await host.close();
    }
  });
});
