import type { ConformanceCase } from "../../case.ts";
import { declarationCases } from "./declarations.ts";
import { sizeCases } from "./sizes.ts";

/** What a backend declares about itself, checked both ways. */
export const capabilityCases: readonly ConformanceCase[] = [...declarationCases, ...sizeCases];
