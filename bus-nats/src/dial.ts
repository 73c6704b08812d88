import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { BusError, type Clock, type NatsAuth, type ResolvedNatsConfig } from "@busbar/core";
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
  nkeyAuthenticator,
} from "@nats-io/transport-node";
import { fromClientError } from "./errors.ts";

/** The first connection: tried until the time is over, unless the server says no. */
export async function dial(config: ResolvedNatsConfig, clock: Clock): Promise<NatsConnection> {
  const options = await connectionOptions(config);
  const deadline = clock.monotonic() + config.connectTimeoutMs;
  const what = `connect to ${config.servers.map(withoutSecrets).join(", ")}`;
  for (;;) {
    try {
      const leftMs = Math.max(100, deadline - clock.monotonic());
      return await connect({ ...options, timeout: leftMs, reconnect: true });
    } catch (cause) {
      const problem = certificateProblem(cause);
      if (problem)
        throw invalid("tls", `the server's certificate is not trusted: ${problem}`, cause);
      const error = fromClientError(cause, what);
      const again = error.code === "DISCONNECTED" || error.code === "TIMEOUT";
      if (!again) throw error;
      if (clock.monotonic() + config.reconnectWaitMs >= deadline) {
        throw new BusError(
          "DISCONNECTED",
          `${what}: no server within ${config.connectTimeoutMs} ms (${reasonOf(cause)})`,
          {
            cause,
            details: { outcome: "notSent", timeoutMs: config.connectTimeoutMs },
          },
        );
      }
      await clock.sleep(config.reconnectWaitMs);
    }
  }
}

/** Takes the caller's connection. @throws BusError `INVALID_CONFIG` if it is not a usable one */
export function checkConnection(connection: object): NatsConnection {
  const candidate = connection as NatsConnection & { addCloseListener?: unknown };
  // A connection of the older `nats` package looks alike and fails later.
  if (typeof candidate.publish !== "function" || typeof candidate.addCloseListener !== "function") {
    throw invalid("connection", "must be a NatsConnection of @nats-io/transport-node 3");
  }
  if (candidate.isClosed()) throw invalid("connection", "is closed");
  return candidate;
}

async function connectionOptions(config: ResolvedNatsConfig): Promise<NodeConnectionOptions> {
  const options: NodeConnectionOptions = {
    servers: config.servers.map(withoutSecrets),
    name: config.clientName,
    // For ever, also over a time in which the server refuses the credentials.
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    reconnectTimeWait: config.reconnectWaitMs,
    reconnectJitter: Math.ceil(config.reconnectWaitMs / 4),
    reconnectJitterTLS: Math.ceil(config.reconnectWaitMs / 4),
    pingInterval: config.pingIntervalMs,
    maxPingOut: 2,
    timeout: config.connectTimeoutMs,
    // Without it the client captures a stack trace for each request: half of its speed.
    noAsyncTraces: true,
  };
  const auth = config.auth ?? authInServers(config.servers);
  if (auth && "user" in auth) Object.assign(options, { user: auth.user, pass: auth.password });
  else if (auth && "token" in auth) options.token = auth.token;
  else if (auth && "nkeySeed" in auth) options.authenticator = seed(auth.nkeySeed);
  else if (auth) options.authenticator = await credentials(auth.credentialsFile);
  if (config.tls) {
    const { caFile, certFile, keyFile, handshakeFirst } = config.tls;
    const files = Object.entries({ caFile, certFile, keyFile }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    for (const [name, path] of files) await readOption(`tls.${name}`, path);
    options.tls = {
      ...Object.fromEntries(files),
      ...(handshakeFirst ? { handshakeFirst } : {}),
    };
  }
  return options;
}

function seed(nkeySeed: string): Authenticator {
  const authenticator = nkeyAuthenticator(Buffer.from(nkeySeed));
  return tried(authenticator, "auth.nkeySeed", "is not a user seed");
}

async function credentials(path: string): Promise<Authenticator> {
  await readOption("auth.credentialsFile", path);
  // Read again at every (re)connect: credentials are rotated by replacing the file.
  const authenticator: Authenticator = (nonce) => credsAuthenticator(readFileSync(path))(nonce);
  return tried(authenticator, "auth.credentialsFile", `${path} is not a credentials file`);
}

/** The client would find out while it connects, and never say so. */
function tried(authenticator: Authenticator, field: string, problem: string): Authenticator {
  try {
    authenticator("nonce");
  } catch (cause) {
    throw invalid(field, problem, cause);
  }
  return authenticator;
}

async function readOption(field: string, path: string): Promise<void> {
  try {
    await readFile(path);
  } catch (cause) {
    throw invalid(field, `${path} cannot be read`, cause);
  }
}

function invalid(field: string, problem: string, cause?: unknown): BusError {
  return new BusError("INVALID_CONFIG", `bus configuration: ${field} ${problem}`, {
    details: { issues: [{ field, problem }] },
    ...(cause === undefined ? {} : { cause }),
  });
}

const CERTIFICATE_CODE = /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)|^ERR_TLS_CERT/;

/** Why a server's certificate was refused here; it will not get better by trying again. */
function certificateProblem(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  const code: unknown = Reflect.get(cause, "code");
  const found =
    typeof code === "string" && CERTIFICATE_CODE.test(code) && !code.startsWith("ERR_SSL");
  return found ? cause.message : certificateProblem(cause.cause);
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.message || (cause.cause instanceof Error ? cause.cause.message : cause.name);
}

const USER_INFO = /^(?<scheme>[a-z]+:\/\/)?(?<user>[^@/:]*)(?::(?<password>[^@/]*))?@/i;

/** `user:password@` or `token@` before a host, which the client itself does not read. */
function authInServers(servers: readonly string[]): NatsAuth | undefined {
  for (const server of servers) {
    const { user, password } = USER_INFO.exec(server)?.groups ?? {};
    if (!user) continue;
    return password === undefined
      ? { token: unescape(user) }
      : { user: unescape(user), password: unescape(password) };
  }
  return undefined;
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A password with a bare `%`.
    return text;
  }
}

function withoutSecrets(server: string): string {
  return server.replace(USER_INFO, "$<scheme>");
}
