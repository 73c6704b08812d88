import type { ConformanceCase } from "../../case.ts";
import { closeCases } from "./close.ts";
import { closeRaceCases } from "./close-races.ts";
import { closedCases } from "./closed.ts";
import { sharingCases } from "./sharing.ts";
import { signalCases } from "./signals.ts";
import { statusCases } from "./status.ts";

/** Life of a bus: open, close, signals, status, and who sees whom. */
export const lifecycleCases: readonly ConformanceCase[] = [
  ...closeCases,
  ...closeRaceCases,
  ...closedCases,
  ...signalCases,
  ...sharingCases,
  ...statusCases,
];
