import { type Bus, type RpcServer, typedBus } from "@busbar/core";
import { askIndex, type FileRecord, fileRecords, type IndexAnswer } from "./definitions.ts";

/**
 * Answers questions about the index while it grows: it watches the records and keeps them in memory.
 */
export class IndexService implements AsyncDisposable {
  readonly #records = new Map<string, FileRecord>();
  readonly #stops: (() => Promise<unknown>)[] = [];

  static async start(bus: Bus): Promise<IndexService> {
    const service = new IndexService();
    const watch = await typedBus(bus).bucket(fileRecords).watch();
    const watching = service.#follow(watch);
    const server: RpcServer = await typedBus(bus)
      .method(askIndex)
      .serve(({ extension }) => service.#answer(extension));
    service.#stops.push(
      () => server.close(),
      () => watch.close(),
      () => watching,
    );
    return service;
  }

  async #follow(
    watch: AsyncIterable<{ type: string; key?: string; value?: FileRecord }>,
  ): Promise<void> {
    for await (const { key, value } of watch) if (key && value) this.#records.set(key, value);
  }

  #answer(extension: string): IndexAnswer {
    const answer = { files: 0, lines: 0, words: 0, bytes: 0 };
    for (const { path, lines, words, bytes } of this.#records.values()) {
      if (!path.endsWith(extension)) continue;
      answer.files += 1;
      answer.lines += lines;
      answer.words += words;
      answer.bytes += bytes;
    }
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stop of this.#stops.splice(0)) await stop();
  }
}
