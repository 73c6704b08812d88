import type { Bus } from "@busbar/core";
import { describe, expect, it } from "vitest";
import { noLostJobs } from "../../../src/index.ts";
import { enqueued, given } from "./stories.ts";
import { finalVerdict, Story, verdict } from "./story.ts";

const told = (id: string, payload = "x") => ({
  asked: { payload },
  got: { id, duplicate: false },
});

/** A job that a worker gives up, in the bus that a checker looks at in the end. */
async function deadLetter(bus: Bus, payload: string): Promise<void> {
  await bus.jobs.enqueue("q", { payload });
  const [job] = await bus.jobs.claim("q", { workerId: "w" });
  await job?.deadLetter("no");
}

const done = (story: Story, op: string): Story =>
  story.did("w", op, "q", { asked: { id: "1", fence: 1, confirm: true } });

describe("noLostJobs, what it knows of", () => {
  it("an enqueue that broke off: one job may come of it", () => {
    const story = new Story();
    const call = story.call("p", "jobs.enqueue", "q", { payload: "x" });
    story.error(call, "DISCONNECTED", { outcome: "unknown" });
    expect(verdict(noLostJobs(), given(story))).toBeUndefined();
    expect(verdict(noLostJobs(), given(story, { id: "2" }))).toMatch(/no process/);
  });

  it("what a job was enqueued with: it stays that", () => {
    const other = given(enqueued(), { payload: "y" });
    expect(verdict(noLostJobs(), other)).toMatch(/another payload or other headers/);
    const headed = given(enqueued(), { headers: "[]" });
    expect(verdict(noLostJobs(), headed)).toMatch(/another payload or other headers/);
  });

  it("a dead letter that a worker made: final, but for a replay or a crash that loses writes", () => {
    const buried = () => done(given(enqueued()).at(100), "job.deadLetter");
    const again = (story: Story) => given(story.at(5_000), { attempt: 2, fence: 2 });
    expect(verdict(noLostJobs(), again(buried()))).toMatch(/done for good with fence 1 \(dead/);
    const replayed = buried().did("p", "deadLetters.replay", "q", { asked: { id: "1" } });
    expect(verdict(noLostJobs(), given(replayed.at(5_000), { fence: 2 }))).toBeUndefined();
    const crashed = (loss: Readonly<Record<string, unknown>>) =>
      again(buried().at(150).fault("server", "serverCrash", loss));
    expect(verdict(noLostJobs(), crashed({ lostSettlesMs: 100 }))).toMatch(/done for good/);
    expect(verdict(noLostJobs(), crashed({ lostWritesMs: 100 }))).toBeUndefined();
  });

  it("a dead letter at the end: it is the job, and not one that was acked for good", async () => {
    const prepare = (bus: Bus) => deadLetter(bus, "x");
    expect(await finalVerdict(noLostJobs(), enqueued(), { prepare })).toEqual([]);
    const changed = (bus: Bus) => deadLetter(bus, "z");
    expect(await finalVerdict(noLostJobs(), enqueued(), { prepare: changed })).toMatchObject([
      /dead letter 1 has another payload/,
    ]);
    const acked = () => done(given(enqueued()).at(100), "job.ack");
    expect(await finalVerdict(noLostJobs(), acked(), { prepare })).toMatchObject([
      /job 1 was acked for good and is in the dead letters/,
    ]);
    const crashed = acked().at(150).fault("server", "serverCrash", { lostSettlesMs: 100 });
    expect(await finalVerdict(noLostJobs(), crashed, { prepare })).toEqual([]);
  });

  it("a purge: what it may have removed is not missed, whatever came of it", async () => {
    const missed = async (story: Story) => (await finalVerdict(noLostJobs(), story)).length;
    const purge = (code: string, facts: object = {}): Story => {
      const story = enqueued();
      return story.error(story.call("p", "jobs.purge", "q"), code, { ...facts });
    };
    expect(await missed(purge("TIMEOUT"))).toBe(0);
    expect(await missed(purge("INVALID_ARGUMENT"))).toBe(1);
    expect(await missed(purge("DISCONNECTED", { outcome: "notSent" }))).toBe(1);
    const unanswered = enqueued();
    unanswered.call("p", "deadLetters.purge", "q");
    expect(await missed(unanswered)).toBe(0);
    // The enqueue was under way when the queue was emptied.
    const between = new Story();
    const call = between.call("p", "jobs.enqueue", "q", { payload: "x" });
    between.did("p", "jobs.deleteQueue", "q").result(call, { id: "1", duplicate: false });
    expect(await missed(between)).toBe(0);
  });

  it("an id that is given again after a crash: the lost job may still be under way", () => {
    const again = (lostWritesMs: number): Story =>
      enqueued()
        .at(50)
        .fault("server", "serverCrash", { lostWritesMs })
        .at(200)
        .did("p", "jobs.enqueue", "q", told("1", "y"));
    expect(verdict(noLostJobs(), again(10))).toMatch(/two enqueues were answered with the id 1/);
    // It was given out before the crash, 180 ms ago.
    const late = given(given(again(100), { leftMs: 820 }), { payload: "y", fence: 2 });
    expect(verdict(noLostJobs(), late)).toBeUndefined();
    expect(verdict(noLostJobs(), given(again(100), { payload: "z" }))).toMatch(/another payload/);
  });
});
