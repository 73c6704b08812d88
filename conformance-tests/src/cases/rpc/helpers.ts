import { type Bus, type BusError, isBusError, type Reply, toText } from "@busbar/core";
import { check, ConformanceFailure } from "../../assert.ts";

/** Sends text and gives the text of the reply. */
export async function ask(bus: Bus, subject: string, text: string): Promise<string> {
  return toText((await bus.rpc.request(subject, text)).payload);
}

/** Something that handlers wait for until the case says so. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** A closed gate. */
export function gate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** All replies, as text. */
export async function textsOf(replies: AsyncIterable<Reply>): Promise<string[]> {
  const texts: string[] = [];
  for await (const reply of replies) texts.push(toText(reply.payload));
  return texts;
}

/** What a promise rejected with. */
export async function thrownBy(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new ConformanceFailure("expected an error");
}

/** Fails unless the promise rejects with some `BusError`, whatever its code; gives it. */
export async function busErrorOf(promise: Promise<unknown>): Promise<BusError> {
  const error = await thrownBy(promise);
  check(isBusError(error), `expected a BusError, got ${String(error)}`);
  return error;
}
