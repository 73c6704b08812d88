import { type ProcessContext, simulate } from "@busbar/bus-memory";
import { FencedBucket, Locks } from "@busbar/coordination";
import { type Bus, errorCode, toText } from "@busbar/core";

// A lock alone cannot stop a write that is already on its way. Here a process looks at its lock, stands
// still for longer than the lock lasts, and then writes. Where nothing looks at fences it overwrites what
// its successor wrote; a fenced bucket refuses it.

type Write = (bus: Bus, fence: number, text: string) => Promise<unknown>;

const plain: Write = (bus, _fence, text) => bus.kv.put("plain", "balance", text);
const fenced: Write = (bus, fence, text) =>
  new FencedBucket({ bus, bucket: "fenced" }).guard(fence).put("balance", text);

async function race(write: Write): Promise<string[]> {
  const story: string[] = [];
  const clerk = async ({ bus, clock, name }: ProcessContext): Promise<void> => {
    const lock = await new Locks({ bus, clock, ttlMs: 1_000 }).acquire("account");
    if (lock.lost.aborted) return;
    // The slow one is stopped here: what it has just seen is not true any more when it goes on.
    await clock.sleep(10);
    await write(bus, lock.fence, `by ${name}`).then(
      () => story.push(`${name} writes`),
      (error) => story.push(`${name} is refused: ${errorCode(error)}`),
    );
    await lock.release();
  };
  await simulate({ seed: 1 }, async (world) => {
    const slow = world.process("slow", clerk);
    await world.sleep(5);
    slow.pause();
    await world.process("fast", clerk).done;
    slow.resume();
    await slow.done;
    const entry =
      (await world.bus.kv.get("plain", "balance")) ??
      (await new FencedBucket({ bus: world.bus, bucket: "fenced" }).get("balance"));
    story.push(`the last word is ${entry === undefined ? "none" : toText(entry.value)}`);
  });
  return story;
}

console.log(`without fences: ${(await race(plain)).join(", ")}`);
console.log(`with fences: ${(await race(fenced)).join(", ")}`);
/* Prints, on memory:
without fences: fast writes, slow writes, the last word is by slow
with fences: fast writes, slow is refused: CONFLICT, the last word is by fast
*/
