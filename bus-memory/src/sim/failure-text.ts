import type { Draw } from "./draws.ts";
import { isSpell, kindOf } from "./fault-plan.ts";
import type { Exploration } from "./explore.ts";
import type { Played } from "./scenario.ts";
import type { Shrunk } from "./shrink.ts";
import { formatTimeline } from "./timeline.ts";

const MAX_LINES = 20;
const FIRST_LINES = 40;
const LAST_LINES = 40;

/** A failure for people: what is wrong, and the smallest run that shows it. */
export function formatFailure(
  failure: Played<unknown>,
  shrunk: Shrunk<unknown> | undefined,
): string {
  const head = `${failure.scenario} fails with seed ${failure.seed}: ${foundBy(failure)}`;
  const place = failure.finding?.at;
  if (shrunk === undefined) return [head, ...(place ? [place] : []), ""].join("\n");
  const { from, steps, plan, runs, isCutShort, trace } = shrunk;
  const cut = isCutShort ? "; more runs or time might make it smaller" : "";
  return [
    head,
    ...(place ? [place] : []),
    "",
    `The smallest run found that fails in the same way (${runs} runs${cut}): ${foundBy(shrunk)}`,
    "",
    `Steps, ${steps.length} of ${from.steps}:`,
    ...listed(steps.map((step, index) => `${index + 1}. ${JSON.stringify(step)}`)),
    "",
    `Faults and delays, ${plan.length} of ${from.plan}:`,
    ...listed(plan.length === 0 ? ["none"] : describePlan(plan)),
    "",
    shortened(formatTimeline(trace)),
    "",
  ].join("\n");
}

/** What many seeds came to, for people. */
export function formatExploration(found: Exploration<unknown>): string {
  const { scenario, from, seeds, failures, calls, deliveries, virtualMs, faults, reached } = found;
  const range = `seeds ${from} to ${from + seeds - 1}`;
  // How many seeds were played besides the one that failed differs with the number of threads.
  if (failures.length > 0) return "";
  const kinds = Object.entries(faults).toSorted(([one], [other]) => (one < other ? -1 : 1));
  const states = Object.entries(reached);
  return [
    `${scenario} passes with ${range}`,
    `${calls} calls, ${deliveries} deliveries, ${(virtualMs / 3_600_000).toFixed(1)} hours of virtual time`,
    ...wrapped(
      "faults:",
      kinds.map(([kind, times]) => `${kind} ${times}`),
    ),
    ...states.map(([state, times]) => `reached in ${times} of ${seeds} seeds: ${state}`),
    ...(states.some(([, times]) => times === 0) ? ["some states were never reached"] : []),
    "",
  ].join("\n");
}

/** What the draws of a plan stand for. */
/** What the draws of a plan stand for. */
export function describePlan(plan: readonly Draw[]): string[] {
  const spells = plan.filter(({ label }) => isSpell(label));
  const lines = spells.map(({ label, index }) => {
    const valueOf = (part: string, at: number): string => {
      const found = plan.find((own) => own.label === `${label}/${part}` && own.index === at);
      return found === undefined ? "the least time" : `${found.value} ms`;
    };
    const order = spells.filter((own) => own.label === label).findIndex((o) => o.index === index);
    const after = `after ${valueOf("after", index)}`;
    const lasts = valueOf("for", order);
    return `${who(label)}: ${kindOf(label)} no. ${index + 1}, ${after}, for ${lasts}`;
  });
  for (const { label, index, value } of plan) {
    if (isSpell(label) || isOfSpell(label)) continue;
    const kind = kindOf(label);
    const text = SENTENCES[kind] ?? `${label} no. N is V`;
    lines.push(`${who(label)}: ${text.replace("N", `${index + 1}`).replace("V", `${value}`)}`);
  }
  return lines;
}

/** N is the how manieth one, V the value. */
const SENTENCES: Readonly<Record<string, string>> = {
  dropRequest: "request no. N never reaches the server (dropRequest)",
  dropReply: "answer no. N is lost on its way back (dropReply)",
  dropSettle: "ack, nak or term no. N never reaches the server (dropSettle)",
  dropDelivery: "delivery no. N is lost on its way (dropDelivery)",
  duplicate: "what may be repeated is sent twice, no. N (duplicate)",
  reorder: "what comes late overtakes, no. N (reorder)",
  slow: "delivery no. N lies for a while (slow)",
  slowFor: "slow delivery no. N lies for V ms",
  out: "packet no. N to the server takes V ms",
  back: "packet no. N from the server takes V ms",
  skew: "its wall clock is off by V ms in life no. N",
  drift: "its clock is too fast by V in life no. N",
  sign: "the other way round in life no. N",
};

function isOfSpell(label: string): boolean {
  return /\/(?:after|for)$/.test(label) && isSpell(label.slice(0, label.lastIndexOf("/")));
}

function who(label: string): string {
  return label.slice(0, label.indexOf("/"));
}

function foundBy({ finding }: Played<unknown>): string {
  return finding === undefined ? "nothing" : `${finding.by}: ${finding.what}`;
}

function wrapped(head: string, words: readonly string[]): string[] {
  if (words.length === 0) return [];
  const lines = [head];
  for (const [index, word] of words.entries()) {
    const part = index < words.length - 1 ? `${word},` : word;
    const last = lines.at(-1) ?? "";
    if (last.length + part.length < 100) lines[lines.length - 1] = `${last} ${part}`;
    else lines.push(`  ${part}`);
  }
  return lines;
}

/** The beginning and the end of a long text. */
function shortened(text: string): string {
  const lines = text.split("\n");
  const left = lines.length - FIRST_LINES - LAST_LINES;
  if (left <= 1) return text;
  const first = lines.slice(0, FIRST_LINES);
  return [...first, `  … ${left} lines …`, ...lines.slice(-LAST_LINES)].join("\n");
}

function listed(lines: readonly string[]): string[] {
  const more = lines.length - MAX_LINES;
  return [...lines.slice(0, MAX_LINES), ...(more > 0 ? [`and ${more} more`] : [])].map(
    (line) => `  ${line}`,
  );
}
