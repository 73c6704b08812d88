/// <reference lib="esnext.disposable" preserve="true" />
import {
  type Bus,
  errorCode,
  type Timer,
  type TypedBucket,
  type TypedKvEvent,
  type TypedWatch,
  typedBus,
} from "@busbar/core";
import { checkName, closedError, Mailbox } from "@busbar/core/adapter";
import { Member } from "./member.ts";
import {
  type MembershipOptions,
  type ResolvedMembershipOptions,
  resolveMembershipOptions,
} from "./membership-options.ts";
import {
  type ClusterNode,
  type ClusterSummary,
  incarnationOf,
  type NodeChange,
  type NodeInput,
  type NodeRecord,
  type NodeSchema,
  type NodeStatus,
  nodeBucket,
} from "./node.ts";

interface KnownNode {
  node: ClusterNode;
  revision: number;
  /** When its last sign of life came, by the monotonic clock of this process. */
  heardMs: number;
}

/** Most changes that wait for a slow reader. */
const MAX_WAITING = 10_000;

/**
 * Who is there, and how long ago each was heard of.
 *
 * A node is judged by the silence that this process observes: the time since it saw the node's record
 * change, on its own monotonic clock. So no two clocks are ever compared, and a process that has just
 * begun to look takes everybody as just heard. Silence in which this process stood still itself does not
 * count. A process that is cut off from the server sees all others fall silent.
 *
 * *Concurrency*: any number of processes.
 */
export class Membership implements AsyncDisposable {
  readonly #options: ResolvedMembershipOptions;
  readonly #records: TypedBucket<NodeSchema>;
  readonly #watch: TypedWatch<NodeRecord>;
  readonly #known = new Map<string, KnownNode>();
  readonly #members = new Set<Member>();
  readonly #readers = new Set<Mailbox<NodeChange>>();
  #timer: Timer | undefined;
  #isInitial = true;
  #closing: Promise<void> | undefined;

  private constructor(
    options: ResolvedMembershipOptions,
    records: TypedBucket<NodeSchema>,
    watch: TypedWatch<NodeRecord>,
  ) {
    this.#options = options;
    this.#records = records;
    this.#watch = watch;
  }

  /** Begins to look; resolves when everybody who is there is known. @throws RangeError; BusError */
  static async open(bus: Bus, options: MembershipOptions = {}): Promise<Membership> {
    const resolved = resolveMembershipOptions(bus, options);
    const records = typedBus(bus).bucket(nodeBucket(resolved.bucket));
    const watch = await records.watch();
    const membership = new Membership(resolved, records, watch);
    await new Promise<void>((resolve, reject) => {
      void membership.#look(resolve).then(
        () => reject(closedError("the membership")),
        (error: unknown) => reject(error),
      );
    });
    return membership;
  }

  /** All nodes, by id. */
  nodes(): readonly ClusterNode[] {
    const nodes = [...this.#known.values()].map(({ node }) => node);
    return nodes.sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  /** One node; `undefined` if there is none. */
  node(id: string): ClusterNode | undefined {
    return this.#known.get(id)?.node;
  }

  /** How many there are, how many of them are healthy, and who leads. @throws BusError */
  async summary(): Promise<ClusterSummary> {
    const leader = (await this.#options.election?.leader())?.leader;
    const nodes = this.nodes();
    const healthy = nodes.filter(({ status }) => status === "healthy");
    return { total: nodes.length, healthy: healthy.length, leader };
  }

  /**
   * What changes from now on. A reader that is more than 10_000 changes behind misses the oldest. Ends
   * with the signal, or when it is closed.
   */
  changes({ signal }: { readonly signal?: AbortSignal } = {}): AsyncIterable<NodeChange> {
    const mailbox = new Mailbox<NodeChange>({ maxItems: MAX_WAITING });
    if (signal?.aborted || this.#closing) mailbox.end();
    signal?.addEventListener("abort", () => mailbox.end(), { once: true });
    this.#readers.add(mailbox);
    return this.#read(mailbox);
  }

  /**
   * Makes this process a node, which beats until it leaves. An older incarnation of the same id is
   * replaced.
   * @throws BusError
   */
  async join(input: NodeInput): Promise<Member> {
    checkName("owner", input.id);
    if (this.#closing) throw closedError("the membership");
    const member = await Member.join(this.#options, this.#records, input);
    this.#members.add(member);
    return member;
  }

  /**
   * Removes a node: one that is alive steps down as the leader and comes back as a new incarnation.
   * Resolves with false if there is none of this id.
   * @throws BusError
   */
  async remove(id: string): Promise<boolean> {
    checkName("owner", id);
    if ((await this.#records.get(id)) === undefined) return false;
    await this.#records.delete(id);
    return true;
  }

  /**
   * Removes nodes that were silent for `removeAfterMs`, until the signal aborts: work for
   * {@link LeaderElection.whileLeader}. Nobody is removed who gave a sign of life that was not seen yet.
   */
  async sweep({ lost }: { readonly lost: AbortSignal }): Promise<void> {
    const { clock, heartbeatMs, removeAfterMs } = this.#options;
    while (!lost.aborted) {
      for (const [id, { heardMs, revision }] of this.#known) {
        if (lost.aborted) return;
        if (clock.monotonic() - heardMs > removeAfterMs) await this.#deleteSilent(id, revision);
      }
      await clock.sleep(heartbeatMs, { signal: lost }).catch(() => undefined);
    }
  }

  /** Leaves, and looks no more. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *#read(mailbox: Mailbox<NodeChange>): AsyncGenerator<NodeChange, void> {
    try {
      for (;;) {
        const { done, value } = await mailbox.next();
        if (done) return;
        yield value;
      }
    } finally {
      this.#readers.delete(mailbox);
    }
  }

  async #close(): Promise<void> {
    this.#timer?.cancel();
    // Those who cannot be told see that it is silent.
    await Promise.allSettled([...this.#members].map((member) => member.leave()));
    await this.#watch.close();
    for (const reader of this.#readers) reader.end();
  }

  async #look(known: () => void): Promise<void> {
    try {
      for await (const event of this.#watch) {
        if (event.type === "initialDone") {
          this.#isInitial = false;
          known();
        } else {
          this.#heard(event);
        }
        this.#checkLater();
      }
      for (const reader of this.#readers) reader.end();
    } catch (error) {
      for (const reader of this.#readers) reader.fail(error);
      throw error;
    } finally {
      this.#timer?.cancel();
    }
  }

  #heard(event: Exclude<TypedKvEvent<NodeRecord>, { type: "initialDone" }>): void {
    const { key: id, revision } = event;
    const before = this.#known.get(id);
    if (event.type === "delete") {
      if (before && this.#known.delete(id)) this.#tell({ type: "left", node: before.node });
      for (const member of this.#members) if (member.id === id) member.removed(revision);
      return;
    }
    const { value, createdAtMs: lastHeartbeatAtMs } = event;
    const { address, region, metadata } = value;
    const incarnation = incarnationOf(value, revision);
    const status = before?.node.incarnation === incarnation ? before.node.status : "healthy";
    const node = { id, address, region, metadata, incarnation, status, lastHeartbeatAtMs };
    this.#known.set(id, { node, revision, heardMs: this.#options.clock.monotonic() });
    if (before?.node.incarnation !== incarnation) this.#tell({ type: "joined", node });
    this.#judge(id);
  }

  /** Sets the status that the silence of a node stands for. */
  #judge(id: string): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    const from = known.node.status;
    const status = this.#statusAfter(this.#options.clock.monotonic() - known.heardMs);
    if (status === from) return;
    known.node = { ...known.node, status };
    this.#tell({ type: "status", node: known.node, from });
  }

  #statusAfter(silentMs: number): NodeStatus {
    const { degradedAfterMs, unhealthyAfterMs, offlineAfterMs } = this.#options;
    if (silentMs > offlineAfterMs) return "offline";
    if (silentMs > unhealthyAfterMs) return "unhealthy";
    return silentMs > degradedAfterMs ? "degraded" : "healthy";
  }

  /** Looks again when the next status may have been reached. */
  #checkLater(): void {
    const { clock, degradedAfterMs, unhealthyAfterMs, offlineAfterMs } = this.#options;
    const nowMs = clock.monotonic();
    let dueMs = Number.POSITIVE_INFINITY;
    for (const { heardMs } of this.#known.values()) {
      const next = [degradedAfterMs, unhealthyAfterMs, offlineAfterMs]
        .map((afterMs) => heardMs + afterMs + 1)
        .find((atMs) => atMs > nowMs);
      dueMs = Math.min(dueMs, next ?? dueMs);
    }
    this.#timer?.cancel();
    if (dueMs === Number.POSITIVE_INFINITY || this.#closing) return;
    this.#timer = clock.setTimer(() => this.#check(dueMs), dueMs - nowMs, { keepAlive: false });
  }

  #check(dueMs: number): void {
    const { clock, heartbeatMs } = this.#options;
    const lateMs = clock.monotonic() - dueMs;
    for (const [id, known] of this.#known) {
      // This process stood still: what was sent to it meanwhile is still to be read.
      if (lateMs > heartbeatMs) known.heardMs += lateMs;
      this.#judge(id);
    }
    this.#checkLater();
  }

  #tell(change: NodeChange): void {
    if (this.#isInitial) return;
    for (const reader of this.#readers) reader.push(change);
  }

  /** Removes a node that has given no sign of life since that one. */
  async #deleteSilent(id: string, expectedRevision: number): Promise<void> {
    await this.#records.delete(id, { expectedRevision }).catch((error: unknown) => {
      if (errorCode(error) !== "CONFLICT") throw error;
    });
  }
}
