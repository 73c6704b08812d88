import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { formatJson, reportSchema, runConformance } from "@busbar/conformance-tests";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { beforeAll, describe, expect, it } from "vitest";
import { virtualMemoryHarness } from "../support/memory-harness.ts";
import { sampleReport } from "../support/sample-report.ts";

const SCHEMA = fileURLToPath(import.meta.resolve("@busbar/conformance-tests/report.schema.json"));

describe("report.schema.json", () => {
  let schema = "";
  let validate: ValidateFunction;
  beforeAll(async () => {
    schema = await readFile(SCHEMA, "utf8");
    validate = new Ajv2020({ allErrors: true }).compile(JSON.parse(schema) as object);
  });

  it("holds for a real report of every kind of result, and knows each of its fields", async () => {
    const memory = await runConformance(virtualMemoryHarness, {
      level: "L0",
      seed: 1,
    });
    const closed = schema.replaceAll('"additionalProperties": {}', '"additionalProperties": false');
    const strict = new Ajv2020({ allErrors: true }).compile(JSON.parse(closed) as object);
    for (const report of [memory, await sampleReport()]) {
      const read = JSON.parse(formatJson(report)) as object;
      strict(read);
      expect(strict.errors ?? []).toEqual([]);
      expect(reportSchema.parse(read)).toEqual(read);
    }
  });

  it("leaves fields alone that a newer suite adds", async () => {
    const report = { ...(await sampleReport()), weather: "fine" };
    expect(validate(report)).toBe(true);
    expect(reportSchema.parse(report)).toHaveProperty("weather");
  });

  it.each([
    ["no version", { schemaVersion: undefined }],
    ["another version", { schemaVersion: 2 }],
    ["a negative count", { failed: -1 }],
    ["an unknown level", { level: "L9" }],
    ["cases that are none", { cases: [{ id: "X-001" }] }],
    ["no capabilities", { capabilities: null }],
  ])("refuses %s", async (_what, change) => {
    const report = JSON.parse(JSON.stringify({ ...(await sampleReport()), ...change })) as object;
    expect(validate(report)).toBe(false);
    expect(reportSchema.safeParse(report).success).toBe(false);
  });
});
