import { BusError } from "./errors.ts";

const NUMBERS = new Set([
  "dedupWindowMs",
  "replicas",
  "maxAgeMs",
  "maxBytes",
  "connectTimeoutMs",
  "reconnectWaitMs",
  "pingIntervalMs",
  "maxPayloadBytes",
]);
const BOOLEANS = new Set(["update"]);
const TEXTS = new Set(["namespace", "clientName", "storage"]);

/**
 * The configuration a URL stands for: `memory:`, `memory://name`, `nats://user:password@host:4222`,
 * `nats://token@host`, `tls://host`, several hosts joined by `,`; options of the same names as in
 * the object follow as `?namespace=app&replicas=3`.
 * @throws BusError `INVALID_CONFIG`
 */
export function configFromUrl(url: string): Record<string, unknown> {
  const match =
    /^(?<scheme>[a-z][a-z0-9+.-]*):(?:\/\/(?<authority>[^/?#]*))?\/?(?:\?(?<query>[^#]*))?$/i.exec(
      url,
    );
  if (!match?.groups) throw bad("url", "must be like memory: or nats://host:4222?namespace=app");
  const { scheme = "", authority = "", query = "" } = match.groups;
  // Else a piece of the password would be taken for an option, and shown.
  if (query.includes("@")) {
    throw bad("url", "has an '@' after its '?': write '?' in a password as %3F, and '@' as %40");
  }
  const options = queryOptions(query);
  switch (scheme.toLowerCase()) {
    case "memory":
      return { backend: "memory", ...(authority ? { name: authority } : {}), ...options };
    case "nats":
    case "tls":
      return { backend: "nats", ...natsAuthority(scheme.toLowerCase(), authority), ...options };
    default:
      throw bad("url", `scheme ${JSON.stringify(scheme)} is not one of memory, nats, tls`);
  }
}

function natsAuthority(scheme: string, authority: string): Record<string, unknown> {
  if (authority === "") return {};
  const at = authority.lastIndexOf("@");
  const hosts = authority.slice(at + 1).split(",");
  const config: Record<string, unknown> = { servers: hosts.map((host) => `nats://${host}`) };
  if (scheme === "tls") config["tls"] = true;
  if (at >= 0) {
    const credentials = authority.slice(0, at);
    const colon = credentials.indexOf(":");
    config["auth"] =
      colon < 0
        ? { token: decode(credentials) }
        : {
            user: decode(credentials.slice(0, colon)),
            password: decode(credentials.slice(colon + 1)),
          };
  }
  return config;
}

function queryOptions(query: string): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    if (TEXTS.has(name)) options[name] = value;
    else if (NUMBERS.has(name)) options[name] = numberOr(value);
    else if (BOOLEANS.has(name))
      options[name] = value === "true" ? true : value === "false" ? false : value;
    else
      throw bad(
        name,
        `is not an option of a URL; allowed: ${[...TEXTS, ...NUMBERS, ...BOOLEANS].join(", ")}`,
      );
  }
  return options;
}

/** The number that is written there; else the text, so that the error can show it. */
function numberOr(text: string): number | string {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  return Number.isNaN(value) ? text : value;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw bad("url", "user, password or token has a broken % escape");
  }
}

function bad(field: string, problem: string): BusError {
  return new BusError("INVALID_CONFIG", `bus configuration: ${field} ${problem}`, {
    details: { issues: [{ field, problem }] },
  });
}
