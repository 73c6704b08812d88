export type { StreamLimits } from "./engine/stream.ts";
export { busBackend } from "./memory-backend.ts";
export { MemoryServer, type MemoryServerOptions, type MemoryServerStats } from "./memory-server.ts";
