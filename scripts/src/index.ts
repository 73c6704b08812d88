export {
  findNatsServer,
  NATS_SERVER_GENERATIONS,
  type FindNatsServerOptions,
  type NatsServerBinary,
  type NatsServerGeneration,
} from "./nats-server.ts";
export { startNatsServer, type NatsServer, type StartNatsServerOptions } from "./server.ts";
