import { type BusConfig, openBus, toText } from "@busbar/core";

/** What the other process found. */
export interface SeenElsewhere {
  /** The value of the key `here`. */
  readonly here: string | undefined;
}

// The other process of CAP-004; see elsewhere.ts.
const [config = "", bucket = ""] = process.argv.slice(2);
await using bus = await openBus(JSON.parse(config) as BusConfig | string);
const here = await bus.kv.get(bucket, "here");
await bus.kv.put(bucket, "there", "from the second process");
await bus.pubsub.publish("from.elsewhere", "hello");
await bus.jobs.enqueue(bucket, { payload: "work" });
const seen: SeenElsewhere = { here: here && toText(here.value) };
process.stdout.write(JSON.stringify(seen));
