import { isSame, type Outcome } from "./outcome.ts";
import type { Step } from "./script.ts";

/** A difference that is known, and where it is allowed. */
export interface Rule {
  readonly id: string;
  /** Which servers. */
  readonly servers: string;
  readonly what: string;
  readonly why: string;
  /** The part of docs/contracts.md that leaves it open. */
  readonly contract: string;
  /** Whether it applies to this server. */
  appliesTo(version: string): boolean;
  /** Whether all that follows says nothing. */
  readonly ends?: true;
  /** Whether it explains the difference at a step. */
  explains(step: Step, expected: Outcome, actual: Outcome): boolean;
}

/** Whether a server is older than 2.10. */
export function isBefore210(version: string): boolean {
  return /^2\.[0-9]\./.test(version);
}

/** A claim that waits asks again after a second at the latest: 2.5 ticks, one more by rounding. */
const MAX_EARLY_TICKS = 3;

export const RULES: readonly Rule[] = [
  {
    id: "lease-of-waiting-claim",
    servers: "all",
    what: "A claim that waited for its job tells an end of the lease that is up to one second early.",
    why: "Of a lease of the default length the adapter knows only when it asked, and saves the question when it began.",
    contract: "Leases of jobs",
    appliesTo: () => true,
    explains: (step, expected, actual) =>
      (step.op === "join" || step.op === "claim") && isEarlier(expected, actual),
  },
  {
    id: "lease-over-and-given-back",
    servers: "all",
    what: "A job whose lease is over counts as ready before anybody has it, instead of as leased; one whose attempts are used up counts as leased until the next claim, instead of as dead.",
    why: "A claim was handed it, heard of a higher priority that just came into use, and gave it back for a job of that.",
    contract: "Looking after a queue",
    appliesTo: () => true,
    explains: (step, expected, actual) => step.op === "stats" && hasGoneBack(expected, actual),
  },
  {
    id: "late-backoff",
    servers: "before 2.10",
    what: "A redelivery by backoffMs comes later than its time, and with it a dead letter, while another message has a longer wait.",
    why: "The server looks next when the longer wait is over, though a shorter one began after it.",
    contract: "Naks and backoff",
    ends: true,
    appliesTo: isBefore210,
    explains: (step, expected, actual) =>
      (mayHaveBackoff(step) && hasRedeliveriesToCome(expected, actual)) ||
      (step.op === "dead" && step.kind === "durable" && hasLateLetters(expected, actual)),
  },
  {
    id: "redelivery-overtaken",
    servers: "all",
    what: "A message that was given back comes behind one that nobody had yet.",
    why: "The server takes naks and pulls one beside the other: the place that the nak freed may be filled first.",
    contract: "Order",
    ends: true,
    appliesTo: () => true,
    explains: (step, expected, actual) => step.op === "take" && isOvertaken(expected, actual),
  },
];

/** Whether what follows a difference that this rule explains says nothing. */
export function endsScript(id: string): boolean {
  return RULES.some((rule) => rule.id === id && rule.ends === true);
}

/** The id of the rule that explains a difference on a server. */
export function explain(
  version: string,
  step: Step,
  outcomes: { readonly expected: Outcome; readonly actual: Outcome },
): string | undefined {
  const { expected, actual } = outcomes;
  return RULES.find((rule) => rule.appliesTo(version) && rule.explains(step, expected, actual))?.id;
}

/** Whether counts differ only in that one of the leased is ready, or one of the dead still leased. */
function hasGoneBack(expected: Outcome, actual: Outcome): boolean {
  const [told, here] = [expected, actual].map((outcome) =>
    typeof outcome === "object" && outcome !== null && "leased" in outcome
      ? (outcome as { readonly ready: number; readonly leased: number; readonly dead: number })
      : undefined,
  );
  if (told === undefined || here === undefined) return false;
  const { ready, leased, dead } = told;
  return (
    isSame({ ...told, ready: ready + 1, leased: leased - 1 }, { ...here }) ||
    isSame({ ...told, leased: leased + 1, dead: dead - 1 }, { ...here })
  );
}

/** Whether a step hands out messages of a subscription that may have a backoff. */
function mayHaveBackoff(step: Step): boolean {
  if (step.op === "poll") return step.options.backoff !== undefined;
  return step.op === "take" || step.op === "unsubscribe";
}

/** Whether only redeliveries are missing. */
function hasRedeliveriesToCome(expected: Outcome, actual: Outcome): boolean {
  const missing = missingIn<{ readonly count: number }>("messages", expected, actual);
  return missing?.every(({ count }) => count > 1) ?? false;
}

interface Letter {
  readonly body: string;
  readonly reason: string;
  /** In which tick it was made. */
  readonly dead: number;
}

/** Whether only dead letters of messages that nobody settled are missing, or were made later. */
function hasLateLetters(expected: Outcome, actual: Outcome): boolean {
  const [told, here] = [expected, actual].map((outcome) => listIn<Letter>("list", outcome));
  if (!told || !here) return false;
  const late = told.filter(
    ({ body, reason, dead }) =>
      reason === "max deliveries" && !here.some((one) => one.body === body && one.dead <= dead),
  );
  const isLate = ({ body }: Letter): boolean => late.some((one) => one.body === body);
  const inTime = [told, here].map((list) => list.filter((letter) => !isLate(letter)));
  return late.length > 0 && JSON.stringify(inTime[0]) === JSON.stringify(inTime[1]);
}

/** Whether messages that nobody had yet are there instead of as many redeliveries. */
function isOvertaken(expected: Outcome, actual: Outcome): boolean {
  type Delivery = { readonly count: number };
  const missing = beyond<Delivery>("messages", expected, actual);
  const early = beyond<Delivery>("messages", actual, expected);
  return (
    missing.length > 0 &&
    missing.length === early.length &&
    missing.every(({ count }) => count > 1) &&
    early.every(({ count }) => count === 1)
  );
}

/** What is expected in a list and is not there; `undefined` if it differs in another way. */
function missingIn<T>(field: string, expected: Outcome, actual: Outcome): readonly T[] | undefined {
  const isOther = beyond(field, actual, expected).length > 0;
  return isOther || !listIn(field, actual) ? undefined : beyond<T>(field, expected, actual);
}

/** What is in the list of the one and not in that of the other. */
function beyond<T>(field: string, one: Outcome, other: Outcome): readonly T[] {
  const seen = new Set(listIn(field, other)?.map((item) => JSON.stringify(item)));
  return (listIn<T>(field, one) ?? []).filter((item) => !seen.has(JSON.stringify(item)));
}

function listIn<T>(field: string, outcome: Outcome): readonly T[] | undefined {
  if (typeof outcome !== "object" || outcome === null) return undefined;
  const list = (outcome as { readonly [name: string]: unknown })[field];
  return Array.isArray(list) ? (list as readonly T[]) : undefined;
}

/** Whether two lists of claims differ only in ends that are a little earlier. */
function isEarlier(expected: Outcome, actual: Outcome): boolean {
  if (!Array.isArray(expected) || !Array.isArray(actual)) return false;
  const [ends, otherEnds] = [expected, actual].map((jobs) =>
    (jobs as { readonly until: number }[]).map(({ until }) => until),
  ) as [number[], number[]];
  const [rest, otherRest] = [expected, actual].map((jobs) =>
    JSON.stringify(jobs, (name, value: unknown) => (name === "until" ? undefined : value)),
  );
  return (
    rest === otherRest &&
    ends.every((end, index) => {
      const early = end - (otherEnds[index] as number);
      return early >= 0 && early <= MAX_EARLY_TICKS;
    })
  );
}
