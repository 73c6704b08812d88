import { type Bus, errorCode, isBusError } from "@busbar/core";
import { expect, it } from "vitest";
import { Admission, type Tenant } from "../../src/index.ts";
import { newNamespace, onEachBackend } from "../support/backends.ts";
import { ONE, only } from "./support.ts";

/** A process that submits to a real queue. */
class Submitter {
  readonly admission: Admission;
  readonly #bus: Bus;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.admission = new Admission({
      bus,
      queue: "q",
      stats: () => bus.jobs.stats("jobs"),
      storedBytes: async () => (await bus.jobs.stats("jobs")).ready * 10,
    });
  }

  /** @returns the limit that refused it, or "ok" */
  async submit(tenant: Tenant, isLate = false): Promise<string> {
    try {
      const wanted = { ...ONE, scheduled: isLate ? 1 : 0, bytes: 10 };
      const grant = await this.admission.admit(tenant, wanted);
      const { duplicate } = await this.#bus.jobs.enqueue("jobs", {
        payload: "",
        ...(isLate && { delayMs: 3_600_000 }),
      });
      grant.done({ tasks: duplicate ? 0 : 1 });
      return "ok";
    } catch (error) {
      if (errorCode(error) !== "LIMIT_EXCEEDED" || !isBusError(error)) throw error;
      return String(error.details["limit"]);
    }
  }
}

await onEachBackend((openOn) => {
  for (const [limit, quota] of [
    ["perDay", 40],
    ["queued", 40],
    ["scheduled", 40],
    ["storedBytes", 400],
  ] as const) {
    it(`three processes that submit at once get exactly ${quota} of ${limit}`, async () => {
      const namespace = newNamespace();
      const buses = await Promise.all([1, 2, 3].map(() => openOn(namespace)));
      const submitters = buses.map((bus) => new Submitter(bus));
      const tenant = only({ [limit]: quota });
      const isLate = limit === "scheduled";
      const run = async (submitter: Submitter): Promise<string[]> => {
        const answers: string[] = [];
        for (let index = 0; index < 5; index++) {
          const some = [1, 2, 3, 4].map(() => submitter.submit(tenant, isLate));
          answers.push(...(await Promise.all(some)));
        }
        return answers;
      };
      const answers = (await Promise.all(submitters.map(run))).flat();
      expect([...new Set(answers)].toSorted()).toEqual([limit, "ok"].toSorted());
      expect(answers.filter((answer) => answer === "ok")).toHaveLength(40);
      const { ready, delayed } = await (buses[0] as Bus).jobs.stats("jobs");
      expect(ready + delayed).toBe(40);
      await Promise.all(submitters.map(({ admission }) => admission.close()));
      const [usage] = await Promise.all(submitters.map(({ admission }) => admission.usage(tenant)));
      expect(usage?.[limit]).toEqual({ used: quota, allowed: quota });
    });
  }
});
