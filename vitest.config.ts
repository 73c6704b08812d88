import { defineConfig } from "vitest/config";

export default defineConfig({
  // Tests run the sources of every workspace package through its private export condition: no build in between.
  ssr: {
    resolve: { conditions: ["@busbar/source", "module", "node", "development|production"] },
  },
  test: {
    include: ["**/test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/.cache/**"],
    pool: "forks",
    // The default is one less than there are cores. Many tests wait for servers and clocks.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    // Servers and clients started in the tests' own processes must see the same sources as the tests.
    execArgv: ["--conditions=@busbar/source"],
  },
});
