import { errorCode, openBus } from "@busbar/core";

// Only one of several programs may do a thing at a time: whoever has the lease. If its holder stops
// giving signs of life, the lease is over after its TTL, and the next one gets it, with a higher fence.

await using bus = await openBus();
const TTL_MS = 1_000;

/** What the lease guards: it remembers the highest fence and refuses those who come late. */
const ledger = {
  fence: 0,
  write(fence: number, text: string): void {
    if (fence < this.fence) return console.log(`refused from an old holder: ${text}`);
    this.fence = fence;
    console.log(`written: ${text}`);
  },
};

const ann = await bus.kv.lease("locks", "ledger", { ttlMs: TTL_MS, owner: "ann" });
ledger.write(ann.fence, "by ann");

await bus.kv.lease("locks", "ledger", { ttlMs: TTL_MS, owner: "bob" }).catch((error) => {
  console.log(`bob: ${errorCode(error)} by ${error.details.owner}`);
});

await ann.heartbeat();
console.log("ann renews, and then is not heard of any more");
// `lost` fires before the lease is over on the server: who stops at once never overlaps with the next.
ann.lost.addEventListener("abort", () => console.log("ann: her lease is lost"));

const bob = await bus.kv.lease("locks", "ledger", { ttlMs: TTL_MS, owner: "bob", waitMs: 10_000 });
console.log(`bob has it, and his fence is higher: ${bob.fence > ann.fence}`);
ledger.write(bob.fence, "by bob");
ledger.write(ann.fence, "by ann, too late");
await ann.heartbeat().catch((error) => console.log(`ann: ${errorCode(error)}`));

await bob.release();
await using carol = await bus.kv.lease("locks", "ledger", { ttlMs: TTL_MS, owner: "carol" });
console.log(`released leases are free at once: ${carol.owner} has it`);
/* Prints, on memory and NATS:
written: by ann
bob: LEASE_HELD by ann
ann renews, and then is not heard of any more
ann: her lease is lost
bob has it, and his fence is higher: true
written: by bob
refused from an old holder: by ann, too late
ann: LEASE_LOST
released leases are free at once: carol has it
*/
