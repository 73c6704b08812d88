/**
 * The seeds of a test with faults: so many, from a random one on, which is printed. With
 * `BUSBAR_SEEDS=10000` as many as that, with `BUSBAR_FIRST_SEED=7` from there on.
 */
export function faultSeeds(count: number): number[] {
  const { BUSBAR_SEEDS, BUSBAR_FIRST_SEED } = process.env;
  const first = Number(BUSBAR_FIRST_SEED ?? Math.floor(Math.random() * 1_000_000));
  const seeds = Array.from({ length: Number(BUSBAR_SEEDS ?? count) }, (_, index) => first + index);
  console.log(`seeds ${first} to ${first + seeds.length - 1}`);
  return seeds;
}

/** How long a test may take that plays these: a minute, and so much for each. */
export function limitOf(seeds: readonly number[], eachMs = 2_000): number {
  return 60_000 + seeds.length * eachMs;
}
