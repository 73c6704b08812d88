import { matchesSubject } from "@busbar/core/adapter";
import type { BusContext } from "./context.ts";

/** What is sent: at most once, and not kept for those who come later. */
export interface Parcel {
  readonly subject: string;
  readonly payload: Uint8Array;
  /** JSON. */
  readonly headers: string;
  /** What sender and receiver say to each other besides, as JSON. */
  readonly note: string;
}

/** How long a parcel lies in a box that nobody empties, beyond the time that somebody waits for it. */
const LIVE_MS = 10_000;

/** Who receives: listeners, servers of requests, and buses that wait for replies. */
export type RouteKind = "live" | "rpc" | "reply";

/** A receiver that is open. */
export interface Route {
  readonly id: number;
  /** Takes what has come: also what came before `close`. */
  receive(): void;
  /** Receives no more. */
  close(): void;
}

/**
 * Carries what is not stored between all buses on the file: who sends puts a copy into the box of
 * each receiver, in one transaction.
 */
export class PostOffice {
  readonly #context: BusContext;

  constructor(context: BusContext) {
    this.#context = context;
  }

  /** Begins to receive what matches the pattern; those of one group share. */
  open(
    kind: RouteKind,
    target: { readonly pattern: string; readonly group: string | undefined },
    onParcel: (parcel: Parcel) => void,
  ): Route {
    const { file, ns } = this.#context;
    const { pattern, group: grp = null } = target;
    const id = file.insert("route", { ns, kind, pattern, grp, process: file.process });
    const receive = (): void => {
      for (const parcel of this.#collect(id)) onParcel(parcel);
    };
    const taking = this.#context.retry([boxOf(id)], () => {
      receive();
      return Number.POSITIVE_INFINITY;
    });
    const close = (): void => {
      taking.stop();
      file.write(() => {
        file.run("DELETE FROM route WHERE id = ?", id);
        file.run("DELETE FROM mail WHERE route = ?", id);
      });
    };
    return { id, receive, close };
  }

  /**
   * Sends to every receiver without a group and to one of each group. `waitMs` is how long somebody
   * waits for an answer. Within a transaction.
   * @returns how many there are.
   */
  sendToAll(kind: RouteKind, parcel: Parcel, waitMs = 0): number {
    const { file, ns, config } = this.#context;
    const routes = file
      .all<{ id: number; pattern: string; grp: string | null }>(
        `SELECT route.id, pattern, grp FROM route JOIN process ON process.id = process
          WHERE ns = ? AND kind = ? AND seen_ms >= ? ORDER BY route.id`,
        ns,
        kind,
        file.aliveSinceMs,
      )
      .filter(({ pattern }) => matchesSubject(pattern, parcel.subject));
    const chosen = routes.filter(({ grp }) => grp === null);
    for (const group of new Set(routes.map(({ grp }) => grp))) {
      if (group === null) continue;
      const members = routes.filter(({ grp }) => grp === group);
      const index = Math.floor(config.random.next() * members.length);
      chosen.push(...members.slice(index, index + 1));
    }
    for (const { id } of chosen) this.sendTo(id, parcel, waitMs);
    return chosen.length;
  }

  /** Sends to one receiver, if it is still there. Within a transaction. */
  sendTo(route: number, parcel: Parcel, waitMs = 0): void {
    const { file, clock } = this.#context;
    const nowMs = clock.now();
    file.run("DELETE FROM mail WHERE until_ms <= ?", nowMs);
    file.run(
      `INSERT INTO mail (route, subject, payload, headers, note, until_ms)
        SELECT id, ?, ?, ?, ?, ? FROM route WHERE id = ?`,
      parcel.subject,
      parcel.payload,
      parcel.headers,
      parcel.note,
      nowMs + waitMs + LIVE_MS,
      route,
    );
    // Told at the end of this task: the transaction is over by then.
    file.hub.wake(boxOf(route));
  }

  #collect(route: number): Parcel[] {
    const { file, clock } = this.#context;
    // Only its owner empties a box: nothing else is taken out in between.
    const rows = file.all<Parcel & { readonly id: number; readonly until_ms: number }>(
      "SELECT * FROM mail WHERE route = ? ORDER BY id",
      route,
    );
    const last = rows.at(-1);
    if (last === undefined) return [];
    file.run("DELETE FROM mail WHERE route = ? AND id <= ?", route, last.id);
    const nowMs = clock.now();
    return rows.filter(({ until_ms }) => until_ms > nowMs);
  }
}

function boxOf(route: number): string {
  return `route ${route}`;
}
