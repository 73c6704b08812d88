import { BusError, errorCode, newId, type Timer, type TypedBucket } from "@busbar/core";
import { changeEntry } from "../change-entry.ts";
import type { ResolvedMembershipOptions } from "./membership-options.ts";
import { incarnationOf, type NodeInput, type NodeRecord, type NodeSchema } from "./node.ts";

/** How much of a heartbeat's time is random, so that nodes that began together do not beat together. */
const JITTER = 0.2;

/**
 * A node that this process is, as long as it beats.
 *
 * States: *joined* -> removed by somebody -> *joined* again, as a new incarnation, and leader no more;
 * *joined* -> another process joins with this id -> *replaced*; *joined* -> `leave()` -> *left*.
 * The last two are final.
 */
export class Member {
  readonly id: string;
  readonly #options: ResolvedMembershipOptions;
  readonly #nodes: TypedBucket<NodeSchema>;
  readonly #input: NodeInput;
  readonly #instance: string;
  readonly #replaced = new AbortController();
  #incarnation = 0;
  #revision = 0;
  #hasLeft = false;
  #timer: Timer | undefined;
  #call: Promise<void> = Promise.resolve();

  private constructor(
    options: ResolvedMembershipOptions,
    nodes: TypedBucket<NodeSchema>,
    input: NodeInput,
  ) {
    this.id = input.id;
    this.#options = options;
    this.#nodes = nodes;
    this.#input = input;
    this.#instance = newId(options.random);
  }

  /** @internal */
  static async join(
    options: ResolvedMembershipOptions,
    nodes: TypedBucket<NodeSchema>,
    input: NodeInput,
  ): Promise<Member> {
    const member = new Member(options, nodes, input);
    const entry = await changeEntry(nodes, input.id, () => member.#record(0), options);
    member.#revision = entry?.revision ?? 0;
    member.#incarnation = member.#revision;
    member.#beatLater();
    return member;
  }

  /** Which life of the node this is: higher than those before. */
  get incarnation(): number {
    return this.#incarnation;
  }

  /** Aborts, with `CONFLICT` as reason, when another process has joined with this id. */
  get replaced(): AbortSignal {
    return this.#replaced.signal;
  }

  /** Is not there any more, at once; gives up its leadership. Idempotent. @throws BusError */
  async leave(): Promise<void> {
    if (this.#isOver) return;
    this.#hasLeft = true;
    this.#timer?.cancel();
    await this.#options.election?.resign();
    await this.#call;
    const entry = await this.#nodes.get(this.id);
    if (entry?.value.instance !== this.#instance) return;
    const options = { expectedRevision: entry.revision };
    await this.#nodes.delete(this.id, options).catch((error: unknown) => {
      // Somebody else has removed it, or has its place.
      if (errorCode(error) !== "CONFLICT") throw error;
    });
  }

  /** Somebody has deleted its record. @internal */
  removed(revision: number): void {
    if (revision > this.#revision) void this.#beat();
  }

  get #isOver(): boolean {
    return this.#hasLeft || this.#replaced.signal.aborted;
  }

  #beatLater(): void {
    const { clock, random, heartbeatMs } = this.#options;
    const delayMs = heartbeatMs * (1 - JITTER * random.next());
    this.#timer?.cancel();
    this.#timer = clock.setTimer(() => void this.#beat(), delayMs, { keepAlive: false });
  }

  #beat(): Promise<void> {
    this.#call = this.#call
      .then(() => this.#write())
      .catch(() => {
        // It is silent for longer; others see that.
      })
      .then(() => {
        if (!this.#isOver) this.#beatLater();
      });
    return this.#call;
  }

  async #write(): Promise<void> {
    if (this.#isOver) return;
    const entry = await changeEntry(
      this.#nodes,
      this.id,
      (current) => {
        if (current === undefined) return this.#record(0);
        // Of another one: nothing is to be written.
        if (current.value.instance !== this.#instance) return undefined;
        return this.#record(incarnationOf(current.value, current.revision));
      },
      this.#options,
    );
    if (entry?.value.instance !== this.#instance) return this.#replace();
    const incarnation = incarnationOf(entry.value, entry.revision);
    this.#revision = entry.revision;
    if (incarnation === this.#incarnation) return;
    // It had been removed: by this write, or by one whose answer was lost, it has begun anew.
    this.#incarnation = incarnation;
    await this.#options.election?.resign();
  }

  #replace(): void {
    const { id } = this;
    const message = `another process has joined as node ${id}`;
    this.#timer?.cancel();
    this.#replaced.abort(new BusError("CONFLICT", message, { details: { id } }));
  }

  #record(incarnation: number): NodeRecord {
    const { address, region, metadata = {} } = this.#input;
    return {
      incarnation,
      instance: this.#instance,
      address,
      ...(region !== undefined && { region }),
      metadata,
    };
  }
}
