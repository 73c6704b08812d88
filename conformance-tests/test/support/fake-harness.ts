import type { CaseContext, ConformanceCase, Harness } from "@busbar/conformance-tests";
import type { Bus, Capabilities } from "@busbar/core";

export const fakeCapabilities: Capabilities = {
  backend: "fake",
  server: "fake-server 1.2.3",
  ackMeaning: "memory",
  persistent: false,
  settleDurability: { pubsub: "none", jobs: "none" },
  dedupDurability: { pubsub: "none", jobs: "none" },
  deliveryCounts: "exact",
  dedupWindowMs: 120_000,
  maxPayloadBytes: 1_024,
  timerGranularityMs: 1,
  crossProcess: false,
  keyTtl: false,
  keyTtlGranularityMs: 0,
};

/** What a {@link fakeHarness} saw. */
export interface FakeLog {
  readonly opened: string[];
  readonly cleaned: string[];
  closedBuses: number;
  closedHarnesses: number;
}

/** A harness whose buses can do nothing but close: enough to test the runner. */
export function fakeHarness(
  overrides: Partial<Harness> & { readonly closeBus?: () => Promise<unknown> } = {},
): { readonly harness: Harness; readonly log: FakeLog } {
  const log: FakeLog = { opened: [], cleaned: [], closedBuses: 0, closedHarnesses: 0 };
  const { closeBus, ...rest } = overrides;
  const harness: Harness = {
    name: "fake",
    open: ({ namespace }) => {
      log.opened.push(namespace);
      const close = async (): Promise<unknown> => {
        log.closedBuses += 1;
        return (await closeBus?.()) ?? { abandoned: 0 };
      };
      return Promise.resolve({ capabilities: fakeCapabilities, close } as unknown as Bus);
    },
    clean: (namespace) => {
      log.cleaned.push(namespace);
      return Promise.resolve();
    },
    close: () => {
      log.closedHarnesses += 1;
      return Promise.resolve();
    },
    ...rest,
  };
  return { harness, log };
}

/** A case that does nothing but `run`. */
export function caseOf(
  id: string,
  run: (context: CaseContext) => unknown,
  overrides: Partial<ConformanceCase> = {},
): ConformanceCase {
  return {
    id,
    title: `does ${id}`,
    contract: "lifecycle",
    level: "L1",
    run: async (context) => {
      await run(context);
    },
    ...overrides,
  };
}
