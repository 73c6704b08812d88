import type { Capabilities, ResolvedNatsConfig } from "@busbar/core";
import { Lifecycle } from "@busbar/core/adapter";
import { natsCapabilities } from "./capabilities.ts";
import { Link } from "./link.ts";
import { Provisioner } from "./provision.ts";
import { JetStreamApi } from "./wire/jetstream-api.ts";
import { WireNames } from "./wire/names.ts";

/** What the parts of one bus share. */
export interface NatsContext {
  readonly config: ResolvedNatsConfig;
  readonly link: Link;
  readonly api: JetStreamApi;
  readonly names: WireNames;
  readonly provisioner: Provisioner;
  readonly lifecycle: Lifecycle;
  readonly capabilities: Capabilities;
}

/** Connects and looks at what is there. Leaves nothing behind where that fails. */
export async function openContext(config: ResolvedNatsConfig): Promise<NatsContext> {
  const link = await Link.open(config);
  try {
    const api = new JetStreamApi(link);
    await api.checkEnabled();
    const lifecycle = new Lifecycle("the bus", link.clock);
    // What was sent before the end may still be answered; what is not counts in `Link.endRequests`.
    lifecycle.add({
      stop: async (drainMs) => {
        await link.drain(drainMs);
        return { abandoned: 0 };
      },
    });
    return {
      config,
      link,
      api,
      names: new WireNames(config.namespace),
      provisioner: new Provisioner(api, link, config),
      lifecycle,
      capabilities: natsCapabilities(config, link),
    };
  } catch (error) {
    await link.close();
    throw error;
  }
}
