import { workload } from "./workload.ts";

/** Everything arrives at once: the simulator alone. */
export const scenario = workload({ name: "at-once" });
