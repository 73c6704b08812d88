import { expect, it } from "vitest";
import { compareVersions, serverFeatures } from "../src/server-version.ts";

it("compares versions by number", () => {
  expect(compareVersions("2.9.10", "2.10.0")).toBeLessThan(0);
  expect(compareVersions("2.10.27-RC.1", "2.10.27")).toBe(0);
  expect(compareVersions("3.0.0", "2.99.99")).toBeGreaterThan(0);
});

it("tells features by version", () => {
  expect(serverFeatures("2.9.10")).toMatchObject({ v2_10: false, messageTtl: false });
  expect(serverFeatures("2.10.27")).toMatchObject({ v2_10: true, messageTtl: false });
  expect(serverFeatures("2.11.0")).toMatchObject({ v2_10: true, messageTtl: true });
  expect(serverFeatures("2.15.1-beta")).toMatchObject({ consumerDefaultLimit: true });
  expect(serverFeatures("")).toMatchObject({ v2_10: false });
});
