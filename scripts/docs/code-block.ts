import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A file, or one declaration of it with its comment, as a block of code: `code PATH [NAME]`. */
export function renderCode([path = "", name]: readonly string[]): string {
  const text = readFileSync(ROOT + path, "utf8").trimEnd();
  const shown = name === undefined ? text : declarationOf(text, name);
  if (shown === undefined) throw new Error(`${path} declares no ${name}`);
  return `\`\`\`${extname(path).slice(1)}\n${shown}\n\`\`\``;
}

/** A declaration at the left margin, or a method, from the comment above it to the line that ends it. */
export function declarationOf(text: string, name: string): string | undefined {
  const lines = text.split("\n");
  const declares = new RegExp(
    `^(?:(?:export )?(?:async )?(?:function|class|interface|const) ${name}\\b|  (?:async )?${name}\\()`,
  );
  const at = lines.findIndex((line) => declares.test(line));
  const found = lines[at];
  if (found === undefined) return undefined;
  const indent = found.search(/\S/);
  const own = lines.map((line) => line.slice(indent));
  let first = at;
  while (/^(?:\/\*\*| \*|\/\/)/.test(own[first - 1] ?? "")) first -= 1;
  // It ends where it begins, or with the first line after it that is not indented more.
  const end = own.findIndex((line, index) => index > at && /^[^\s)]/.test(line));
  const last = found.endsWith(";") ? at : end < 0 ? lines.length - 1 : end;
  return own.slice(first, last + 1).join("\n");
}
