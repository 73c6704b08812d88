import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Collects all garbage now, so that what one side leaves behind is not paid for by the next. */
export function collectGarbage(): void {
  collect();
}
