import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { connect, type NatsConnection } from "nats";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { startNatsServer, type NatsServer } from "../src/index.ts";

async function withClient<T>(
  server: NatsServer,
  use: (connection: NatsConnection) => Promise<T>,
): Promise<T> {
  const connection = await connect({ servers: server.url, reconnect: false });
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("startNatsServer", () => {
  it("starts a server with JetStream that accepts clients at once", async () => {
    await using server = await startNatsServer();
    await withClient(server, async (connection) => {
      expect(connection.info?.version).toBe(server.version);
      expect(connection.info?.port).toBe(server.port);
      await expect(connection.jetstreamManager()).resolves.toBeDefined();
    });
  });

  it("keeps port and store across kill and restart", async () => {
    await using server = await startNatsServer({ jetstreamConfig: "sync_interval: always" });
    const { port, pid = 0 } = server;
    await withClient(server, async (connection) => {
      const manager = await connection.jetstreamManager();
      await manager.streams.add({ name: "S", subjects: ["s.>"] });
      await connection.jetstream().publish("s.a", "kept");
    });
    await server.kill();
    expect(server.pid).toBeUndefined();
    expect(isAlive(pid)).toBe(false);
    await server.restart();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    await withClient(server, async (connection) => {
      const manager = await connection.jetstreamManager();
      expect((await manager.streams.getMessage("S", { seq: 1 })).string()).toBe("kept");
    });
  });

  it("restarts a running server in good order", async () => {
    await using server = await startNatsServer();
    const { pid } = server;
    await server.restart();
    expect(server.pid).not.toBe(pid);
    await withClient(server, async (connection) => {
      await connection.flush();
    });
  });

  it("answers nothing while paused", async () => {
    await using server = await startNatsServer();
    await withClient(server, async (connection) => {
      await server.pause();
      let answered = false;
      const flushed = connection.flush().then(() => {
        answered = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(answered).toBe(false);
      server.resume();
      await flushed;
    });
  });

  it("stops a paused server and removes its folder", async () => {
    const server = await startNatsServer();
    const { pid = 0, storeDir, logPath } = server;
    await server.pause();
    await server.stop();
    await server.stop();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(storeDir) || existsSync(logPath)).toBe(false);
  });

  it("applies the appended configuration", async () => {
    await using server = await startNatsServer({ config: "authorization { token: secret }" });
    const options = { servers: server.url, reconnect: false };
    await expect(connect(options)).rejects.toMatchObject({ code: "AUTHORIZATION_VIOLATION" });
    const connection = await connect({ ...options, token: "secret" });
    await connection.close();
  });

  it("reports the server's own words when it does not start", async () => {
    await expect(startNatsServer({ config: "unfinished {" })).rejects.toThrow(/Parse error/);
  });

  it("says so when the wanted port is taken", async () => {
    await using server = await startNatsServer();
    await expect(startNatsServer({ port: server.port })).rejects.toThrow(/address already in use/);
  });

  it("does not outlive a process that forgot it, or that was ended by a signal", async () => {
    for (const ending of ["", "process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 9e3);"]) {
      const entry = fileURLToPath(new URL("../src/index.ts", import.meta.url));
      const code = `
        import { startNatsServer } from ${JSON.stringify(entry)};
        const server = await startNatsServer();
        console.log(server.url + " " + server.storeDir);
        ${ending}`;
      const args = ["--input-type=module", "--eval", code];
      const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
      const [url = "", storeDir = ""] = stdout.trim().split(" ");
      expect(url, stderr).toMatch(/^nats:/);
      await expect(connect({ servers: url, reconnect: false })).rejects.toThrow();
      expect(existsSync(storeDir)).toBe(false);
    }
  });
});
