import type { DeadLetter, DeadLetters } from "@busbar/core";
import { type Outcome, outcomeOf } from "../outcome.ts";
import type { Run } from "../run.ts";
import type { StepOf } from "../script.ts";
import { bodyOf, byBody, letterView } from "./views.ts";

/** No dead letter has this id. */
const UNKNOWN_ID = "987654";
/** A walk over pages that has not ended by then never does. */
const MAX_PAGES = 200;

/** Lists what is there, then does something with one of them, or all. */
export async function dead(run: Run, step: StepOf<"dead">): Promise<Outcome> {
  const { kind, owner, verb, pick, limit } = step;
  const bus = run.bus(step.bus);
  const letters = kind === "durable" ? bus.pubsub.deadLetters : bus.jobs.deadLetters;
  let found: DeadLetter[] = [];
  const list = await run.eventually(
    () =>
      outcomeOf(
        async () => {
          found = await walk(letters, owner, verb === "list" ? limit : undefined);
          return found;
        },
        (all) => all.map((letter) => letterView(run, letter)),
      ),
    "list",
  );
  if (!Array.isArray(list) || verb === "list") return { list };
  const chosen = pick === undefined ? undefined : found[pick % Math.max(1, found.length)];
  const id = chosen?.id ?? UNKNOWN_ID;
  // Somebody may wait for it: it is there before the replay has resolved.
  if (verb === "replay" && chosen) run.facts.replayed.add(bodyOf(chosen.payload));
  const result = await outcomeOf((): Promise<Outcome> => {
    if (verb === "count") return letters.count(owner);
    if (verb === "purge") return letters.purge(owner);
    if (verb === "discard") return letters.discard(owner, id);
    if (verb === "replay") return letters.replay(owner, id);
    return letters.get(owner, id).then((one) => (one ? letterView(run, one) : null));
  }, identity);
  if (verb === "replay" && result === true && chosen) {
    run.returned(kind, owner, bodyOf(chosen.payload));
  }
  return { list, result };
}

/** Oldest first; those of one tick in the order of their bodies, because that is not promised. */
async function walk(
  letters: DeadLetters,
  owner: string,
  limit: number | undefined,
): Promise<DeadLetter[]> {
  const all: DeadLetter[] = [];
  let after: string | undefined;
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const page = await letters.list(owner, {
      ...(limit !== undefined && { limit }),
      ...(after !== undefined && { after }),
    });
    all.push(...page.entries);
    after = page.next;
    if (after === undefined) break;
  }
  return all.sort((a, b) => byBody(bodyOf(a.payload), bodyOf(b.payload)));
}

function identity(outcome: Outcome): Outcome {
  return outcome;
}
