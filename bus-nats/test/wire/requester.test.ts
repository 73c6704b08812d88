import { VirtualClock } from "@busbar/core";
import { type NatsServer, startNatsServer } from "@busbar/scripts";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Outbox } from "../../src/wire/outbox.ts";
import { Requester } from "../../src/wire/requester.ts";

describe("a request to which nobody says a word", () => {
  let server: NatsServer;
  let asker: NatsConnection;
  let answerer: NatsConnection;

  beforeAll(async () => {
    server = await startNatsServer();
    [asker, answerer] = [
      await connect({ servers: server.url }),
      await connect({ servers: server.url }),
    ];
  });

  afterAll(async () => {
    await asker.close();
    await answerer.close();
    await server.stop();
  });

  /** Asks one who answers from the second time on, or a later one. */
  async function ask(
    subject: string,
    parts: { idempotent: boolean; isClustered: boolean; silent?: number },
  ) {
    const clock = new VirtualClock();
    let heard = 0;
    answerer.subscribe(subject, {
      callback: (_error, message) => {
        heard += 1;
        if (heard > (parts.silent ?? 1)) message.respond("yes");
      },
    });
    await answerer.flush();
    const requester = new Requester(asker, new Outbox(asker), clock, () => parts.isClustered);
    const answer = requester.request({
      subject,
      payload: "",
      timeoutMs: 5_000,
      what: "a question",
      idempotent: parts.idempotent,
      parse: (message) => message.string(),
      onNoResponders: "retry",
    });
    await expect.poll(() => heard).toBe(1);
    return { clock, answer, heard: () => heard };
  }

  it("is sent again in a cluster: after 250 ms, then after twice as long, up to a second", async () => {
    const parts = { idempotent: true, isClustered: true, silent: 4 };
    const { clock, answer, heard } = await ask("again", parts);
    let before = 1;
    for (const silenceMs of [250, 500, 1_000, 1_000]) {
      await clock.advance(silenceMs - 1);
      await asker.flush();
      await answerer.flush();
      expect(heard()).toBe(before);
      await clock.advance(1);
      before += 1;
      await expect.poll(heard).toBe(before);
    }
    expect(await answer).toBe("yes");
  });

  it.each([
    { idempotent: false, isClustered: true },
    { idempotent: true, isClustered: false },
  ])(
    "is not, and runs out of time, if idempotent is $idempotent and in a cluster is $isClustered",
    async (parts) => {
      const { clock, answer, heard } = await ask(`once.${parts.idempotent}`, parts);
      const failed = expect(answer).rejects.toMatchObject({ code: "TIMEOUT" });
      await clock.advance(5_000);
      await failed;
      await asker.flush();
      await answerer.flush();
      expect(heard()).toBe(1);
    },
  );
});
