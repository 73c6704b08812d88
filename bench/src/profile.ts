import { mkdir, writeFile } from "node:fs/promises";
import { Session, type Profiler as Inspector } from "node:inspector/promises";
import { join } from "node:path";

type CpuProfile = Inspector.Profile;

const SAMPLING_US = 200;

/** CPU profiles of the measured slices, by row and side; a slower run in exchange. */
export class Profiler {
  readonly #session = new Session();
  readonly #directory: string;
  readonly #self = new Map<string, Map<string, number>>();
  #row = "";
  #side = "";
  #files = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** A profiler that writes its files into a folder. */
  static async open(directory: string): Promise<Profiler> {
    await mkdir(directory, { recursive: true });
    const profiler = new Profiler(directory);
    profiler.#session.connect();
    await profiler.#session.post("Profiler.enable");
    await profiler.#session.post("Profiler.setSamplingInterval", { interval: SAMPLING_US });
    return profiler;
  }

  /** What follows belongs to this row. */
  row(name: string): void {
    this.#row = name;
    this.#self.clear();
  }

  /** A slice of a side begins. */
  async start(side: string): Promise<void> {
    this.#side = side;
    await this.#session.post("Profiler.start");
  }

  /** The slice is over. */
  async stop(): Promise<void> {
    const { profile } = await this.#session.post("Profiler.stop");
    this.#add(profile);
    const name = `${slug(this.#row)}.${this.#side}.${this.#files++}.cpuprofile`;
    await writeFile(join(this.#directory, name), JSON.stringify(profile));
  }

  /** Where the time of each side went: the functions with the most time of their own. */
  summary(top: number): string {
    const lines: string[] = [];
    for (const [side, self] of this.#self) {
      const total = [...self.values()].reduce((sum, us) => sum + us, 0);
      lines.push(`  ${side} (${Math.round(total / 1_000)} ms)`);
      const sorted = [...self].toSorted((a, b) => b[1] - a[1]).slice(0, top);
      for (const [where, us] of sorted) {
        lines.push(`    ${((us * 100) / total).toFixed(1).padStart(5)} %  ${where}`);
      }
    }
    return lines.join("\n");
  }

  /** Ends profiling. */
  close(): void {
    this.#session.disconnect();
  }

  #add(profile: CpuProfile): void {
    let self = this.#self.get(this.#side);
    if (!self) this.#self.set(this.#side, (self = new Map()));
    const places = new Map(profile.nodes.map((node) => [node.id, place(node.callFrame)]));
    const { samples = [], timeDeltas = [] } = profile;
    for (const [index, id] of samples.entries()) {
      const where = places.get(id) as string;
      self.set(where, (self.get(where) ?? 0) + (timeDeltas[index] ?? 0));
    }
  }
}

function place({ functionName, url, lineNumber }: Inspector.ProfileNode["callFrame"]): string {
  const file = url.replace(/^.*\/node_modules\//, "").replace(/^.*\/(?=[^/]+\/(?:src|dist)\/)/, "");
  return `${functionName || "(anonymous)"}${file === "" ? "" : `  ${file}:${lineNumber + 1}`}`;
}

function slug(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9]+/g, "-").replace(/-$/, "");
}
