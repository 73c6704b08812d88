import type {
  Bus,
  BusBackend,
  BusStatus,
  Capabilities,
  CloseOptions,
  CloseReport,
  JobQueue,
  KvStore,
  Pubsub,
  RequestReply,
  ResolvedNatsConfig,
} from "@busbar/core";
import { resolveDrain } from "@busbar/core/adapter";
import { type NatsContext, openContext } from "./context.ts";
import { NatsJobQueue } from "./job-queue.ts";
import { NatsKvStore } from "./kv/store.ts";
import { Live } from "./live.ts";
import { NatsPubsub } from "./pubsub.ts";
import { NatsRequestReply } from "./rpc.ts";

/** How long work under way may take at the end of a bus. */
const DEFAULT_DRAIN_MS = 5_000;

/** The four contracts on one connection to NATS. */
export class NatsBus implements Bus {
  readonly pubsub: Pubsub;
  readonly rpc: RequestReply;
  readonly kv: KvStore;
  readonly jobs: JobQueue;
  readonly capabilities: Capabilities;
  readonly #context: NatsContext;
  #closing: Promise<CloseReport> | undefined;

  constructor(context: NatsContext) {
    this.#context = context;
    this.capabilities = context.capabilities;
    this.pubsub = new NatsPubsub(context, new Live(context));
    this.rpc = new NatsRequestReply(context);
    this.kv = new NatsKvStore(context);
    this.jobs = new NatsJobQueue(context);
  }

  status(): AsyncIterable<BusStatus> {
    return this.#context.link.status.subscribe();
  }

  async close(options: CloseOptions = {}): Promise<CloseReport> {
    const drainMs = resolveDrain(options.drainMs, DEFAULT_DRAIN_MS);
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(drainMs: number): Promise<CloseReport> {
    const { lifecycle, link } = this.#context;
    let cutOff = 0;
    const { abandoned } = await lifecycle.close(drainMs, async () => {
      cutOff = link.endRequests();
      await link.close();
    });
    return { abandoned: abandoned + cutOff };
  }
}

/** What `openBus` loads for `backend: "nats"`. */
export const busBackend: BusBackend<ResolvedNatsConfig> = {
  name: "nats",
  open: async (config) => new NatsBus(await openContext(config)),
};
