/** Text that is markup already: {@link html} leaves it as it is. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

/** What {@link html} takes: everything that is not {@link Markup} is escaped. */
export type Content = string | number | Markup | readonly Content[];

/** Puts markup together. What is put in is escaped, in text as well as between double quotes. */
export function html(strings: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return new Markup(
    strings.map((text, index) => (index === 0 ? "" : render(contents[index - 1])) + text).join(""),
  );
}

function render(content: Content = ""): string {
  if (content instanceof Markup) return content.text;
  if (typeof content === "object") return content.map(render).join("");
  return escapeMarkup(printable(String(content)));
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it stands in HTML and XML. Control characters stay: {@link printable} removes them. */
export function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}

/**
 * Text without what HTML and XML have no way to write: control characters but tab and line feed,
 * halves of surrogate pairs, and code points that stand for no character.
 */
export function printable(text: string): string {
  return text.replace(
    /(?![\t\n])[\p{Control}\p{Surrogate}\p{Noncharacter_Code_Point}]/gu,
    "\ufffd",
  );
}
