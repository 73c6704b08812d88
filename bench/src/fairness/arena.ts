import {
  type Bus,
  type Clock,
  openBus,
  type Random,
  seededRandom,
  systemClock,
  systemRandom,
  VirtualClock,
} from "@busbar/core";
import type { NatsSetup } from "../nats/setup.ts";

/** Of everything random in virtual time. */
export const SEED = 1;

/** A bus that nobody used before, and its time. */
export interface Arena {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
}

/** Where scenarios are played. */
export interface Stage {
  readonly name: string;
  /** Plays one, with a bus of its own. */
  play<T>(scenario: (arena: Arena) => Promise<T>): Promise<T>;
}

/** Where a handler takes exactly as long as it says, and the rest no time: one seed, one outcome. */
export const virtualStage: Stage = {
  name: "memory",
  play: async (scenario) => {
    const clock = new VirtualClock();
    const bus = await openBus({ backend: "memory", clock });
    const playing = scenario({ bus, clock, random: seededRandom(SEED) });
    const result = await clock.autoAdvance(playing);
    await clock.autoAdvance(bus.close({ drainMs: 0 }));
    return result;
  },
};

/** A server, in real time. */
export function natsStage(setup: NatsSetup): Stage {
  return {
    name: "NATS",
    play: async (scenario) => {
      const bus = await setup.openBus();
      try {
        return await scenario({ bus, clock: systemClock, random: systemRandom });
      } finally {
        await bus.close({ drainMs: 0 });
      }
    },
  };
}
