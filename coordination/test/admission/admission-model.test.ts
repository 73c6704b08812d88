import { type Bus, errorCode, type Random, seededRandom } from "@busbar/core";
import { expect, it } from "vitest";
import type { Admission, Tenant, TenantQuotas } from "../../src/index.ts";
import { ONE, only, Shop } from "./support.ts";
import { faultSeeds, limitOf } from "../support/faults.ts";
import { overriding } from "../support/overriding.ts";

const RUN_MS = 150_000;
/** A full bucket gains nothing while some of it is reserved: this part of it at most. */
const TOKENS_LOST = 1 / 20;

/** One counter for all, which nobody has to reserve from. */
class Model {
  readonly violations: string[] = [];
  day = 0;
  admitted = 0;
  refused = 0;
  readonly #shop: Shop;
  readonly #quotas: TenantQuotas;
  #tokens: number;
  #atMs: number;

  constructor(shop: Shop, quotas: TenantQuotas) {
    this.#shop = shop;
    this.#quotas = quotas;
    this.#tokens = quotas.perMinute ?? 0;
    this.#atMs = shop.clock.now();
  }

  get tokens(): number {
    const capacity = this.#quotas.perMinute ?? 0;
    const nowMs = this.#shop.clock.now();
    this.#tokens += ((nowMs - this.#atMs) * capacity) / 60_000;
    this.#atMs = nowMs;
    return (this.#tokens = Math.min(capacity, this.#tokens));
  }

  /** Less than none for what comes back. */
  take(tasks: number): void {
    this.admitted += tasks;
    this.#tokens = this.tokens - tasks;
    this.day += tasks;
    const { perMinute, perDay, queued } = this.#quotas;
    const now = this.#shop.clock.monotonic();
    if (perMinute !== null && this.#tokens < -1e-6) {
      this.violations.push(`+${now}: ${this.#tokens} tokens`);
    }
    if (perDay !== null && this.day > perDay) this.violations.push(`+${now}: ${this.day} a day`);
    const { ready } = this.#shop;
    if (queued !== null && ready > queued) this.violations.push(`+${now}: ${ready} wait`);
  }
}

/** The network takes its time, either way. */
function slow(bus: Bus, { clock }: Shop, random: Random): Bus {
  const kv = new Proxy(bus.kv, {
    get: (target, name) => {
      const method = Reflect.get(target, name) as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        await clock.sleep(random.next() * 10);
        const [answer] = await Promise.allSettled([method.apply(target, args)]);
        await clock.sleep(random.next() * 10);
        if (answer.status === "rejected") throw answer.reason as Error;
        return answer.value;
      };
    },
  });
  return overriding(bus, { kv });
}

async function play(seed: number): Promise<Model> {
  const random = seededRandom(seed);
  const upTo = (most: number): number => Math.floor(random.next() * most);
  await using shop = await Shop.open();
  const tenant: Tenant = only({
    perDay: upTo(2) === 0 ? null : 20 + upTo(400),
    perMinute: upTo(2) === 0 ? null : 10 + upTo(200),
    queued: upTo(2) === 0 ? 1_000_000 : 5 + upTo(50),
  });
  const model = new Model(shop, tenant.quotas);
  const endMs = shop.clock.monotonic() + RUN_MS;

  /** @returns whether it was admitted */
  const submit = async (admission: Admission, tasks: number): Promise<boolean> => {
    try {
      const grant = await admission.admit(tenant, { ...ONE, tasks });
      model.take(tasks);
      await shop.clock.sleep(random.next() * 20);
      const made = random.next() < 0.2 ? upTo(tasks + 1) : tasks;
      shop.ready += made;
      await shop.clock.sleep(random.next() * 20);
      model.take(made - tasks);
      grant.done({ tasks: made });
      return true;
    } catch (error) {
      if (errorCode(error) !== "LIMIT_EXCEEDED") throw error;
      model.refused += 1;
      return false;
    }
  };
  const run = async (admission: Admission): Promise<void> => {
    while (shop.clock.monotonic() < endMs) {
      const burst = Array.from({ length: 1 + upTo(4) }, () => submit(admission, 1 + upTo(3)));
      await Promise.all(burst);
      const isSteady = upTo(2) === 0;
      await shop.clock.sleep(random.next() * (isSteady ? 50 : 1_000));
      if (upTo(10) === 0) await shop.clock.sleep(random.next() * 20_000);
    }
  };
  const consume = async (): Promise<void> => {
    while (shop.clock.monotonic() < endMs) {
      await shop.clock.sleep(random.next() * 500);
      shop.ready = Math.max(0, shop.ready - upTo(20));
    }
  };

  const admissions = Array.from({ length: 1 + upTo(4) }, () =>
    shop.admission({ bus: slow(shop.bus, shop, random), clock: shop.clock }),
  );
  await shop.clock.autoAdvance(Promise.all([...admissions.map(run), consume()]));
  await shop.clock.advance(1_000);

  // What is left is to be had by whoever asks: of the days and the places to the last task.
  const { perDay, perMinute, queued } = tenant.quotas;
  const left = Math.min(
    (perDay ?? Number.POSITIVE_INFINITY) - model.day,
    perMinute === null ? Number.POSITIVE_INFINITY : Math.floor(model.tokens),
    (queued as number) - shop.ready,
  );
  const slack = perMinute === null ? 0 : 1 + Math.ceil(perMinute * TOKENS_LOST);
  const wanted = left - slack;
  if (wanted > 0 && !(await shop.clock.autoAdvance(submit(admissions[0] as Admission, wanted)))) {
    model.violations.push(`${wanted} were not to be had at the end`);
  }
  await shop.clock.autoAdvance(Promise.all(admissions.map((admission) => admission.close())));
  return model;
}

const seeds = faultSeeds(25);

it("several admissions never give more than one counter would, and leave nothing", {
  timeout: limitOf(seeds),
}, async () => {
  let admitted = 0;
  let refused = 0;
  for (const seed of seeds) {
    const model = await play(seed);
    expect(model.violations, `seed ${seed}`).toEqual([]);
    admitted += model.admitted;
    refused += model.refused;
  }
  console.log(`${admitted} tasks admitted, ${refused} submissions refused`);
  expect([admitted > 50 * seeds.length, refused > seeds.length]).toEqual([true, true]);
});
