import type { Clock } from "@busbar/core";
import { MemoryServer } from "./memory-server.ts";

interface Named {
  readonly server: MemoryServer;
  users: number;
}

const servers = new Map<string, Named>();

/** A server in use; `release` once when it is not any more. */
export interface ServerUse {
  readonly server: MemoryServer;
  readonly release: () => void;
}

/** The server of this name in this process. It is dropped when its last user releases it. */
export function useNamedServer(name: string, clock: Clock | undefined): ServerUse {
  const named = servers.get(name) ?? {
    server: new MemoryServer({ clock }),
    users: 0,
  };
  servers.set(name, named);
  named.users += 1;
  return {
    server: named.server,
    release: () => {
      named.users -= 1;
      if (named.users === 0) servers.delete(name);
    },
  };
}
