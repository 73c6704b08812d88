import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Paths of PEM files: an authority, and what it signed for a server on 127.0.0.1 and for a client. */
export interface Certificates extends AsyncDisposable {
  readonly caFile: string;
  readonly serverCert: string;
  readonly serverKey: string;
  readonly clientCert: string;
  readonly clientKey: string;
}

/** Makes an authority and certificates of its own, with openssl. */
export async function createCertificates(): Promise<Certificates> {
  const dir = await mkdtemp(join(tmpdir(), "busbar-tls-"));
  const path = (name: string): string => join(dir, name);
  const openssl = (...args: string[]): Promise<unknown> => run("openssl", args, { cwd: dir });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const request = (subject: string, keyFile: string): string[] => {
    return ["req", ...key, "-subj", `/CN=${subject}`, "-keyout", keyFile];
  };
  await openssl(...request("authority", "ca.key"), "-x509", "-days", "2", "-out", "ca.pem");
  const authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
  const sign = async (name: string, extensions: string): Promise<void> => {
    const file = `${name}.ext`;
    await writeFile(path(file), extensions);
    await openssl(...request(name, `${name}.key`), "-out", `${name}.csr`);
    const signed = ["-in", `${name}.csr`, "-extfile", file, "-out", `${name}.pem`];
    await openssl("x509", "-req", "-days", "2", ...authority, ...signed);
  };
  await sign("server", "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n");
  await sign("client", "extendedKeyUsage=clientAuth\n");
  return {
    caFile: path("ca.pem"),
    serverCert: path("server.pem"),
    serverKey: path("server.key"),
    clientCert: path("client.pem"),
    clientKey: path("client.key"),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  };
}
