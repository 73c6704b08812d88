/** Something the bus noticed by itself. */
export type BusStatus =
  /** The server answers (again). */
  | { readonly type: "connected"; readonly server: string }
  /** The server is away; operations wait, subscriptions resume when it is back. */
  | { readonly type: "disconnected"; readonly reason: string }
  /** Somebody is too slow: `what` lost or held back something. */
  | { readonly type: "slow"; readonly what: string; readonly dropped: number }
  /** An operator should know: an old server, a stream of unexpected shape. */
  | { readonly type: "warning"; readonly code: string; readonly message: string }
  /** The bus is closed; nothing follows. */
  | { readonly type: "closed"; readonly reason: string };
