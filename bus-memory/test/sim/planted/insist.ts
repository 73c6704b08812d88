import type { Clock } from "@busbar/core";

/** Tries until it works, as programs do whose server may be away. */
export async function insist<T>(clock: Clock, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch {
      await clock.sleep(500);
    }
  }
}
