export { busBackend } from "./bus.ts";
export type { SqliteConfig } from "./config.ts";
export { conformanceHarness } from "./harness.ts";
