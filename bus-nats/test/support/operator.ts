import { createHash } from "node:crypto";
import { nkeys } from "@nats-io/transport-node";

type KeyPair = ReturnType<typeof nkeys.createUser>;

/** What a server in operator mode, and a user of it, need. */
export interface Operator {
  /** Lines for the server's configuration. */
  readonly config: string;
  /** The contents of a credentials file. */
  readonly credentials: string;
  /** The same user, signed by somebody whom the server does not know. */
  readonly foreignCredentials: string;
}

const UNLIMITED = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
};
const JETSTREAM = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

/** An operator with a system account and one account with JetStream, and a user in it. */
export function createOperator(): Operator {
  const operator = nkeys.createOperator();
  const system = nkeys.createAccount();
  const account = nkeys.createAccount();
  const user = nkeys.createUser();
  const systemJwt = accountJwt(system, operator, "SYS", UNLIMITED);
  const jwt = accountJwt(account, operator, "APP", { ...UNLIMITED, ...JETSTREAM });
  const operatorJwt = encode(operator, {
    sub: operator.getPublicKey(),
    name: "operator",
    nats: { type: "operator", version: 2, system_account: system.getPublicKey() },
  });
  return {
    config: [
      `operator: ${operatorJwt}`,
      `system_account: ${system.getPublicKey()}`,
      "resolver: MEMORY",
      `resolver_preload: {`,
      `  ${system.getPublicKey()}: ${systemJwt}`,
      `  ${account.getPublicKey()}: ${jwt}`,
      "}",
    ].join("\n"),
    credentials: credentialsOf(user, account),
    foreignCredentials: credentialsOf(user, nkeys.createAccount()),
  };
}

function accountJwt(account: KeyPair, operator: KeyPair, name: string, limits: object): string {
  return encode(operator, {
    sub: account.getPublicKey(),
    name,
    nats: { type: "account", version: 2, limits },
  });
}

function credentialsOf(user: KeyPair, account: KeyPair): string {
  const jwt = encode(account, {
    sub: user.getPublicKey(),
    name: "user",
    nats: { type: "user", version: 2, subs: -1, data: -1, payload: -1, pub: {}, sub: {} },
  });
  const seed = new TextDecoder().decode(user.getSeed());
  return [
    "-----BEGIN NATS USER JWT-----",
    jwt,
    "------END NATS USER JWT------",
    "",
    "-----BEGIN USER NKEY SEED-----",
    seed,
    "------END USER NKEY SEED------",
    "",
  ].join("\n");
}

function encode(
  issuer: KeyPair,
  claims: { readonly sub: string } & Record<string, unknown>,
): string {
  const body = { iat: Math.floor(Date.now() / 1_000), iss: issuer.getPublicKey(), ...claims };
  const jti = createHash("sha256").update(JSON.stringify(body)).digest("hex");
  const parts = [
    { typ: "JWT", alg: "ed25519-nkey" },
    { ...body, jti },
  ].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
  const signed = parts.join(".");
  const signature = Buffer.from(issuer.sign(new TextEncoder().encode(signed)));
  return `${signed}.${signature.toString("base64url")}`;
}
