import type { TraceEntry } from "./outcome.ts";
import type { Script, Step } from "./script.ts";

/** How a {@link shrink} is done. */
export interface ShrinkOptions {
  /** Whether a script still shows the difference. */
  readonly fails: (script: Script) => Promise<boolean>;
  /** Most scripts to try. @defaultValue 200 */
  readonly maxTries?: number;
  /** How many are tried at a time. @defaultValue 1 */
  readonly concurrency?: number;
}

/**
 * The smallest script that still fails, as far as it is found: first parts of the steps are left out,
 * then single ones, then options of those that remain. Steps name what they are about, and one whose
 * object is not there does nothing, so every part of a script is a script.
 */
export async function shrink(script: Script, options: ShrinkOptions): Promise<Script> {
  const { fails, maxTries = 200, concurrency = 1 } = options;
  let best = script;
  let tries = 0;
  /** Takes the first of several candidates that fails. */
  const firstFailing = async (candidates: readonly Script[]): Promise<number> => {
    for (let start = 0; start < candidates.length && tries < maxTries; start += concurrency) {
      const group = candidates.slice(start, start + concurrency);
      tries += group.length;
      const found = (await Promise.all(group.map(fails))).indexOf(true);
      if (found >= 0) return start + found;
    }
    return -1;
  };
  for (let size = Math.ceil(best.steps.length / 2); size >= 1; ) {
    const candidates = without(best, size);
    const found = await firstFailing(candidates);
    if (found >= 0) best = candidates[found] as Script;
    else if (size === 1) break;
    else size = Math.ceil(size / 2);
    if (tries >= maxTries) break;
    size = Math.min(size, Math.max(1, Math.ceil(best.steps.length / 2)));
  }
  for (;;) {
    const candidates = simpler(best);
    const found = await firstFailing(candidates);
    if (found < 0) return best;
    best = candidates[found] as Script;
  }
}

/** The script with the pauses between its ticks as steps: what is left out does not change them. */
export function withPauses(script: Script, entries: readonly TraceEntry[]): Script {
  const steps: Step[] = [];
  let tick = 0;
  for (const [index, step] of script.steps.entries()) {
    const next = entries[index]?.tick ?? tick;
    // The ids of steps are what they send: that stays as it is.
    const id = script.steps.length + index;
    if (step.op !== "wait" && next > tick) steps.push({ op: "wait", ticks: next - tick, id });
    steps.push(step);
    tick = next;
  }
  return { ...script, steps };
}

/** The script without `size` of its steps, the last ones first: what is behind the failure goes. */
function without(script: Script, size: number): Script[] {
  const { steps } = script;
  const candidates: Script[] = [];
  for (let end = steps.length; end > 0; end -= size) {
    const rest = [...steps.slice(0, Math.max(0, end - size)), ...steps.slice(end)];
    if (rest.length > 0) candidates.push({ ...script, steps: rest });
  }
  return candidates;
}

/** Each way to take one option away, or to make one number smaller. */
function simpler(script: Script): Script[] {
  const candidates: Script[] = [];
  const { dedupWindow, ...rest } = script;
  if (dedupWindow !== undefined) candidates.push(rest);
  for (const [index, step] of script.steps.entries()) {
    for (const simple of simplerSteps(step)) {
      candidates.push({ ...script, steps: script.steps.with(index, simple) });
    }
  }
  return candidates;
}

const REQUIRED: ReadonlySet<string> = new Set(
  [
    "id op name subject durable owner queue bucket key kind verb how call behaviour which".split(
      " ",
    ),
  ].flat(),
);

function simplerSteps(step: Step): Step[] {
  const found: object[] = [];
  for (const [field, value] of Object.entries(step) as [string, unknown][]) {
    if (field === "ticks" && value !== 1) found.push({ ...step, ticks: 1 });
    else if ((field === "pick" || field === "bus") && value !== 0)
      found.push({ ...step, [field]: 0 });
    else if (field === "options" || field === "job") {
      for (const inner of Object.keys(value as object)) {
        const { [inner]: _, ...less } = value as Record<string, unknown>;
        found.push({ ...step, [field]: less });
      }
    } else if (field === "jobs" && (value as unknown[]).length > 1) {
      found.push({ ...step, jobs: (value as unknown[]).slice(0, -1) });
    } else if (
      !REQUIRED.has(field) &&
      !["ticks", "pick", "bus", "jobs", "ttl", "timeout", "expect", "writers"].includes(field)
    ) {
      const { [field]: _, ...less } = step as Record<string, unknown>;
      found.push(less);
    }
  }
  return found as Step[];
}
