import { eventsToShow, textOf } from "./timeline.ts";
import type { TraceEvent } from "./trace.ts";

const MAX_TEXT = 60;

/** A trace as a Mermaid sequence diagram: every process, and the server between them. */
export function formatMermaid(trace: readonly TraceEvent[]): string {
  const events = eventsToShow(trace);
  const names = [...new Set(events.map(({ process }) => process))].filter(
    (name) => name !== "server",
  );
  const ids = new Map(["server", ...names].map((name, index) => [name, `p${index}`]));
  const lines = events.map((event) => {
    const id = ids.get(event.process) ?? "p0";
    const text = textOf(event)
      .replaceAll(/[;#:<>]/g, " ")
      .trim();
    const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text;
    if (event.type === "call") return `  ${id}->>p0: ${short}`;
    if (event.type === "error") return `  p0--x${id}: ${short}`;
    if (event.type === "result" || event.type === "deliver") return `  p0-->>${id}: ${short}`;
    return `  Note over ${id}: ${Math.round(event.atMs)} ms ${short}`;
  });
  const participants = [...ids].map(([name, id]) => `  participant ${id} as ${name}`);
  return `${["sequenceDiagram", ...participants, ...lines].join("\n")}\n`;
}
