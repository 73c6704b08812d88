import { spawnSync } from "node:child_process";

// What a user gets is the packed archive, not the working tree: check exactly that.
const PACKAGES = ["core", "bus-memory", "bus-nats", "conformance-tests", "coordination"];
const CHECKS = [
  ["publint", "run", "--strict"],
  ["attw", "--profile", "esm-only", "--pack"],
] as const;

let failed = 0;
for (const folder of PACKAGES) {
  for (const [command, ...args] of CHECKS) {
    const result = spawnSync(command, [...args, folder], {
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
    });
    const ok = result.status === 0;
    console.log(`${ok ? "ok  " : "FAIL"} ${command} ${folder}`);
    if (ok) continue;
    failed++;
    console.log(result.error?.message ?? `${result.stdout}${result.stderr}`);
  }
}
process.exitCode = failed === 0 ? 0 : 1;
