import type { ConformanceCase } from "../../case.ts";
import { allowedNameCases } from "./allowed.ts";
import { contentCases } from "./contents.ts";
import { optionCases } from "./options.ts";
import { refusedNameCases } from "./refused.ts";

/** Names, headers, payloads and options: what is allowed works, the rest is refused. */
export const nameCases: readonly ConformanceCase[] = [
  ...refusedNameCases,
  ...allowedNameCases,
  ...contentCases,
  ...optionCases,
];
