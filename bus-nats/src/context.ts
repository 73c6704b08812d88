import type { Capabilities, ResolvedNatsConfig } from "@busbar/core";
import type { Lifecycle } from "@busbar/core/adapter";
import type { Link } from "./link.ts";
import type { Provisioner } from "./provision.ts";
import type { JetStreamApi } from "./wire/jetstream-api.ts";
import type { WireNames } from "./wire/names.ts";

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
