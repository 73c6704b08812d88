/** One operation on a key, as a process saw it. Its times are places in the order of all events. */
export interface KvOperation {
  readonly kind: "get" | "put" | "create" | "cas" | "delete";
  readonly process: string;
  /** In the world's time, for messages. */
  readonly atMs: number;
  readonly called: number;
  /** `Infinity` if nobody knows how it ended: it may take effect at any time from its call on. */
  readonly returned: number;
  readonly outcome: "done" | "conflict" | "unknown";
  /** What was written; of a get, what was read. */
  readonly value: string | undefined;
  /** What a cas or delete expected. */
  readonly expected: number | undefined;
  /** Of a write its own, of a get what was read, of a conflict what was there: 0 for no value. */
  readonly revision: number | undefined;
}

/** A key at one moment, as far as its history says. */
export interface KvState {
  /** `undefined`: there is none. */
  readonly value: string | undefined;
  /** 0 if there is no value, or if nobody was told. */
  readonly revision: number;
  /** Its revision is greater than this one, if it is not known. */
  readonly floor: number;
  /** True if nothing is known: any value may be there. */
  readonly isAny: boolean;
}

/** Before the first write. */
export const NO_VALUE: KvState = { value: undefined, revision: 0, floor: 0, isAny: false };
/** After a crash that lost nobody knows what. */
export const ANY_VALUE: KvState = { value: undefined, revision: 0, floor: 0, isAny: true };

/** What is there after an operation, or `undefined` if it could not have had its result then. */
export function apply(state: KvState, operation: KvOperation): KvState | undefined {
  const { kind, outcome, value, revision = 0 } = operation;
  if (outcome === "conflict") return afterConflict(state, operation);
  if (kind === "get") return afterGet(state, operation);
  if (!mayWrite(state, operation)) return undefined;
  if (kind === "delete") return { ...NO_VALUE, floor: state.floor };
  if (outcome === "unknown") return { value, revision: 0, floor: state.floor, isAny: false };
  if (revision <= state.floor) return undefined;
  return { value, revision, floor: revision, isAny: false };
}

/** Whether it may change what is there. */
export function isWrite({ kind, outcome }: KvOperation): boolean {
  return kind !== "get" && outcome !== "conflict";
}

/** Whether it writes whatever is there. */
export function isBlind({ kind, outcome, expected }: KvOperation): boolean {
  return (
    outcome !== "conflict" && (kind === "put" || (kind === "delete" && expected === undefined))
  );
}

/** Whether two states allow the same. */
export function isSame(one: KvState, other: KvState): boolean {
  const { value, revision, floor, isAny } = other;
  return (
    one.value === value && one.revision === revision && one.floor === floor && one.isAny === isAny
  );
}

function mayWrite(state: KvState, { kind, expected, revision }: KvOperation): boolean {
  if (kind === "put" || expected === undefined) {
    return kind !== "create" || state.isAny || state.value === undefined;
  }
  if (expected === 0) return state.isAny || state.value === undefined;
  return isAt(state, expected) && (revision === undefined || revision > expected);
}

function afterGet(state: KvState, { value, revision }: KvOperation): KvState | undefined {
  if (revision === undefined) {
    return state.isAny || state.value === undefined ? { ...state, ...NOTHING } : undefined;
  }
  const isThere = isAt(state, revision) && (state.isAny || state.value === value);
  return isThere ? { value, revision, floor: revision, isAny: false } : undefined;
}

function afterConflict(state: KvState, operation: KvOperation): KvState | undefined {
  const { expected = 0, revision } = operation;
  if (revision === undefined) {
    if (state.isAny) return state;
    const current = state.value === undefined ? 0 : state.revision;
    // A revision that nobody knows may be any but that of nothing.
    const isKnown = state.value === undefined || state.revision > 0;
    if (expected === 0) return state.value === undefined ? undefined : state;
    return isKnown && current === expected ? undefined : state;
  }
  if (revision === expected) return undefined;
  if (revision === 0) {
    return state.isAny || state.value === undefined ? { ...state, ...NOTHING } : undefined;
  }
  if (!isAt(state, revision)) return undefined;
  return state.isAny ? state : { ...state, revision, floor: revision };
}

const NOTHING = { value: undefined, revision: 0, isAny: false } as const;

/** Whether a value with this revision may be there. */
function isAt(state: KvState, revision: number): boolean {
  if (state.isAny) return revision > state.floor;
  if (state.value === undefined) return false;
  return state.revision === 0 ? revision > state.floor : state.revision === revision;
}
