export type { StreamLimits } from "./engine/stream.ts";
export { busBackend } from "./memory-backend.ts";
export { MemoryServer, type MemoryServerOptions } from "./memory-server.ts";
export type { MemoryServerStats } from "./server-stats.ts";
