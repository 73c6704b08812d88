import type { ConformanceCase } from "../case.ts";

/** Every case of the suite. */
export const allCases: readonly ConformanceCase[] = [];
