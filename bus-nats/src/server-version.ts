/** What of a server's version matters: which features it has. */
export interface ServerFeatures {
  /** As the server says it, such as `2.10.27`. */
  readonly version: string;
  /** 2.10: create consumers without updating existing ones; term with a reason; settles of work queues survive a kill. */
  readonly v2_10: boolean;
  /** 2.11: TTL per message. */
  readonly messageTtl: boolean;
  /** 2.14: a stream has at most 1,000 consumers unless its configuration names a number. */
  readonly consumerDefaultLimit: boolean;
}

/** Oldest server that is supported. */
export const OLDEST_SERVER = "2.9.10";

/** Reads a version; features are told by version because old servers ignore what they do not know. */
export function serverFeatures(version: string): ServerFeatures {
  const atLeast = (minor: number): boolean => compareVersions(version, `2.${minor}.0`) >= 0;
  return {
    version,
    v2_10: atLeast(10),
    messageTtl: atLeast(11),
    consumerDefaultLimit: atLeast(13),
  };
}

/** Negative, 0 or positive, by major, minor and patch; what follows a `-` is left out. */
export function compareVersions(a: string, b: string): number {
  const parts = (version: string): number[] =>
    (version.split("-")[0] ?? "").split(".").map((part) => Number.parseInt(part, 10) || 0);
  const left = parts(a);
  const right = parts(b);
  for (let index = 0; index < 3; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
