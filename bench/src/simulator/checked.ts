import { standardCheckers } from "@busbar/bus-memory";
import { workload } from "./workload.ts";

/** As `network`, and all standard checkers look at every event. */
export const scenario = workload({
  name: "checked",
  faults: { delayMs: [0.5, 3] },
  checkers: standardCheckers,
});
