import { ALL_FAULTS, defineScenario, standardCheckers, type World } from "@busbar/bus-memory";
import type { Bus, Clock, EnqueueResult, Random } from "@busbar/core";
import { answerer, follower, insist, type Job, keeper, totalOf, worker } from "./demo-processes.ts";

// The workload of `file-index`, small enough for a thousand seeds: jobs with leases that three workers
// claim, poison that ends in the dead letters, totals that racing writers add up, a durable that
// follows, an rpc that answers, and a lock with a fence. Everything that can go wrong does.

type Step =
  | ({ readonly do: "enqueue" } & Job)
  | { readonly do: "ask"; readonly colour: string }
  | { readonly do: "wait"; readonly ms: number };

/** What the scenario itself knows: what must be true at the end. */
interface Books {
  readonly bus: Bus;
  readonly clock: Clock;
  /** By the id that the queue gave it. */
  readonly jobs: Map<string, Job>;
  readonly answered: Map<string, number>;
  readonly problems: string[];
}

const COLOURS = ["red", "green", "blue"];
const STEPS = 80;

export const scenario = defineScenario<Step, Books>({
  name: "demo",
  faults: ALL_FAULTS,
  checkers: standardCheckers,
  reaches: [
    "a lease was lost",
    "a lock was lost",
    "an old fence was refused",
    "a message came again",
    "no answer came",
  ],

  script: (random) => Array.from({ length: STEPS }, () => anyStep(random)),

  setUp: async (world: World) => {
    await world.bus.kv.ensureBucket("book", { history: 64 });
    for (const name of ["worker-1", "worker-2", "worker-3"]) world.process(name, worker);
    world.process("follower", follower);
    world.process("answerer", answerer);
    for (const name of ["keeper-1", "keeper-2"]) world.process(name, keeper);
    const { bus, clock } = world.process("painter");
    return { bus, clock, jobs: new Map(), answered: new Map(), problems: [] };
  },

  step: async (world, step, books) => {
    if (step.do === "wait") return world.sleep(step.ms);
    if (step.do === "ask") return ask(world, step.colour, books);
    const { do: _, ...job } = step;
    const dedupKey = `job-${books.jobs.size + 1}`;
    const maxAttempts = job.poison ? 3 : 100;
    const { id } = await insist<EnqueueResult>(books, () =>
      books.bus.jobs.enqueue("paint", { payload: JSON.stringify(job), dedupKey, maxAttempts }),
    );
    books.jobs.set(id, job);
  },

  check: async ({ bus }, { jobs, problems }) => [
    ...problems,
    ...(await wrongTotals(bus, jobs)),
    ...(await wrongDeadLetters(bus, jobs)),
    ...(await wrongBook(bus)),
  ],
});

function anyStep(random: Random): Step {
  const kind = random.next();
  const colour = COLOURS[Math.floor(random.next() * COLOURS.length)] ?? "red";
  if (kind < 0.45) return { do: "wait", ms: Math.floor(random.next() * 2_000) };
  if (kind < 0.55) return { do: "ask", colour };
  const points = 1 + Math.floor(random.next() * 9);
  const workMs = 20 + Math.floor(random.next() * 400);
  return { do: "enqueue", colour, points, workMs, poison: random.next() < 0.05 };
}

/** Points never get fewer, whoever answers. */
async function ask(
  world: World,
  colour: string,
  { bus, answered, problems }: Books,
): Promise<void> {
  try {
    const { payload } = await bus.rpc.request("points", colour, { timeoutMs: 1_000 });
    const points = Number(new TextDecoder().decode(payload));
    const before = answered.get(colour) ?? 0;
    if (points < before) problems.push(`${colour} had ${before} points, then ${points}`);
    answered.set(colour, points);
  } catch {
    world.note("reached: no answer came");
  }
}

async function wrongTotals(bus: Bus, jobs: ReadonlyMap<string, Job>): Promise<string[]> {
  const wrong: string[] = [];
  for (const colour of COLOURS) {
    const entry = await bus.kv.get("totals", colour);
    const { points } = totalOf(entry?.value);
    const own = [...jobs.values()].filter((job) => !job.poison && job.colour === colour);
    const expected = own.reduce((sum, job) => sum + job.points, 0);
    if (points !== expected) wrong.push(`${colour} has ${points} points instead of ${expected}`);
  }
  const { keys } = await bus.kv.keys("followed");
  for (const [id, { poison }] of jobs) {
    if (!poison && !keys.includes(id)) wrong.push(`nobody heard that job ${id} was done`);
  }
  return wrong;
}

async function wrongDeadLetters(bus: Bus, jobs: ReadonlyMap<string, Job>): Promise<string[]> {
  const { entries } = await bus.jobs.deadLetters.list("paint");
  const dead = entries.map(({ id }) => id).toSorted();
  const poison = [...jobs]
    .filter(([, job]) => job.poison)
    .map(([id]) => id)
    .toSorted();
  if (dead.join() === poison.join()) return [];
  return [`dead are ${dead.join() || "none"}, poison was in ${poison.join() || "none"}`];
}

/** Each entry of the book has the fence of the one before or a higher one. */
async function wrongBook(bus: Bus): Promise<string[]> {
  const wrong: string[] = [];
  let last = 0;
  for (const event of await bus.kv.history("book", "page")) {
    if (event.type !== "put") continue;
    const { fence } = JSON.parse(new TextDecoder().decode(event.value)) as { fence: number };
    if (fence < last) wrong.push(`fence ${fence} wrote after fence ${last}`);
    last = fence;
  }
  return wrong;
}
