import { type Bus, VirtualClock } from "@busbar/core";
import { MemoryBus } from "../../../src/memory-bus.ts";
import { type Checker, MemoryServer, type TraceEvent, type TraceType } from "../../../src/index.ts";

type Facts = Readonly<Record<string, unknown>>;

/** Writes a trace by hand, in the words of what happened. */
export class Story {
  readonly events: TraceEvent[] = [];
  #atMs = 0;
  #calls = 0;
  readonly #open = new Map<number, { readonly process: string; op: string; about: string }>();

  /** Time goes on to so many milliseconds. */
  at(atMs: number): this {
    this.#atMs = atMs;
    return this;
  }

  /** A call begins. @returns its number */
  call(process: string, op: string, about: string, data: Facts = {}): number {
    this.#calls += 1;
    this.#open.set(this.#calls, { process, op, about });
    this.#add("call", { process, op, about, call: this.#calls, data });
    return this.#calls;
  }

  result(call: number, data: Facts = {}): this {
    return this.#end("result", call, data);
  }

  error(call: number, code: string, data: Facts = {}): this {
    return this.#end("error", call, { code, ...data });
  }

  /** A call and its result at once. */
  did(
    process: string,
    op: string,
    about: string,
    facts: { asked?: Facts; got?: Facts } = {},
  ): this {
    return this.result(this.call(process, op, about, facts.asked), facts.got);
  }

  deliver(process: string, op: string, about: string, data: Facts): this {
    return this.#add("deliver", { process, op, about, call: 0, data });
  }

  fault(process: string, op: string, data: Facts = {}): this {
    return this.#add("fault", { process, op, about: "", call: 0, data });
  }

  note(process: string, op: string, data: Facts = {}): this {
    return this.#add("note", { process, op, about: "", call: 0, data });
  }

  #end(type: TraceType, call: number, data: Facts): this {
    const open = this.#open.get(call);
    if (open === undefined) throw new Error(`no call ${call} is open`);
    this.#open.delete(call);
    return this.#add(type, { ...open, call, data });
  }

  #add(type: TraceType, event: Omit<TraceEvent, "atMs" | "type">): this {
    this.events.push({ atMs: this.#atMs, type, ...event });
    return this;
  }
}

/** Shows a story to a checker. @returns the first thing that is wrong */
export function verdict(checker: Checker, story: Story): string | undefined {
  for (const event of story.events) {
    const wrong = checker.event(event);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** The same up to the end of the run, where `prepare` makes what is left on the server. */
export async function finalVerdict(
  checker: Checker,
  story: Story,
  end: { readonly drained?: boolean; readonly prepare?: (bus: Bus) => Promise<void> } = {},
): Promise<readonly string[]> {
  const wrong = verdict(checker, story);
  if (wrong !== undefined) return [wrong];
  const clock = new VirtualClock();
  const server = new MemoryServer({ clock, seed: 1 });
  const bus = new MemoryBus(
    {
      backend: "memory",
      namespace: "sim",
      dedupWindowMs: 120_000,
      maxPayloadBytes: 1_048_576,
      clock,
      server,
      name: undefined,
    },
    server,
    () => undefined,
  );
  await end.prepare?.(bus);
  const found = await checker.finish?.({ bus, drained: end.drained ?? true });
  await bus.close({ drainMs: 0 });
  return found ?? [];
}
