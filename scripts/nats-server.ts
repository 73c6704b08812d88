import { findNatsServer, NATS_SERVER_GENERATIONS } from "./src/index.ts";

// Prints the path of a nats-server, of the generation in the first argument if there is one.
const wanted = process.argv[2];
const version = NATS_SERVER_GENERATIONS.find((generation) => generation === wanted);
if (wanted !== undefined && version === undefined) {
  throw new RangeError(
    `nats-server generation is "${wanted}"; it may be ${NATS_SERVER_GENERATIONS.join(", ")}`,
  );
}
const server = await findNatsServer(version === undefined ? {} : { version });
console.log(server.path);
