import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { ScenarioDefinition } from "./scenario.ts";

/** Loads the scenario of a module: its default export, or the one that is named `scenario`. @throws RangeError */
export async function loadScenario(
  file: string,
  cwd: string,
): Promise<ScenarioDefinition<unknown, unknown>> {
  let module: Readonly<Record<string, unknown>>;
  try {
    module = (await import(pathToFileURL(resolve(cwd, file)).href)) as typeof module;
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(`${file} cannot be loaded: ${text}`, { cause });
  }
  const scenario = module["default"] ?? module["scenario"];
  if (isScenario(scenario)) return scenario;
  throw new RangeError(
    `${file} has no scenario: its default export, or the export "scenario", is what defineScenario gives`,
  );
}

function isScenario(value: unknown): value is ScenarioDefinition<unknown, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const { name, script, setUp, step } = value as Readonly<Record<string, unknown>>;
  return (
    typeof name === "string" && [script, setUp, step].every((own) => typeof own === "function")
  );
}
