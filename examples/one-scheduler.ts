import { openBus } from "@busbar/core";
import { startNatsServer } from "@busbar/scripts";
import { Crew } from "./scheduler/crew.ts";
import { Ticks } from "./scheduler/ticks.ts";

// A scheduler that runs on exactly one of three processes, while they are killed, stopped and asked to
// step down. What each of them does is in `scheduler/scheduler-process.ts`. Every tick comes once: who
// was stopped and goes on is refused, because its term is over.

await using server = await startNatsServer();
await using bus = await openBus(server.url);
await using ticks = await Ticks.open(bus);
await using crew = new Crew({ url: server.url, ttlMs: 1_000, everyMs: 20 });
await Promise.all(["one", "two", "three"].map((name) => crew.start(name)));

let leader = await crew.leaderAfter(0);
await ticks.more(5);
console.log(`one of three runs the scheduler, in term ${leader.term}`);

for (const signal of ["SIGKILL", "SIGSTOP", "SIGKILL"] as const) {
  const { name, term } = leader;
  crew.signal(name, signal);
  leader = await crew.leaderAfter(term);
  await ticks.more(5);
  console.log(`${signal}: another one runs it: ${leader.name !== name}, in term ${leader.term}`);
  if (signal === "SIGKILL") await crew.start(name);
  else crew.signal(name, "SIGCONT");
}

const { term } = leader;
const startedAt = performance.now();
crew.resign(leader.name);
leader = await crew.leaderAfter(term);
await ticks.more(5);
console.log(`it resigns: the next one began ${Math.round(leader.atMs - startedAt)} ms later`);
console.log(`ticks that were missing, doubled or from an old leader: ${ticks.problems.length}`);
/* Prints, on NATS:
one of three runs the scheduler, in term 1
SIGKILL: another one runs it: true, in term ...
SIGSTOP: another one runs it: true, in term ...
SIGKILL: another one runs it: true, in term ...
it resigns: the next one began ... ms later
ticks that were missing, doubled or from an old leader: 0
*/
