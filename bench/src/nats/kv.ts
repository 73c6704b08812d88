import type { KV } from "@nats-io/kv";
import { forEachInFlight, inFlight, sequentially, type Sides, type Slice } from "../measure.ts";
import { AS_FAST, type ComparisonRow, SLICE_MS } from "./comparison-row.ts";
import { bucketLike, type RawClient } from "./raw-client.ts";
import { busbarNames, type NatsSetup, PAYLOAD } from "./setup.ts";

const BUCKET = "bench";
const KEYS: readonly string[] = Array.from({ length: 1_000 }, (_, index) => `key.${index}`);

type Repeat = (operation: () => Promise<unknown>) => Promise<Slice>;

/** What one side does with its bucket. */
interface Store {
  get(key: string): Promise<unknown>;
  put(key: string, value: Uint8Array): Promise<number>;
  cas(key: string, value: Uint8Array, revision: number): Promise<number>;
}

/** Makes the operation that is repeated. */
type Work = (store: Store) => Promise<() => Promise<unknown>>;

function kvRow(name: string, repeat: Repeat, work: Work): ComparisonRow {
  return {
    name,
    target: AS_FAST,
    open: async (setup): Promise<Sides> => {
      const busbar = await work(busbarStore(setup));
      const raw = await work(await rawStore(setup.best, "best"));
      const rawDefault = await work(await rawStore(setup.plain, "default"));
      return {
        busbar: { run: () => repeat(busbar) },
        raw: { run: () => repeat(raw) },
        rawDefault: { run: () => repeat(rawDefault) },
      };
    },
  };
}

function busbarStore({ bus: { kv } }: NatsSetup): Store {
  return {
    get: (key) => kv.get(BUCKET, key),
    put: (key, value) => kv.put(BUCKET, key, value),
    cas: (key, value, revision) => kv.cas(BUCKET, key, value, revision),
  };
}

async function rawStore(client: RawClient, name: string): Promise<Store> {
  const kv: KV = await bucketLike(client, busbarNames.bucket(BUCKET), `raw-${name}`);
  return {
    get: (key) => kv.get(key),
    put: (key, value) => kv.put(key, value),
    cas: (key, value, revision) => kv.update(key, value, revision),
  };
}

const put: Work = async (store) => {
  const next = cycle(KEYS);
  await store.put(next(), PAYLOAD);
  return () => store.put(next(), PAYLOAD);
};

const get: Work = async (store) => {
  await forEachInFlight(KEYS, 64, (key) => store.put(key, PAYLOAD));
  const next = cycle(KEYS);
  return () => store.get(next());
};

const compareAndSet: Work = async (store) => {
  let revision = await store.put("cas", PAYLOAD);
  return async () => {
    revision = await store.cas("cas", PAYLOAD, revision);
  };
};

function cycle(keys: readonly string[]): () => string {
  let next = 0;
  return () => keys[next++ % keys.length] as string;
}

const oneByOne: Repeat = (operation) => sequentially(SLICE_MS, operation);
const sixtyFour: Repeat = (operation) => inFlight(SLICE_MS, 64, operation);

/** Reads and writes of a bucket of 1,000 keys. */
export const kvRows: readonly ComparisonRow[] = [
  kvRow("kv put, one after another", oneByOne, put),
  kvRow("kv get, one after another", oneByOne, get),
  kvRow("kv compare-and-set, one after another", oneByOne, compareAndSet),
  kvRow("kv put, 64 in flight", sixtyFour, put),
  kvRow("kv get, 64 in flight", sixtyFour, get),
];
