import { extname } from "node:path";

/** One file of apt sources: one-line entries in a `.list`, stanzas in a `.sources`. */
export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

/** Suites of the Debian archive itself; add-ons such as `bookworm-updates` are not among them. */
const DEBIAN_SUITES: ReadonlySet<string> = new Set(
  (
    "oldoldstable oldstable stable testing unstable " +
    "buster bullseye bookworm trixie forky duke sid"
  ).split(" "),
);
const ONE_LINE_ENTRY = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$/;

interface Field {
  readonly name: string;
  /** Continuation lines included. */
  readonly value: string;
}

/**
 * The Debian entries of a machine's apt sources, with another suite in the place of theirs, or with
 * their own when `suite` is left out. Mirrors and options stay as the machine has them, so that no
 * host name needs to be written down here.
 */
export function deriveSources(
  files: readonly SourceFile[],
  suite: string | undefined,
): readonly SourceFile[] {
  const derived: SourceFile[] = [];
  for (const file of files) {
    const entries =
      extname(file.name) === ".sources"
        ? stanzasOf(file.text).map((stanza) => deriveStanza(stanza, suite))
        : file.text.split("\n").map((line) => deriveLine(line, suite));
    const kept = [...new Set(entries.filter((entry) => entry !== undefined))];
    if (kept.length > 0) derived.push({ name: file.name, text: `${kept.join("\n")}\n` });
  }
  return derived;
}

/** The same sources, verified against the keyring at `path`. */
export function withKeyring(files: readonly SourceFile[], path: string): readonly SourceFile[] {
  return files.map(({ name, text }) => {
    if (extname(name) === ".sources") {
      const stanzas = stanzasOf(text).map((stanza) => {
        const rest = stanza.filter((field) => !isField(field, "Signed-By"));
        return formatStanza([...rest, { name: "Signed-By", value: ` ${path}` }]);
      });
      return { name, text: `${stanzas.join("\n")}\n` };
    }
    const lines = text.split("\n").map((line) => {
      const match = ONE_LINE_ENTRY.exec(line);
      if (match === null) return line;
      const [, options = "", uri, suite, components] = match;
      const rest = options.split(/\s+/).filter((o) => o !== "" && !o.startsWith("signed-by="));
      return `deb [${[...rest, `signed-by=${path}`].join(" ")}] ${uri} ${suite} ${components}`;
    });
    return { name, text: lines.join("\n") };
  });
}

function deriveLine(line: string, suite: string | undefined): string | undefined {
  const match = ONE_LINE_ENTRY.exec(line.replace(/#.*$/, "").trim());
  if (match === null) return undefined;
  const [, options, uri = "", own = "", components = ""] = match;
  if (!isDebian([uri], [own], components.split(/\s+/))) return undefined;
  return `deb ${options === undefined ? "" : `[${options}] `}${uri} ${suite ?? own} main`;
}

function deriveStanza(stanza: readonly Field[], suite: string | undefined): string | undefined {
  const words = (name: string): string[] =>
    stanza
      .filter((field) => isField(field, name))
      .flatMap((field) => field.value.split(/\s+/))
      .filter((word) => word !== "");
  const suites = words("Suites").filter((own) => DEBIAN_SUITES.has(own));
  if (!words("Types").includes("deb") || words("Enabled")[0]?.toLowerCase() === "no") {
    return undefined;
  }
  if (!isDebian(words("URIs"), suites, words("Components"))) return undefined;
  const replaced = ["Types", "Suites", "Components", "Enabled"];
  const rest = stanza.filter((field) => !replaced.some((name) => isField(field, name)));
  return formatStanza([
    { name: "Types", value: " deb" },
    ...rest,
    { name: "Suites", value: ` ${suite ?? suites.join(" ")}` },
    { name: "Components", value: " main" },
  ]);
}

function isDebian(
  uris: readonly string[],
  suites: readonly string[],
  components: readonly string[],
): boolean {
  return (
    uris.some((uri) => !uri.startsWith("cdrom:")) &&
    suites.some((suite) => DEBIAN_SUITES.has(suite)) &&
    components.includes("main")
  );
}

function isField(field: Field, name: string): boolean {
  return field.name.toLowerCase() === name.toLowerCase();
}

function stanzasOf(text: string): readonly Field[][] {
  const stanzas: Field[][] = [];
  let fields: Field[] = [];
  for (const line of [...text.split("\n"), ""]) {
    if (line.startsWith("#")) continue;
    const last = fields.at(-1);
    const colon = line.indexOf(":");
    if (line.trim() === "") {
      if (fields.length > 0) stanzas.push(fields);
      fields = [];
    } else if (/^\s/.test(line) && last !== undefined) {
      fields[fields.length - 1] = { name: last.name, value: `${last.value}\n${line}` };
    } else if (colon > 0) {
      fields.push({ name: line.slice(0, colon), value: line.slice(colon + 1) });
    }
  }
  return stanzas;
}

function formatStanza(fields: readonly Field[]): string {
  return `${fields.map((field) => `${field.name}:${field.value}`).join("\n")}\n`;
}
