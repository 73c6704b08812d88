import { type Bus, BusError } from "@busbar/core";
import { onBus } from "./contracts.ts";
import type { Mutant, Open, World } from "./mutant.ts";
import { override } from "./override.ts";

/** Mistakes with views, what is stored in them, and their removal. */
export const views: readonly Mutant[] = [
  {
    id: "view-shares-buckets",
    title: "The buckets of a view are those of its bus",
    contract: "lifecycle",
    killedBy: ["LC-VIEW-001"],
    wrap: (world) => onViews(world, (_view, bus) => ({ kv: bus.kv })),
  },
  {
    id: "view-of-its-own",
    title: "Two views of one name have each a namespace of its own",
    contract: "lifecycle",
    killedBy: ["LC-VIEW-002"],
    wrap: (world) => {
      let views = 0;
      return onBus(world, (bus) => ({
        forNamespace: (name) => {
          views += 1;
          return bus.forNamespace(`${name}-${views}`);
        },
      }));
    },
  },
  {
    id: "view-name-cut",
    title: "Views whose names begin alike are one",
    contract: "lifecycle",
    killedBy: ["LC-VIEW-003"],
    wrap: (world) =>
      onBus(world, (bus) => ({ forNamespace: (name) => bus.forNamespace(name[0] ?? "") })),
  },
  {
    id: "view-name-not-checked",
    title: "What is not allowed in the name of a view becomes something else",
    contract: "lifecycle",
    killedBy: ["LC-VIEW-004"],
    wrap: (world) =>
      onBus(world, (bus) => ({
        forNamespace: (name) => bus.forNamespace(`v${name}`.replaceAll(/[^a-zA-Z0-9]/g, "-")),
      })),
  },
  {
    id: "view-closes-bus",
    title: "Closing a view closes the connection, and its bus with it",
    contract: "lifecycle",
    killedBy: ["LC-VIEW-006"],
    wrap: (world) => onViews(world, (_view, bus) => ({ close: (options) => bus.close(options) })),
  },
  {
    id: "view-outlives-bus",
    title: "Closing a bus leaves its views open",
    contract: "lifecycle",
    killedBy: ["LC-VIEW-007", "LC-VIEW-008"],
    wrap: (world) => async (options) => {
      const other = await world.open(options);
      const bus = await world.open(options);
      return override(bus, { forNamespace: (name) => other.forNamespace(name) });
    },
  },
  {
    id: "stored-twice",
    title: "What is stored is counted twice",
    contract: "lifecycle",
    killedBy: ["LC-STORE-001", "LC-STORE-002", "LC-STORE-004"],
    wrap: (world) =>
      onBus(world, (bus) => ({
        storage: async (options) => {
          const { objects, bytes } = await bus.storage(options);
          return { objects: 2 * objects, bytes };
        },
      })),
  },
  {
    id: "stored-anywhere",
    title: "The queues and buckets that storage() is asked about are not looked at",
    contract: "lifecycle",
    killedBy: ["LC-STORE-003"],
    wrap: (world) => onBus(world, (bus) => ({ storage: () => bus.storage() })),
  },
  {
    id: "stored-beside",
    title: "storage() of a view counts what its bus has",
    contract: "lifecycle",
    killedBy: ["LC-STORE-004"],
    wrap: (world) =>
      onViews(world, (_view, bus) => ({ storage: (options) => bus.storage(options) })),
  },
  {
    id: "removal-leaves-values",
    title: "Removing a namespace leaves its buckets",
    contract: "lifecycle",
    killedBy: ["LC-REMOVE-001", "LC-REMOVE-002", "LC-REMOVE-003"],
    wrap: (world) => onRemoval(world, (bus, remove) => keepValue(bus, remove)),
  },
  {
    id: "removal-by-prefix",
    title: "Removing a view removes those whose names begin alike",
    contract: "lifecycle",
    killedBy: ["LC-REMOVE-002"],
    wrap: (world) => {
      const names = new Set<string>();
      return onViews(world, (view, bus, name) => {
        names.add(name);
        const removeNamespace = async (): Promise<void> => {
          await view.removeNamespace();
          for (const other of names) {
            if (other.startsWith(name)) await (await bus.forNamespace(other)).removeNamespace();
          }
        };
        return { removeNamespace };
      });
    },
  },
  {
    id: "removal-once",
    title: "Removing a namespace of which nothing is there rejects",
    contract: "lifecycle",
    killedBy: ["LC-REMOVE-003"],
    wrap: (world) =>
      onRemoval(world, async (bus, remove) => {
        const { objects } = await bus.storage();
        if (objects === 0) throw new BusError("NOT_FOUND", "there is no such namespace");
        await remove();
      }),
  },
  {
    id: "removal-keeps-streams",
    title: "Removing a namespace leaves the durables, with what they have not given out",
    contract: "lifecycle",
    killedBy: ["LC-REMOVE-001", "LC-REMOVE-004"],
    wrap: (world) =>
      onRemoval(world, async (bus) => {
        await bus.jobs.deleteQueue("q");
        for (const bucket of ["b", "new"]) await bus.kv.deleteBucket(bucket);
      }),
  },
  {
    id: "removal-leaves-leases-of-jobs",
    title: "Removing a namespace leaves the jobs that are in the hands of workers",
    contract: "lifecycle",
    killedBy: ["LC-REMOVE-005"],
    wrap: (world) =>
      onRemoval(world, async (bus, remove) => {
        if ((await bus.jobs.stats("q")).leased === 0) await remove();
      }),
  },
];

/** Every view of every bus. */
function onViews(world: World, change: (view: Bus, bus: Bus, name: string) => Partial<Bus>): Open {
  return onBus(world, (bus) => ({
    forNamespace: async (name) => {
      const view = await bus.forNamespace(name);
      return override(view, change(view, bus, name));
    },
  }));
}

/** `removeNamespace` of every bus and view. */
function onRemoval(
  world: World,
  removal: (bus: Bus, remove: () => Promise<void>) => Promise<void>,
): Open {
  const changed = (bus: Bus): Bus =>
    override(bus, {
      removeNamespace: () => removal(bus, () => bus.removeNamespace()),
      forNamespace: async (name) => changed(await bus.forNamespace(name)),
    });
  return async (options) => changed(await world.open(options));
}

async function keepValue(bus: Bus, remove: () => Promise<void>): Promise<void> {
  const entry = await bus.kv.get("b", "k");
  await remove();
  if (entry) await bus.kv.put("b", "k", entry.value);
}
