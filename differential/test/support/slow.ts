import { type Clock, type Random, seededRandom } from "@busbar/core";
import type { Mutant } from "../../../conformance-tests/test/mutants/mutant.ts";
import { override } from "../../src/memory-world.ts";

/** Longest way of a call to the server, and longest way back, in milliseconds. */
const MAX_WAY_MS = 3;

/** A simulator to which each call takes its time, there and back. */
export function slowSimulator(seed: number): Pick<Mutant, "wrap"> {
  return {
    wrap: ({ clock, open }) => {
      const random = seededRandom(seed);
      return async (...options) => {
        const bus = await open(...options);
        const slow = <T extends object>(part: T): T => slowed(part, clock, random);
        return override(bus, {
          pubsub: slow(bus.pubsub),
          rpc: slow(bus.rpc),
          kv: slow(bus.kv),
          jobs: slow(bus.jobs),
        });
      };
    },
  };
}

function slowed<T extends object>(part: T, clock: Clock, random: Random): T {
  const way = (): Promise<void> => clock.sleep(random.next() * MAX_WAY_MS);
  return new Proxy(part, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      // Many replies are a stream, and come without being asked for.
      if (name === "requestMany") return (value as () => unknown).bind(target);
      if (typeof value === "object" && value !== null) return slowed(value, clock, random);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]) => {
        await way();
        try {
          return (await value.apply(target, args)) as unknown;
        } finally {
          await way();
        }
      };
    },
  });
}
