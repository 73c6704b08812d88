import { execFileSync } from "node:child_process";
import { lstat, mkdtemp, open, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatJson } from "@busbar/conformance-tests";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { prepareReports, writeReports } from "../../src/report/files.ts";
import { sampleReport } from "../support/sample-report.ts";

describe("writeReports", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "busbar-reports-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("makes missing folders and leaves nothing else there", async () => {
    const report = await sampleReport();
    const out = join(folder, "a", "b");
    await writeReports(report, { json: join(out, "r.json"), badge: join(out, "b.svg") });
    expect((await readdir(out)).toSorted()).toEqual(["b.svg", "r.json"]);
    expect(await readFile(join(out, "r.json"), "utf8")).toBe(formatJson(report));
  });

  it("replaces a file as a whole: who reads the old one goes on reading it", async () => {
    const path = join(folder, "r.json");
    await writeFile(path, "old");
    const reader = await open(path);
    await writeReports(await sampleReport(), { json: path });
    expect(await reader.readFile("utf8")).toBe("old");
    await reader.close();
    expect(await readFile(path, "utf8")).toContain("schemaVersion");
  });

  it("writes where a link leads, and into what is no file", async () => {
    const [path, link, pipe] = ["r.json", "link", "pipe"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(path, "old");
    await symlink(path, link);
    await writeReports(await sampleReport(), { json: link });
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(await readFile(path, "utf8")).toContain("schemaVersion");
    execFileSync("mkfifo", [pipe]);
    const [read] = await Promise.all([
      readFile(pipe, "utf8"),
      writeReports(await sampleReport(), { json: pipe }),
    ]);
    expect(read).toContain("schemaVersion");
    expect((await lstat(pipe)).isFIFO()).toBe(true);
  });

  it("names what cannot be written, and writes the others", async () => {
    const file = join(folder, "file");
    await writeFile(file, "");
    const [bad, good] = [join(file, "r.json"), join(folder, "r.xml")];
    const writing = writeReports(await sampleReport(), { json: bad, junit: good, html: folder });
    await expect(writing).rejects.toThrow(bad);
    await expect(writing).rejects.toThrow(`the report ${folder} cannot be written`);
    expect((await readdir(folder)).toSorted()).toEqual(["file", "r.xml"]);
  });

  it("is prepared with a look at the paths", async () => {
    const file = join(folder, "file");
    await writeFile(file, "");
    await expect(prepareReports({ html: folder })).rejects.toThrow(`${folder} cannot be written`);
    await expect(prepareReports({ json: join(file, "r.json") })).rejects.toThrow("r.json cannot");
    await prepareReports({ json: join(folder, "new", "r.json"), junit: file });
    expect(await readdir(join(folder, "new"))).toEqual([]);
    expect(await readFile(file, "utf8")).toBe("");
  });
});
