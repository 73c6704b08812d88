export { doubleCounting as scenario } from "./double-counting.ts";
