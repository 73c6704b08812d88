import type { TraceEvent } from "./trace.ts";

const WIDTH = 100;
const TIME_WIDTH = 10;
const MAX_LANES = 6;

/**
 * A trace as a table for people, at most 100 columns wide: a lane for each process, one line for each
 * thing that happened. What a call gave stands on its line if nothing happened in between. Claims that
 * found nothing are left out.
 */
export function formatTimeline(trace: readonly TraceEvent[]): string {
  const entries = entriesOf(trace);
  const lanes = [...new Set(entries.map(({ process }) => process))];
  const laneWidth =
    lanes.length > MAX_LANES
      ? 0
      : Math.floor((WIDTH - TIME_WIDTH - 34) / Math.max(1, lanes.length - 1));
  const indentOf = (process: string): number => Math.min(14, laneWidth) * lanes.indexOf(process);
  const line = ({ atMs, process, text }: Entry): string => {
    const lane = laneWidth > 0 ? " ".repeat(indentOf(process)) : `${process}  `;
    const full = `${time(atMs).padStart(TIME_WIDTH)}  ${lane}${text}`;
    return full.length > WIDTH ? `${full.slice(0, WIDTH - 1)}…` : full;
  };
  const head = laneWidth > 0 ? [heading(lanes, indentOf)] : [];
  return [...head, ...entries.map(line)].join("\n");
}

/** What need not be said. */
const USUAL: Readonly<Record<string, unknown>> = { offsetMs: 0, rate: 1, priority: 0, from: "all" };
const HIDDEN = ["member", "workerId", "leftMs"];

interface Entry {
  readonly atMs: number;
  readonly process: string;
  readonly text: string;
}

function entriesOf(trace: readonly TraceEvent[]): Entry[] {
  const entries: Entry[] = [];
  let open: TraceEvent | undefined;
  for (const event of eventsToShow(trace)) {
    const { atMs, type, process } = event;
    const isEnd = type === "result" || type === "error";
    const last = entries.at(-1);
    if (isEnd && last && open?.type === "call" && open.call === event.call) {
      const took = atMs - open.atMs;
      const text = `${last.text} ${endOf(event)}${took >= 1_000 ? ` after ${time(took)}` : ""}`;
      entries[entries.length - 1] = { ...last, text };
    } else {
      entries.push({ atMs, process, text: textOf(event) });
    }
    open = event;
  }
  return entries;
}

/** Leaves out claims that gave no job, and the healing of what was whole. */
export function eventsToShow(trace: readonly TraceEvent[]): TraceEvent[] {
  const hidden = new Set<TraceEvent>();
  const calls = new Map<number, TraceEvent>();
  for (const event of trace) {
    const { type, op, call, data } = event;
    if (type === "call") calls.set(call, event);
    else if (type === "note" && op === "mended") hidden.add(event);
    else if (type === "result" && Array.isArray(data["jobs"]) && data["jobs"].length === 0) {
      hidden.add(event);
      const begun = calls.get(call);
      if (begun) hidden.add(begun);
    }
  }
  return trace.filter((event) => !hidden.has(event));
}

/** An event without its time and process. */
export function textOf(event: TraceEvent): string {
  const { type, op, about, data } = event;
  if (type === "result" || type === "error") return `${op} ${about} ${endOf(event)}`;
  if (type === "deliver") return `<< ${[op, about, facts(data)].filter(Boolean).join(" ")}`;
  if (type === "fault") return `** ${[op, facts(data)].filter(Boolean).join(" ")}`;
  if (type === "note" && "step" in data) return `-- ${op}: ${shown(data["step"])}`;
  if (type === "note") return `-- ${[op, facts(data)].filter(Boolean).join(" ")}`;
  return [op, about, facts(data)].filter(Boolean).join(" ");
}

function endOf({ type, data }: TraceEvent): string {
  if (type === "error") return `-> ${shown(data["code"] ?? "failed")}`;
  return `-> ${facts(data) || "ok"}`;
}

function facts(data: TraceEvent["data"]): string {
  return Object.entries(data)
    .filter(([, value]) => value !== undefined && value !== false)
    .filter(([name, value]) => USUAL[name] !== value && !HIDDEN.includes(name))
    .map(([name, value]) => (value === true ? name : `${name}=${shown(value)}`))
    .join(" ");
}

function shown(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return `${Math.round(value * 1_000) / 1_000}`;
  if (Array.isArray(value)) return `[${value.map(shown).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return Object.entries(value)
    .map(([name, own]) => (name === "do" ? shown(own) : `${name}=${shown(own)}`))
    .join(" ");
}

function heading(lanes: readonly string[], indentOf: (process: string) => number): string {
  let line = "time".padStart(TIME_WIDTH).concat("  ");
  for (const lane of lanes) {
    line = line.padEnd(TIME_WIDTH + 2 + indentOf(lane)).concat(lane, " ");
  }
  return line.trimEnd();
}

/** As seconds from a second on. */
function time(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms * 10) / 10} ms` : `${Math.round(ms) / 1_000} s`;
}
