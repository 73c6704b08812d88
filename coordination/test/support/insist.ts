import { type Clock, errorCode, type Random } from "@busbar/core";

/** Does it again until the network lets it through. */
export async function insist<T>(
  { clock }: { readonly clock: Clock },
  work: () => Promise<T>,
  random: Random,
): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      await clock.sleep(100 + random.next() * 400);
    }
  }
}
