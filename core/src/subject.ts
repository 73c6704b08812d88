/**
 * Whether a pattern of subjects (or keys) covers a subject: `*` stands for exactly one token,
 * a final `>` for one or more. Both are taken to be valid; see `names.ts`.
 */
export function matchesSubject(pattern: string, subject: string): boolean {
  if (pattern === subject || pattern === ">") return true;
  return compilePattern(pattern)(subject);
}

/** {@link matchesSubject} for a pattern that is used often. */
export function compilePattern(pattern: string): (subject: string) => boolean {
  if (pattern === ">") return () => true;
  if (!hasWildcard(pattern)) return (subject) => subject === pattern;
  const wanted = pattern.split(".");
  const open = wanted.at(-1) === ">";
  if (open) wanted.pop();
  return (subject) => {
    const tokens = subject.split(".");
    if (open ? tokens.length <= wanted.length : tokens.length !== wanted.length) return false;
    return wanted.every((token, index) => token === "*" || token === tokens[index]);
  };
}

/** Whether `pattern` has a wildcard token. */
export function hasWildcard(pattern: string): boolean {
  return /(?:^|\.)(?:\*(?:\.|$)|>$)/.test(pattern);
}
