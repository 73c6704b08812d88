import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { reportSchema } from "@busbar/conformance-tests";
import { z } from "zod";
import { markdownTable } from "./blocks.ts";

/** Where the types stand whose comments describe the fields. */
const SOURCES: Readonly<Record<string, string>> = {
  ConformanceReport: "conformance-tests/src/report/report.ts",
  CaseResult: "conformance-tests/src/report/report.ts",
  Capabilities: "core/src/capabilities.ts",
};

interface ObjectSchema {
  readonly properties: Record<string, FieldSchema>;
  readonly required?: readonly string[];
}

interface FieldSchema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly const?: unknown;
  readonly $ref?: string;
  readonly items?: FieldSchema;
  description?: string;
}

/** The JSON Schema of the report, with the comments of the types as descriptions. */
export function renderReportSchema(): string {
  const { $schema, ...rest } = z.toJSONSchema(reportSchema);
  for (const [name, source] of Object.entries(SOURCES)) {
    const texts = fieldComments(name, source);
    for (const [field, schema] of Object.entries(definition(rest, name).properties)) {
      const text = texts.get(field);
      if (text === undefined) throw new Error(`${name}.${field} has no comment in ${source}`);
      schema.description = text;
    }
  }
  const $id = "urn:busbar:conformance-report:1";
  const title = "Report of the conformance suite of Busbar";
  return `${JSON.stringify({ $schema, $id, title, ...rest }, undefined, 2)}\n`;
}

/** The fields of one definition of the schema as a table. */
export function renderReportFields([name = ""]: readonly string[]): string {
  const schema = definition(JSON.parse(renderReportSchema()) as object, name);
  const rows = Object.entries(schema.properties).map(([field, own]) => [
    `\`${field}\``,
    typeOf(own) + (schema.required?.includes(field) ? "" : ", optional"),
    own.description ?? "",
  ]);
  return markdownTable(["Field", "Type", "Meaning"], rows);
}

function definition(schema: object, name: string): ObjectSchema {
  const { $defs } = schema as { readonly $defs?: Record<string, ObjectSchema> };
  const found = $defs?.[name];
  if (found === undefined) throw new Error(`the schema of the report has no ${name}`);
  return found;
}

function typeOf(schema: FieldSchema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema.items) return `list of ${typeOf(schema.items)}`;
  return schema.$ref?.replace("#/$defs/", "") ?? schema.type ?? "";
}

/** The comments above the fields of an interface, each as one line of plain text. */
function fieldComments(name: string, source: string): Map<string, string> {
  const text = readFileSync(fileURLToPath(new URL(`../../${source}`, import.meta.url)), "utf8");
  const [, body = ""] = new RegExp(`interface ${name} \\{\n(.*?)^\\}`, "ms").exec(text) ?? [];
  const fields = body.matchAll(/^ {2}\/\*\*(.*?)\*\/\s+readonly (\w+)/gms);
  return new Map(
    [...fields].map(([, comment = "", field = ""]) => [
      field,
      comment
        .replace(/^\s*\*/gm, "")
        .replace(/\{@link ([^}]+)\}/g, "$1")
        .replace(/\s+/g, " ")
        .trim(),
    ]),
  );
}
