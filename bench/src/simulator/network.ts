import { workload } from "./workload.ts";

/** Each way takes its time, which is drawn. */
export const scenario = workload({ name: "network", faults: { delayMs: [0.5, 3] } });
