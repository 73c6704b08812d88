import type {
  DeadLetter,
  DeadLetterPage,
  DeadLetters,
  Headers,
  ListDeadLettersOptions,
} from "@busbar/core";
import { checkName, checkPageCursor, resolveLimit } from "@busbar/core/adapter";
import type { NatsContext } from "./context.ts";
import { API, apiCode } from "./errors.ts";
import { encodeHeaders, type Fields, field, H, numberField, userHeaders } from "./wire/headers.ts";
import { ownBytes } from "./wire/bytes.ts";
import type { StoredMessage } from "./wire/jetstream-api.ts";
import type { OwnerKind } from "./wire/names.ts";

/** A message or job on its way to the dead letters. */
export interface Burial {
  readonly owner: string;
  /** The original's sequence in its stream: the dead letter's id. */
  readonly sequence: number;
  readonly subject: string;
  readonly reason: string;
  readonly attempts: number;
  readonly publishedAtMs: number;
  readonly payload: Uint8Array;
  readonly headers: Headers;
  /** What replay needs besides. */
  readonly fields: Fields;
}

/** Puts a dead letter back where it came from; twice within the dedup window is once. @returns false if that is gone */
export type Reviver = (
  letter: DeadLetter,
  stored: StoredMessage,
  replayId: string,
) => Promise<boolean>;

/** Removes the original, if a crash between burying and settling left it. */
export type Remover = (owner: string, sequence: number) => Promise<void>;

const TIMEOUT_MS = 5_000;
/** What the message id of a replay begins with. */
export const REPLAY_ID = "busbar-replay-";

/**
 * The dead letters of durables or of queues: one stream for a namespace, one subject for a letter,
 * named by the original's sequence. A letter is stored only if its subject has none yet, so burying
 * twice is the same as once, and the original is settled only after that.
 */
export class NatsDeadLetters implements DeadLetters {
  readonly #context: NatsContext;
  readonly #kind: OwnerKind;
  readonly #revive: Reviver;
  readonly #removeOriginal: Remover;

  constructor(context: NatsContext, kind: OwnerKind, revive: Reviver, removeOriginal: Remover) {
    this.#context = context;
    this.#kind = kind;
    this.#revive = revive;
    this.#removeOriginal = removeOriginal;
  }

  /** Stores a dead letter. Done before is done. */
  async bury(burial: Burial): Promise<void> {
    const { api, names } = this.#context;
    await this.#ensure();
    try {
      await api.publish({
        subject: names.deadSubject(this.#kind, burial.owner, String(burial.sequence)),
        payload: burial.payload,
        headers: encodeHeaders(burial.headers, [
          [H.expectedLastSubjectSequence, 0],
          [H.deadSubject, burial.subject],
          [H.reason, burial.reason],
          [H.attempts, burial.attempts],
          [H.publishedAt, burial.publishedAtMs],
          ...burial.fields,
        ]),
        timeoutMs: TIMEOUT_MS,
        what: `dead letter of ${burial.owner}`,
        idempotent: true,
      });
    } catch (error) {
      const code = apiCode(error);
      if (code !== API.wrongLastSequence && code !== API.wrongLastSequenceConstant) throw error;
    }
  }

  async list(owner: string, options: ListDeadLettersOptions = {}): Promise<DeadLetterPage> {
    const { api, names } = this.#context;
    this.#check(owner);
    const limit = resolveLimit(options.limit, 100, 1_000);
    let next = options.after === undefined ? 1 : checkPageCursor(options.after) + 1;
    await this.#ensure();
    const filter = names.deadSubject(this.#kind, owner, "*");
    const entries: DeadLetter[] = [];
    // One more than asked for tells whether there is a next page.
    while (entries.length <= limit) {
      const stored = await api.nextOn(names.deadStream, next, filter);
      if (!stored) return { entries, next: undefined };
      if (entries.length === limit) break;
      entries.push(this.#letter(owner, stored));
      next = stored.sequence + 1;
    }
    return { entries, next: String(next - 1) };
  }

  async get(owner: string, id: string): Promise<DeadLetter | undefined> {
    const stored = await this.#find(owner, id);
    return stored && this.#letter(owner, stored);
  }

  async count(owner: string): Promise<number> {
    const { api, names } = this.#context;
    this.#check(owner);
    await this.#ensure();
    return api.countMessages(names.deadStream, names.deadSubject(this.#kind, owner, "*"));
  }

  async replay(owner: string, id: string): Promise<boolean> {
    const stored = await this.#find(owner, id);
    if (!stored) return false;
    const letter = this.#letter(owner, stored);
    await this.#removeOriginal(owner, Number(id));
    const replayId = `${REPLAY_ID}${this.#kind}-${id}-${stored.sequence}`;
    if (!(await this.#revive(letter, stored, replayId))) return false;
    await this.#context.api.deleteMessage(this.#context.names.deadStream, stored.sequence);
    return true;
  }

  async discard(owner: string, id: string): Promise<boolean> {
    const stored = await this.#find(owner, id);
    if (!stored) return false;
    await this.#removeOriginal(owner, Number(id));
    return this.#context.api.deleteMessage(this.#context.names.deadStream, stored.sequence, true);
  }

  async purge(owner: string): Promise<number> {
    const { api, names } = this.#context;
    this.#check(owner);
    await this.#ensure();
    return api.purge(names.deadStream, names.deadSubject(this.#kind, owner, "*"));
  }

  #check(owner: string): void {
    this.#context.lifecycle.checkOpen();
    checkName(this.#kind === "job" ? "queue" : "durable", owner);
  }

  async #find(owner: string, id: string): Promise<StoredMessage | undefined> {
    const { api, names } = this.#context;
    this.#check(owner);
    // Ids are sequences: anything else cannot be there.
    if (!/^\d{1,16}$/.test(id)) return undefined;
    await this.#ensure();
    return api.lastOn(names.deadStream, names.deadSubject(this.#kind, owner, id));
  }

  #letter(owner: string, stored: StoredMessage): DeadLetter {
    const { headers, data } = stored.message;
    return {
      id: stored.subject.slice(stored.subject.lastIndexOf(".") + 1),
      owner,
      subject: field(headers, H.deadSubject) ?? "",
      reason: field(headers, H.reason) ?? "",
      attempts: numberField(headers, H.attempts) ?? 0,
      payload: ownBytes(data),
      headers: userHeaders(headers),
      publishedAtMs: numberField(headers, H.publishedAt) ?? 0,
      deadAtMs: stored.timeMs,
    };
  }

  #ensure(): Promise<void> {
    const { names, provisioner } = this.#context;
    return provisioner.ensure({ name: names.deadStream, subjects: [names.deadSubjects] });
  }
}
