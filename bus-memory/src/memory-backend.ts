import type { BusBackend, ResolvedMemoryConfig } from "@busbar/core";
import { invalidConfig } from "@busbar/core/adapter";
import { MemoryBus } from "./memory-bus.ts";
import { MemoryServer } from "./memory-server.ts";
import { type ServerUse, useNamedServer } from "./named-servers.ts";

/** The backend that `openBus("memory:")` opens. */
export const busBackend: BusBackend<ResolvedMemoryConfig> = {
  name: "memory",
  async open(config) {
    const { server, release } = useServer(config);
    try {
      return new MemoryBus(config, server, release);
    } catch (error) {
      release();
      throw error;
    }
  },
};

function useServer(config: ResolvedMemoryConfig): ServerUse {
  const { server, name, clock } = config;
  if (server !== undefined && name !== undefined) {
    const message = "give server or name, not both";
    throw invalidConfig([{ path: ["name"], message }], config);
  }
  if (name !== undefined) return useNamedServer(name, clock);
  const release = (): void => undefined;
  if (server === undefined) {
    return { server: new MemoryServer({ clock }), release };
  }
  if (server instanceof MemoryServer) return { server, release };
  throw invalidConfig([{ path: ["server"], message: "must be a MemoryServer" }], config);
}
