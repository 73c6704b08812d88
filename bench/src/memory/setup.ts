import { MemoryServer, type StreamLimits } from "@busbar/bus-memory";
import { type Bus, openBus } from "@busbar/core";

/** The payload of everything. */
export const PAYLOAD: Uint8Array = new Uint8Array(128).fill(0x62);

/** A bus on a memory server of its own. */
export function openMemory(streamLimits: StreamLimits = {}): Promise<Bus> {
  return openBus({ backend: "memory", server: new MemoryServer({ streamLimits }) });
}
