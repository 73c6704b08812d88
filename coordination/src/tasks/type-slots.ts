import { checkInteger } from "@busbar/core/adapter";

/** How many tasks of each type run in a pool, and may. */
export class TypeSlots {
  readonly #limits = new Map<string, number>();
  readonly #taken = new Map<string, number>();

  /** @throws TypeError or RangeError for a wrong limit */
  constructor(limits: Readonly<Record<string, number>> = {}) {
    for (const [type, limit] of Object.entries(limits)) {
      this.#limits.set(type, checkInteger(`typeConcurrency.${type}`, limit, 1, 1_000));
    }
  }

  /** Takes a slot. @returns false if there is none */
  take(type: string): boolean {
    const limit = this.#limits.get(type);
    if (limit === undefined) return true;
    const taken = this.#taken.get(type) ?? 0;
    if (taken >= limit) return false;
    this.#taken.set(type, taken + 1);
    return true;
  }

  /** Gives a slot back. */
  free(type: string): void {
    const taken = this.#taken.get(type);
    if (taken !== undefined) this.#taken.set(type, taken - 1);
  }
}
