import { inFlight, sequentially, type Slice } from "../measure.ts";
import { AS_FAST, type ComparisonRow, SLICE_MS } from "./comparison-row.ts";
import type { RawClient } from "./raw-client.ts";
import { PAYLOAD } from "./setup.ts";

type Repeat = (operation: () => Promise<unknown>) => Promise<Slice>;

/** Requests whose server is of the same kind, and on the same connection, as who asks. */
function requestRow(about: Pick<ComparisonRow, "name" | "target">, repeat: Repeat): ComparisonRow {
  return {
    ...about,
    open: async ({ bus, best, plain }) => {
      const server = await bus.rpc.serve("bench.echo", ({ payload }) => payload);
      const stopBest = await serveRaw(best, "raw.echo.best");
      const stopPlain = await serveRaw(plain, "raw.echo.default");
      return {
        busbar: { run: () => repeat(() => bus.rpc.request("bench.echo", PAYLOAD)) },
        raw: rawSide(best, "raw.echo.best", repeat),
        rawDefault: rawSide(plain, "raw.echo.default", repeat),
        close: async () => {
          await server.close();
          stopBest();
          stopPlain();
        },
      };
    },
  };
}

/** Only the side that asks is compared: one raw server answers all. */
function askRow(about: Pick<ComparisonRow, "name" | "note">, repeat: Repeat): ComparisonRow {
  return {
    ...about,
    slices: 2,
    open: async ({ bus, best, plain }) => {
      const subject = "busbar.bench.rpc.ask";
      const stop = await serveRaw(plain, subject);
      return {
        busbar: { run: () => repeat(() => bus.rpc.request("ask", PAYLOAD)) },
        raw: rawSide(best, subject, repeat),
        rawDefault: rawSide(plain, subject, repeat),
        close: async () => stop(),
      };
    },
  };
}

async function serveRaw({ connection }: RawClient, subject: string): Promise<() => void> {
  const subscription = connection.subscribe(subject, {
    queue: "echo",
    callback: (_error, message) => {
      message.respond(message.data);
    },
  });
  await connection.flush();
  return () => subscription.unsubscribe();
}

function rawSide({ connection }: RawClient, subject: string, repeat: Repeat) {
  return { run: () => repeat(() => connection.request(subject, PAYLOAD, { timeout: 5_000 })) };
}

/** Requests and their replies. */
export const requestRows: readonly ComparisonRow[] = [
  requestRow({ name: "request, one after another", target: AS_FAST }, (operation) =>
    sequentially(SLICE_MS, operation),
  ),
  requestRow({ name: "request, 64 in flight", target: AS_FAST }, (operation) =>
    inFlight(SLICE_MS, 64, operation),
  ),
  askRow(
    {
      name: "request, 64 in flight, raw server",
      note: "one raw server answers all sides: this is the asking side alone",
    },
    (operation) => inFlight(SLICE_MS, 64, operation),
  ),
];
