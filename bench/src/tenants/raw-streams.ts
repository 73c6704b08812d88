import type { JobQueue } from "@busbar/core";
import { createInbox } from "@nats-io/transport-node";
import { forEachInFlight, type Slice, timed } from "../measure.ts";
import { durable, type RawClient, streamLike } from "../nats/raw-client.ts";
import { busbarNames, checkPayload, PAYLOAD } from "../nats/setup.ts";

const QUEUE = "model";
const CONSUMER = "p5";
const IN_FLIGHT = 256;
/** Streams that are made at a time. */
const FEW_IN_FLIGHT = 16;

/** What a task asks of the server at least, by the raw client, on streams like those of Busbar's job queues. */
export class RawStreams {
  readonly #client: RawClient;
  readonly #name: string;
  readonly #count: number;

  private constructor(client: RawClient, name: string, count: number) {
    this.#client = client;
    this.#name = name;
    this.#count = count;
  }

  /** Makes so many streams, each with a consumer. */
  static async make(
    client: RawClient,
    jobs: JobQueue,
    about: { readonly name: string; readonly count: number },
  ): Promise<RawStreams> {
    const { name, count } = about;
    await jobs.stats(QUEUE);
    const all = Array.from({ length: count }, (_, index) => index);
    await forEachInFlight(all, FEW_IN_FLIGHT, async (index) => {
      const own = { name: `${name}-${index}`, subject: `${name}.${index}` };
      await streamLike(client, busbarNames.jobs(QUEUE), own);
      await durable(client, own.name, CONSUMER, own.subject);
    });
    return new RawStreams(client, name, count);
  }

  /** Publishes, pulls and acknowledges so many messages, on the streams in turn, some of each at a time. */
  run(messages: number, bulk: number): Promise<Slice> {
    const { connection, js } = this.#client;
    const bulks = Array.from({ length: messages / bulk }, (_, index) => index);
    const some = Array.from({ length: bulk });
    const pull = JSON.stringify({ batch: bulk, expires: 5_000_000_000 });
    const inbox = createInbox();
    const waiting: (() => void)[] = [];
    // What was pulled carries the subject of its stream: it does not say whose request it answers.
    const answers = connection.subscribe(inbox, {
      callback: (_error, { data, reply }) => {
        checkPayload(data);
        connection.publish(reply as string, "+ACK");
        waiting.shift()?.();
      },
    });
    return timed(messages, async () => {
      await forEachInFlight(bulks, Math.ceil(IN_FLIGHT / bulk), async (index) => {
        const stream = index % this.#count;
        await Promise.all(some.map(() => js.publish(`${this.#name}.${stream}`, PAYLOAD)));
        const answered = some.map(() => new Promise<void>((resolve) => waiting.push(resolve)));
        const next = `$JS.API.CONSUMER.MSG.NEXT.${this.#name}-${stream}.${CONSUMER}`;
        connection.publish(next, pull, { reply: inbox });
        await Promise.all(answered);
      });
      // The answer comes behind the acks: the server has all of them.
      await connection.flush();
      answers.unsubscribe();
    });
  }
}
