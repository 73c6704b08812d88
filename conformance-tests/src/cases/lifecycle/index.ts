import type { ConformanceCase } from "../../case.ts";
import { closeCases } from "./close.ts";
import { closeRaceCases } from "./close-races.ts";
import { closedCases } from "./closed.ts";
import { removalCases } from "./removal.ts";
import { sharingCases } from "./sharing.ts";
import { signalCases } from "./signals.ts";
import { statusCases } from "./status.ts";
import { storageCases } from "./storage.ts";
import { viewCloseCases } from "./view-close.ts";
import { viewCases } from "./views.ts";

/** Life of a bus: open, close, signals, status, and who sees whom. */
export const lifecycleCases: readonly ConformanceCase[] = [
  ...closeCases,
  ...closeRaceCases,
  ...closedCases,
  ...signalCases,
  ...sharingCases,
  ...statusCases,
  ...viewCases,
  ...viewCloseCases,
  ...storageCases,
  ...removalCases,
];
