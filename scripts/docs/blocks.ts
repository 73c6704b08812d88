/** Makes the text of a block from its arguments. */
export type Renderer = (args: readonly string[]) => string;

const BLOCK = /(?<begin><!-- begin: (?<call>[^>]+?) -->\n).*?(?<end><!-- end -->)/gs;

/**
 * Fills the blocks of a page: what stands between `<!-- begin: NAME ARGS -->` and `<!-- end -->` is
 * made by the renderer of that name. Everything else is left as it is.
 */
export function fillBlocks(page: string, renderers: Readonly<Record<string, Renderer>>): string {
  return page.replaceAll(BLOCK, (...match) => {
    const { begin = "", call = "", end = "" } = match.at(-1) as Record<string, string>;
    const [name = "", ...args] = call.split(/\s+/);
    const render = renderers[name];
    if (render === undefined) throw new Error(`no block is called ${name}`);
    return `${begin}\n${render(args)}\n\n${end}`;
  });
}

/** The arguments of every block with this name. */
export function blockArguments(page: string, name: string): string[] {
  return [...page.matchAll(BLOCK)]
    .map((match) => (match.groups?.["call"] ?? "").split(/\s+/))
    .filter(([own]) => own === name)
    .flatMap(([, ...args]) => args);
}

/** A table in Markdown. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
