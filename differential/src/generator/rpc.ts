import type { Behaviour } from "../script.ts";
import { type Draft, span } from "./draft.ts";

/** Every subject has one behaviour, so that it does not matter who of several answers. */
const SUBJECTS: readonly (readonly [subject: string, behaviour: Behaviour])[] = [
  ["calc.add", "echo"],
  ["calc.sub", "echo"],
  ["calc.deep.down", "echo"],
  ["meta", "headers"],
  ["nothing", "empty"],
  ["broken", "throw"],
  ["missing", "code"],
  ["slow", "slow"],
  ["never", "never"],
];
const PATTERNS: readonly (readonly [pattern: string, behaviour: Behaviour])[] = [
  ...SUBJECTS,
  ["calc.*", "echo"],
  ["calc.>", "echo"],
];

function isQuick([, behaviour]: readonly [pattern: string, behaviour: Behaviour]): boolean {
  return behaviour !== "slow" && behaviour !== "never";
}

/** One step of serving or asking. */
export function rpcStep(draft: Draft): void {
  draft.dice.weighted<(draft: Draft) => void>([
    [3, serve],
    [5, request],
    [2, requestMany],
    [0.8, unserve],
  ])(draft);
}

function serve(draft: Draft): void {
  const { dice, servers } = draft;
  if (servers.length >= 5) return request(draft);
  const [subject, behaviour] = dice.pick(draft.isCalm ? PATTERNS.filter(isQuick) : PATTERNS);
  const isSlow = behaviour === "slow" || behaviour === "never";
  // Of several slow servers chance decides which one is busy.
  if (isSlow && draft.slowServers.has(subject)) return request(draft);
  const name = draft.name("server");
  servers.push(name);
  if (isSlow) draft.slowServers.set(subject, name);
  const group = dice.weighted<string | false | undefined>([
    [6, undefined],
    [1, false],
    [1, "other"],
  ]);
  const concurrency = isSlow ? dice.maybe(0.5, () => dice.int(1, 2)) : undefined;
  const maxQueued = isSlow && concurrency !== undefined ? dice.int(0, 1) : undefined;
  draft.add({
    op: "serve",
    bus: draft.bus(),
    name,
    subject,
    behaviour,
    ...(isSlow ? { group: "default" } : group !== undefined && { group }),
    ...(concurrency !== undefined && { concurrency }),
    ...(maxQueued !== undefined && { maxQueued }),
  });
}

function request(draft: Draft): void {
  const { dice } = draft;
  const [subject, behaviour] = dice.pick(draft.isCalm ? SUBJECTS.filter(isQuick) : SUBJECTS);
  const isSlow = behaviour === "slow" || behaviour === "never";
  const name = isSlow ? draft.name("request") : undefined;
  if (name !== undefined) draft.begun.push(name);
  const headers = dice.maybe(0.3, () => ({ Asked: "yes", Many: ["1", "2"] }));
  const over = dice.chance(0.01);
  draft.add({
    op: "request",
    bus: draft.bus(),
    subject,
    // Not as long as a slow handler takes.
    timeout: span(dice.pick(isSlow ? [0, 2] : [0, 1, 2])),
    ...(headers && { headers }),
    ...(over && { size: "over" }),
    ...(name !== undefined && { name }),
  });
}

function requestMany(draft: Draft): void {
  const { dice } = draft;
  const [subject] = dice.pick(SUBJECTS.slice(0, 5));
  const name = draft.name("many");
  draft.begun.push(name);
  const maxReplies = dice.maybe(0.3, () => 1);
  draft.add({
    op: "requestMany",
    bus: draft.bus(),
    subject,
    timeout: span(0),
    name,
    ...(maxReplies !== undefined && { maxReplies }),
  });
}

function unserve(draft: Draft): void {
  if (draft.servers.length === 0) return;
  const name = draft.dice.pick(draft.servers);
  for (const [subject, server] of draft.slowServers) {
    if (server === name) draft.slowServers.delete(subject);
  }
  draft.add({ op: "unserve", name });
}
