// Loaded before a program, it plants a mistake in the simulator: a queue tells one ready job too many.
import { MemoryJobQueue } from "../../../bus-memory/src/memory-job-queue.ts";

const queue = MemoryJobQueue.prototype;
const stats = Object.getOwnPropertyDescriptor(queue, "stats")?.value as typeof queue.stats;
queue.stats = async function (name) {
  const told = await stats.call(this, name);
  return { ...told, ready: told.ready + 1 };
};
