import { BusError, type Clock, type ResolvedNatsConfig, systemClock } from "@busbar/core";
import { closedError, StatusHub, within } from "@busbar/core/adapter";
import {
  type NatsConnection,
  PermissionViolationError,
  type Status,
} from "@nats-io/transport-node";
import { checkConnection, dial } from "./dial.ts";
import {
  compareVersions,
  OLDEST_SERVER,
  type ServerFeatures,
  serverFeatures,
} from "./server-version.ts";
import { Outbox } from "./wire/outbox.ts";
import { Requester } from "./wire/requester.ts";

const FLUSH_TIMEOUT_MS = 5_000;
const FLUSH_RETRY_MS = 20;
/** How long the end of the bus waits for the server to take what was sent. */
const LAST_FLUSH_MS = 250;

/** What the client tells of a connection; its type does not show how to end that. */
type Statuses = ReturnType<NatsConnection["status"]> & { stop(): void };

/**
 * The connection to the server as one bus has it, and everybody who wants to know when it breaks.
 * Requests, subscriptions and callbacks are the bus's own; the connection may be shared.
 *
 * States: *connected* -> the server is gone -> *disconnected* -> reconnect (tried for ever) ->
 * *connected*; any -> `close()`, or the caller's own connection is closed -> *closed*.
 */
export class Link {
  readonly connection: NatsConnection;
  readonly requester: Requester;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly status: StatusHub = new StatusHub();
  readonly #owned: boolean;
  /** Of the first link of a connection; the others hear from it. */
  readonly #statuses: Statuses | undefined;
  readonly #above: Link | undefined;
  readonly #shared = new Set<Link>();
  readonly #onReconnect = new Set<() => void>();
  readonly #onDisconnected = new Set<() => void>();
  #connected: boolean;
  #doubtAt = Number.NEGATIVE_INFINITY;
  /** What {@link Link.doubtAt} was before the connection was lost. */
  #doubtBefore = Number.NEGATIVE_INFINITY;
  #serverId: string;
  #closed = false;
  #features: ServerFeatures;

  private constructor(connection: NatsConnection, clock: Clock, owner: "bus" | "caller" | Link) {
    this.connection = connection;
    this.clock = clock;
    this.#owned = owner === "bus";
    this.#features = serverFeatures(connection.info?.version ?? "0");
    this.#serverId = connection.info?.server_id ?? "";
    if (owner instanceof Link) {
      this.#above = owner;
      this.#connected = owner.#connected;
      this.#doubtAt = owner.#doubtAt;
      this.#doubtBefore = owner.#doubtBefore;
    } else {
      // A caller's connection may be waiting for its server.
      this.#connected = connection.info !== undefined;
      this.#statuses = connection.status() as Statuses;
      void this.#watch(this.#statuses);
      void connection.closed().then((error) => this.#onClosed(error));
    }
    this.outbox = new Outbox(connection);
    this.requester = new Requester(connection, this.outbox, clock, () => this.isClustered);
    this.status.emit(
      this.#connected
        ? { type: "connected", server: connection.getServer() }
        : { type: "disconnected", reason: "the server is away" },
    );
    if (!this.#connected) this.requester.disconnected();
  }

  /** Connects, or takes the caller's connection. */
  static async open(config: ResolvedNatsConfig): Promise<Link> {
    const clock = config.clock ?? systemClock;
    const link = config.connection
      ? new Link(checkConnection(config.connection), clock, "caller")
      : new Link(await dial(config, clock), clock, "bus");
    link.#warnIfOld();
    return link;
  }

  /** The same connection for one more bus, until that one is closed or this one. */
  share(): Link {
    this.checkOpen();
    const link = new Link(this.connection, this.clock, this);
    this.#shared.add(link);
    return link;
  }

  /** Whether the server answers, as far as is known. */
  get connected(): boolean {
    return this.#connected;
  }

  /**
   * When the server may have been killed last, by the monotonic clock; `-Infinity` if never. While it
   * is away that is assumed; a server that comes back under the same id was there all the time.
   */
  get doubtAt(): number {
    return this.#doubtAt;
  }

  /**
   * Whether the server is one of a cluster: there nobody answers for a stream or a consumer while its
   * leader is elected, which takes up to 10 s.
   */
  get isClustered(): boolean {
    return this.connection.info?.cluster !== undefined;
  }

  /** The server's id: a new one with every start. */
  get serverId(): string {
    return this.#serverId;
  }

  /** What the server can do; may change when a reconnect leads to another one. */
  get features(): ServerFeatures {
    return this.#features;
  }

  /** @throws BusError `CLOSED` once nothing can be sent any more */
  checkOpen(): void {
    if (this.#closed) throw closedError("the bus");
  }

  /** Calls `callback` after every reconnect. Returns how to stop that. */
  onReconnect(callback: () => void): () => void {
    this.#onReconnect.add(callback);
    return () => this.#onReconnect.delete(callback);
  }

  /** Calls `callback` when the server is lost. Returns how to stop that. */
  onDisconnect(callback: () => void): () => void {
    this.#onDisconnected.add(callback);
    return () => this.#onDisconnected.delete(callback);
  }

  /**
   * Resolves when everything sent so far has reached the server; over a reconnect, when what stands
   * then (subscriptions) has. @throws BusError `DISCONNECTED` if that takes longer than `timeoutMs`
   */
  async flush(what: string, timeoutMs: number = FLUSH_TIMEOUT_MS): Promise<void> {
    const deadline = this.clock.monotonic() + timeoutMs;
    for (;;) {
      if (this.connection.isClosed()) throw closedError("the bus");
      const leftMs = deadline - this.clock.monotonic();
      if (leftMs <= 0) {
        throw new BusError("DISCONNECTED", `${what}: the server is away`, {
          details: { outcome: "unknown", timeoutMs },
        });
      }
      // A flush fails when the connection breaks; then the next one counts.
      if (this.#connected && (await this.#flushOnce(leftMs))) return;
      await this.clock.sleep(Math.min(leftMs, FLUSH_RETRY_MS));
    }
  }

  /** Waits up to `limitMs` for the requests that are under way. */
  async drain(limitMs: number): Promise<void> {
    await within(this.clock, this.requester.drained(), limitMs);
  }

  /** Ends the requests that are still under way. Returns how many that were. */
  endRequests(): number {
    return this.requester.close();
  }

  /** Ends the requests, and the connection if it is ours. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const link of this.#shared) await link.close();
    if (this.#above) this.#above.#shared.delete(this);
    this.requester.close();
    this.status.emit({ type: "closed", reason: "the bus was closed" });
    // A caller's connection would go on collecting for it.
    this.#statuses?.stop();
    this.#onReconnect.clear();
    this.#onDisconnected.clear();
    this.outbox.flush();
    if (this.#owned) {
      // What was sent and not awaited (acks, naks) shall reach the server, if it answers.
      if (this.#connected) await this.#flushOnce(LAST_FLUSH_MS);
      await this.connection.close().catch(() => undefined);
    }
  }

  async #flushOnce(limitMs: number): Promise<boolean> {
    let flushed = false;
    this.outbox.flush();
    const flush = this.connection.flush().then(() => {
      flushed = true;
    });
    await within(this.clock, flush, limitMs);
    return flushed;
  }

  async #watch(statuses: Statuses): Promise<void> {
    for await (const status of statuses) {
      if (this.#closed) return;
      this.#onStatus(status);
    }
  }

  #onStatus(status: Status): void {
    for (const link of this.#shared) link.#onStatus(status);
    if (status.type === "disconnect") this.#onDisconnect("the connection was lost");
    else if (status.type === "reconnect") this.#onReconnected();
    else if (status.type === "ldm") {
      this.status.emit({
        type: "warning",
        code: "lame-duck",
        message: "the server is going to stop",
      });
    } else if (status.type === "error") {
      const { error } = status;
      if (error instanceof PermissionViolationError && error.operation === "publish") {
        this.requester.refused(error.subject, error);
      }
      this.status.emit({ type: "warning", code: "server-error", message: error.message });
    } else if (status.type === "slowConsumer") {
      this.status.emit({ type: "slow", what: "connection", dropped: 0 });
    }
  }

  #onDisconnect(reason: string): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#doubtBefore = this.#doubtAt;
    this.#doubtAt = this.clock.monotonic();
    this.requester.disconnected();
    this.status.emit({ type: "disconnected", reason });
    for (const callback of Array.from(this.#onDisconnected)) callback();
  }

  #onReconnected(): void {
    this.#connected = true;
    const serverId = this.connection.info?.server_id ?? "";
    if (serverId === this.#serverId) this.#doubtAt = this.#doubtBefore;
    this.#serverId = serverId;
    this.#features = serverFeatures(this.connection.info?.version ?? this.#features.version);
    this.requester.reconnected();
    this.status.emit({ type: "connected", server: this.connection.getServer() });
    for (const callback of Array.from(this.#onReconnect)) callback();
  }

  #onClosed(error: void | Error): void {
    if (this.#closed) return;
    for (const link of this.#shared) link.#onClosed(error);
    this.#onDisconnect(error ? error.message : "the connection was closed");
    this.status.emit({
      type: "closed",
      reason: error ? error.message : "the connection was closed",
    });
    this.requester.close();
  }

  #warnIfOld(): void {
    const { version, v2_10 } = this.#features;
    if (compareVersions(version, OLDEST_SERVER) < 0) {
      this.status.emit({
        type: "warning",
        code: "server-unsupported",
        message: `nats-server ${version} is older than ${OLDEST_SERVER}, the oldest that is tested`,
      });
    } else if (!v2_10) {
      this.status.emit({
        type: "warning",
        code: "server-outdated",
        message: `nats-server ${version} forgets settled jobs when it is killed; upgrade to 2.10 or newer`,
      });
    }
  }
}
