import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("../../core/src/errors.ts", import.meta.url));

/** The table of error codes, as it stands above `BusErrorCode`. */
export function renderErrors(): string {
  const rows = readFileSync(SOURCE, "utf8")
    .split("\n")
    .filter((line) => line.startsWith(" * |"))
    .map((line) => line.slice(3));
  if (rows.length < 3) throw new Error(`no table of error codes in ${SOURCE}`);
  return rows.join("\n");
}
