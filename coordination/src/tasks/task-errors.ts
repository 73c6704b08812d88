import type { TaskFailureKind } from "./task-record.ts";

/** Thrown by a handler: again, after this time. It counts as an attempt. */
export class RetryTask extends Error {
  override readonly name = "RetryTask";
  readonly delayMs: number;

  constructor(delayMs: number, reason = "the handler asked for another attempt") {
    super(reason);
    this.delayMs = delayMs;
  }
}

/** Thrown by a handler: never again. The task goes to the dead letters, with the reason. */
export class DiscardTask extends Error {
  override readonly name = "DiscardTask";
  /** How it is recorded. @internal */
  readonly kind: TaskFailureKind;

  constructor(reason: string, kind: TaskFailureKind = "discarded") {
    super(reason);
    this.kind = kind;
  }
}
