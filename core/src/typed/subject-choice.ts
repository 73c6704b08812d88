import { BusError } from "../errors.ts";
import { checkSubject, checkSubjectPattern } from "../names.ts";
import { hasWildcard, matchesSubject } from "../subject.ts";

/** The subject to send to: the definition's own, or one that it covers. */
export function concreteSubject(defined: string, given: string | undefined): string {
  if (given === undefined) {
    if (!hasWildcard(defined)) return defined;
    throw refused(defined, given, "has wildcards: say which subject is meant");
  }
  checkSubject(given);
  if (matchesSubject(defined, given)) return given;
  throw refused(defined, given, "does not cover the given subject");
}

/** The subject to receive from: the definition's own, or a narrower one. */
export function narrowedSubject(defined: string, given: string | undefined): string {
  if (given === undefined) return defined;
  checkSubjectPattern(given);
  // `a.>` is a token as any other to the matcher, but stands for more than `a.*`.
  const open = given === ">" || given.endsWith(".>");
  const definedOpen = defined === ">" || defined.endsWith(".>");
  if (matchesSubject(defined, given) && (definedOpen || !open)) return given;
  throw refused(defined, given, "does not cover the given subject");
}

function refused(defined: string, given: string | undefined, why: string): BusError {
  return new BusError("INVALID_ARGUMENT", `subject: the defined ${defined} ${why}`, {
    details: { field: "subject", defined, value: given },
  });
}
