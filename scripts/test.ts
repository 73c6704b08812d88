import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { findNatsServer } from "./src/index.ts";

// Looked for once here, so that parallel test files neither search nor fetch at the same time.
const server = await findNatsServer();
console.log(`nats-server ${server.version}`);

const vitest = fileURLToPath(new URL("vitest.mjs", import.meta.resolve("vitest/package.json")));
const result = spawnSync(process.execPath, [vitest, "run", ...process.argv.slice(2)], {
  stdio: "inherit",
  env: { ...process.env, NATS_SERVER_BIN: server.path },
});
process.exitCode = result.status ?? 1;
