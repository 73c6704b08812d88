import type { ConformanceCase } from "../../case.ts";
import { connectionFaultCases } from "./connection.ts";
import { jobFaultCases } from "./jobs.ts";
import { messageFaultCases } from "./messages.ts";
import { valueFaultCases } from "./values.ts";

/** A server that is killed, restarted or frozen under its clients. */
export const faultCases: readonly ConformanceCase[] = [
  ...messageFaultCases,
  ...jobFaultCases,
  ...valueFaultCases,
  ...connectionFaultCases,
];
