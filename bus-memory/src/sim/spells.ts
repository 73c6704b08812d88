import type { Clock, Timer } from "@busbar/core";
import type { Draws } from "./draws.ts";
import type { Spell } from "./faults.ts";

/** What a spell does: `begin` may refuse, `end` follows where it did not. */
export interface SpellAction {
  begin(): boolean;
  end(): void;
}

/** The faults that come again and again, each with its own stream of randomness. */
export class Spells {
  readonly #clock: Clock;
  readonly #draws: Draws;
  readonly #waiting = new Set<Timer>();
  readonly #running = new Map<Timer, SpellAction>();

  constructor(clock: Clock, draws: Draws) {
    this.#clock = clock;
    this.#draws = draws;
  }

  /** How many timers wait for the next fault: they alone must not keep a world going. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Lets something happen again and again. `label` names its draws. */
  add(label: string, spell: Spell, action: SpellAction): void {
    const afterMs = this.#draws.between(`${label}/after`, ...spell.everyMs);
    const timer = this.#clock.setTimer(() => {
      this.#waiting.delete(timer);
      // A plan has it happen or not; without one it always does.
      const happens = this.#draws.chance(label, 1);
      if (!happens || !action.begin()) {
        this.add(label, spell, action);
        return;
      }
      const forMs = this.#draws.between(`${label}/for`, ...spell.forMs);
      const end = this.#clock.setTimer(() => {
        this.#running.delete(end);
        action.end();
        this.add(label, spell, action);
      }, forMs);
      this.#running.set(end, action);
    }, afterMs);
    this.#waiting.add(timer);
  }

  /** Ends all of them: what is under way ends now, nothing comes again. */
  stop(): void {
    for (const timer of this.#waiting) timer.cancel();
    this.#waiting.clear();
    const running = [...this.#running];
    this.#running.clear();
    for (const [timer, action] of running) {
      timer.cancel();
      action.end();
    }
  }
}
