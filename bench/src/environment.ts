import { availableParallelism, cpus } from "node:os";

/** Where and how the figures were measured. */
export interface Environment {
  readonly node: string;
  readonly server: string;
  readonly cpus: number;
  readonly cpu: string;
  readonly rounds: number;
  readonly date: string;
}

/** The facts of this process and machine. */
export function environmentFacts(server: string, rounds: number): Environment {
  return {
    node: process.version,
    server,
    cpus: availableParallelism(),
    cpu: cpus()[0]?.model ?? "unknown",
    rounds,
    date: new Date().toISOString(),
  };
}
