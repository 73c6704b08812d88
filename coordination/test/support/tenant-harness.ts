import type { Harness, HarnessFactory } from "@busbar/conformance-tests";
import { type Bus, errorCode, newId } from "@busbar/core";
import { checkNamespace } from "@busbar/core/adapter";
import { override } from "../../../conformance-tests/test/mutants/override.ts";
import { type Tenant, TenantDirectory, TenantRegistry, TenantViews } from "../../src/index.ts";

/** What the bus with the tenants holds on to: itself, its watch, and the server's timer. */
const OURS = /^1 (?:buses|watches|timers)/;

type OpenOptions = Parameters<Harness["open"]>[0];

/** The buses of a harness become views of tenants: each namespace of the suite is one of a tenant. */
export function tenantHarness(factory: HarnessFactory): HarnessFactory {
  return async () => {
    const inner = await factory();
    const app = `app-${newId(undefined, 8)}`;
    const admin = await inner.open({ namespace: app });
    const registry = new TenantRegistry(admin);
    const directory = await TenantDirectory.open(registry);
    const tenants = new Map<string, Tenant>();

    const register = async (id: string): Promise<Tenant> => {
      try {
        return await registry.register({ id, name: id });
      } catch (error) {
        if (errorCode(error) !== "CONFLICT") throw error;
        return await directory.get(id);
      }
    };

    /** A bus of the application, which goes with the view. */
    const open = async ({ namespace, dedupWindowMs }: OpenOptions): Promise<Bus> => {
      checkNamespace(namespace);
      // What the suite takes for a view of a view is one of a tenant's.
      const [id = "", ...below] = namespace.split("--");
      tenants.set(id, await register(id));
      const window = dedupWindowMs === undefined ? {} : { dedupWindowMs };
      const bus = await inner.open({ namespace: `${app}${dedupWindowMs ?? ""}`, ...window });
      const views = new TenantViews(bus, directory);
      let view = await views.forTenant(id);
      for (const name of below) view = await view.forNamespace(name);
      const opened = view;
      return override(opened, {
        close: async (options) => {
          const report = await opened.close(options);
          await bus.close({ drainMs: 0 });
          return report;
        },
      });
    };

    const storageOf = (namespace: string): string => {
      return `${app}--t-${tenants.get(namespace)?.storageId}`;
    };
    return {
      ...inner,
      name: `a tenant on ${inner.name}`,
      open,
      leaks: async (namespace) => {
        const leaks = (await inner.leaks?.(storageOf(namespace))) ?? [];
        return leaks.filter((leak) => !OURS.test(leak));
      },
      ...(inner.elsewhere && {
        elsewhere: (namespace: string) => inner.elsewhere?.(storageOf(namespace)) ?? "",
      }),
      clean: async (namespace) => inner.clean?.(storageOf(namespace)),
      close: async () => {
        await directory.close();
        await admin.close();
        await inner.clean?.(app);
        await inner.close();
      },
    };
  };
}
