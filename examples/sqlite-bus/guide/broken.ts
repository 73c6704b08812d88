import type { Harness, HarnessFactory } from "@busbar/conformance-tests";
import { busHarness } from "@busbar/conformance-tests";

const good = await busHarness("./step-2.ts");

/** A backend with one mistake: cas does not look at the revision. Who finds it? */
export const conformanceHarness: HarnessFactory = async () => {
  const harness = await good();
  const open: Harness["open"] = async (options) => {
    const bus = await harness.open(options);
    const { kv } = bus;
    Object.assign(kv, { cas: kv.put.bind(kv) });
    return bus;
  };
  return { ...harness, name: "cas ignores the revision", open };
};
