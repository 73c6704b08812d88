import { readFileSync } from "node:fs";

/** Name and version of this package, as reports give them. */
export function suiteName(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const { name, version } = JSON.parse(text) as { readonly name: string; readonly version: string };
  return `${name} ${version}`;
}

/** What this process runs on, as reports give it. */
export function runtimeName(): string {
  return `node ${process.versions.node} on ${process.platform} ${process.arch}`;
}
