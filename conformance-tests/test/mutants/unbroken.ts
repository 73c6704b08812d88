import {
  onClaimedJobs,
  onDeadLetters,
  onEvents,
  onLeases,
  onMessages,
  onRpc,
} from "./contracts.ts";
import type { Mutant, Open, World } from "./mutant.ts";

const NOTHING = {};

/**
 * No mutant: everything that mutants wrap is wrapped, and nothing is changed. The whole suite passes
 * on it, so a case that fails on a mutant fails because of the mistake.
 */
export const unbroken: Mutant = {
  id: "unbroken",
  title: "Nothing is wrong",
  contract: "lifecycle",
  killedBy: [],
  wrap: (world) =>
    [
      (inner: World): Open => onMessages(inner, () => () => NOTHING),
      (inner: World): Open => onDeadLetters(inner, "pubsub", () => NOTHING),
      (inner: World): Open => onDeadLetters(inner, "jobs", () => NOTHING),
      (inner: World): Open => onRpc(inner, () => NOTHING),
      (inner: World): Open => onEvents(inner, () => (event) => [event]),
      (inner: World): Open => onLeases(inner, () => NOTHING),
      (inner: World): Open => onClaimedJobs(inner, () => NOTHING),
    ].reduce((open, wrap) => wrap({ clock: world.clock, open }), world.open),
};
