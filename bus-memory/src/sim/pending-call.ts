import { BusError, type Timer } from "@busbar/core";
import { timeoutError } from "@busbar/core/adapter";
import type { Call, Link, LinkParts, ParkedCall } from "./link.ts";

/** What becomes of a call, and how its result looks in the trace. */
export interface CallEnds<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  readonly facts: ((value: T) => Readonly<Record<string, unknown>>) | undefined;
}

/**
 * A call of a process on its way to the server and back.
 *
 * States: *waiting* (the link is down) -> *sent* -> the answer arrives -> *over*;
 * *sent* -> something is lost -> *unanswered* -> the time of the call is over -> *over*, with
 * `TIMEOUT`; *waiting* -> the time is over -> *over*, with `DISCONNECTED`.
 * *sent* -> the connection breaks -> *waiting*, if the call may be sent again, else *unanswered*.
 */
export class PendingCall<T> implements ParkedCall {
  readonly sinceMs: number;
  readonly #link: Link;
  readonly #parts: LinkParts;
  readonly #call: Call;
  readonly #run: () => Promise<T>;
  readonly #ends: CallEnds<T>;
  readonly #number: number;
  readonly #startMs: number;
  #isOver = false;
  #isSent = false;
  #timer: Timer | undefined;

  constructor(
    link: Link,
    parts: LinkParts,
    call: Call,
    work: { readonly run: () => Promise<T>; readonly ends: CallEnds<T> },
  ) {
    this.#link = link;
    this.#parts = parts;
    this.#call = call;
    this.#run = work.run;
    this.#ends = work.ends;
    this.#number = parts.recorder.call(parts.name, call);
    this.#startMs = parts.clock.monotonic();
    this.sinceMs = parts.recorder.nowMs;
    link.park(this.#number, this);
  }

  get op(): string {
    return this.#call.op;
  }

  get about(): string {
    return this.#call.about;
  }

  abandon(error: unknown): void {
    this.#fail(error);
  }

  /** Sends it as soon as the link is up. */
  start(): void {
    if (this.#link.isDown) this.#armTimer();
    this.#link.whenUp(() => this.#send());
  }

  #send(): void {
    if (this.#isOver) return;
    this.#isSent = true;
    const { epoch } = this.#link;
    const lost = (): void => this.#lost(epoch);
    this.#link.travel("out", { arrive: () => this.#atServer(epoch), lost }, "dropRequest");
    if (this.#call.again === "inDoubt") this.#link.maybeTwice(this.#run, "dropRequest");
  }

  #atServer(epoch: number): void {
    this.#run().then(
      (value) => this.#back(epoch, () => this.#succeed(value)),
      (error: unknown) => this.#back(epoch, () => this.#fail(error)),
    );
  }

  #back(epoch: number, arrive: () => void): void {
    const lost = (): void => this.#lost(epoch);
    if (epoch === this.#link.epoch) this.#link.travel("back", { arrive, lost }, "dropReply");
    else lost();
  }

  #lost(epoch: number): void {
    this.#armTimer();
    const isBroken = epoch !== this.#link.epoch;
    if (isBroken && this.#call.again !== undefined) this.#link.whenUp(() => this.#send());
  }

  /** Only what gets no answer needs a timer: everything else ends by itself. */
  #armTimer(): void {
    const { clock } = this.#parts;
    const { op, about, timeoutMs } = this.#call;
    this.#timer ??= clock.setTimer(
      () => {
        this.#fail(this.#isSent ? timeoutError(`${op} ${about}`, timeoutMs) : notSent(this.#call));
      },
      Math.max(0, timeoutMs - (clock.monotonic() - this.#startMs)),
    );
  }

  #succeed(value: T): void {
    this.#end(() => {
      const { recorder, name } = this.#parts;
      const { facts, resolve } = this.#ends;
      recorder.done(name, this.#call, { number: this.#number, value, facts });
      resolve(value);
    });
  }

  #fail(error: unknown): void {
    this.#end(() => {
      const { recorder, name } = this.#parts;
      recorder.failed(name, this.#call, { number: this.#number, error });
      this.#ends.reject(error);
    });
  }

  #end(finish: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#parts.gate.pass(() => {
      this.#link.unpark(this.#number);
      finish();
    });
  }
}

function notSent({ op, about, timeoutMs }: Call): BusError {
  return new BusError(
    "DISCONNECTED",
    `${op} ${about}: the server was away for ${timeoutMs} ms; nothing was sent`,
    { details: { outcome: "notSent" } },
  );
}
