import type { Capabilities, ResolvedNatsConfig } from "@busbar/core";
import { Lifecycle, namespaceBelow } from "@busbar/core/adapter";
import { natsCapabilities } from "./capabilities.ts";
import { Link } from "./link.ts";
import { Provisioner } from "./provision.ts";
import { Removal } from "./removal.ts";
import { JetStreamApi } from "./wire/jetstream-api.ts";
import { WireNames } from "./wire/names.ts";

/** What the parts of one bus share. */
export interface NatsContext {
  readonly config: ResolvedNatsConfig;
  readonly link: Link;
  readonly api: JetStreamApi;
  readonly names: WireNames;
  readonly provisioner: Provisioner;
  readonly removal: Removal;
  readonly lifecycle: Lifecycle;
  readonly capabilities: Capabilities;
}

/** Connects and looks at what is there. Leaves nothing behind where that fails. */
export async function openContext(config: ResolvedNatsConfig): Promise<NatsContext> {
  const link = await Link.open(config);
  try {
    const context = contextOf(config, link);
    await context.api.checkEnabled();
    return context;
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** The parts of a view: on the same connection. A stream that the configuration binds to is not shared. */
export function viewContext({ config, link }: NatsContext, name: string): NatsContext {
  const namespace = namespaceBelow(config.namespace, name);
  return contextOf({ ...config, namespace, stream: undefined }, link.share());
}

function contextOf(config: ResolvedNatsConfig, link: Link): NatsContext {
  const api = new JetStreamApi(link);
  const lifecycle = new Lifecycle("the bus", link.clock);
  // What was sent before the end may still be answered; what is not counts in `Link.endRequests`.
  lifecycle.add({
    stop: async (drainMs) => {
      await link.drain(drainMs);
      return { abandoned: 0 };
    },
  });
  const names = new WireNames(config.namespace);
  const removal = new Removal(link, names);
  const provisioner = new Provisioner(api, link, config);
  removal.onRemoved(() => provisioner.forgetAll());
  return {
    config,
    link,
    api,
    names,
    provisioner,
    removal,
    lifecycle,
    capabilities: natsCapabilities(config, link),
  };
}
