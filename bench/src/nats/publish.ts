import { inFlight, sequentially, type Side, type Sides, type Slice } from "../measure.ts";
import { AS_FAST, type ComparisonRow, FASTER, SLICE_MS } from "./comparison-row.ts";
import { type RawClient, streamLike } from "./raw-client.ts";
import { busbarNames, type NatsSetup, PAYLOAD } from "./setup.ts";

type Repeat = (operation: () => Promise<unknown>) => Promise<Slice>;

function publishRow(about: Pick<ComparisonRow, "name" | "target">, repeat: Repeat): ComparisonRow {
  return {
    ...about,
    open: async (setup: NatsSetup): Promise<Sides> => {
      const { bus, best, plain } = setup;
      await bus.pubsub.publish("bench.publish", PAYLOAD);
      return {
        busbar: {
          // Every slice begins with an empty stream.
          prepare: () => purge(best, busbarNames.messages),
          run: () => repeat(() => bus.pubsub.publish("bench.publish", PAYLOAD)),
        },
        raw: await rawSide(best, "publish-best", repeat),
        rawDefault: await rawSide(plain, "publish-default", repeat),
      };
    },
  };
}

async function rawSide(client: RawClient, name: string, repeat: Repeat): Promise<Side> {
  const subject = `raw.${name}.publish`;
  await client.jsm.streams.delete(name).catch(() => false);
  await streamLike(client, busbarNames.messages, { name, subject: `raw.${name}.>` });
  return {
    prepare: () => purge(client, name),
    run: () => repeat(() => client.js.publish(subject, PAYLOAD)),
  };
}

async function purge({ jsm }: RawClient, stream: string): Promise<void> {
  await jsm.streams.purge(stream);
}

/** Publishing into a stream, each publish acknowledged. */
export const publishRows: readonly ComparisonRow[] = [
  publishRow({ name: "publish, one after another", target: AS_FAST }, (operation) =>
    sequentially(SLICE_MS, operation),
  ),
  publishRow({ name: "publish, 256 in flight", target: FASTER }, (operation) =>
    inFlight(SLICE_MS, 256, operation),
  ),
];
