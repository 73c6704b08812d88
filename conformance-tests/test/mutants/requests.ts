import { BusError, errorCode, type Reply, type RequestReply } from "@busbar/core";
import { noResponders, timeoutError } from "@busbar/core/adapter";
import { onRpc } from "./contracts.ts";
import type { Mutant, World } from "./mutant.ts";
import { override, without } from "./override.ts";

const DEFAULT_TIMEOUT_MS = 5_000;

/** Mistakes with requests and replies. */
export const requests: readonly Mutant[] = [
  {
    id: "no-responders-after-timeout",
    title: "NO_RESPONDERS comes when the timeout is over",
    contract: "rpc",
    killedBy: ["RPC-REQ-005"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        request: async (subject, payload, options = {}) => {
          try {
            return await rpc.request(subject, payload, options);
          } catch (error) {
            if (errorCode(error) !== "NO_RESPONDERS") throw error;
            await world.clock.sleep(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
            throw noResponders(subject);
          }
        },
      })),
  },
  {
    id: "late-reply-to-next-request",
    title: "A reply that comes after its timeout answers the next request",
    contract: "rpc",
    killedBy: ["RPC-REQ-009"],
    wrap: (world) => onRpc(world, (rpc) => ({ request: withLateReplies(world, rpc) })),
  },
  {
    id: "stack-in-remote-error",
    title: "The stack of a handler's error is sent to the caller",
    contract: "rpc",
    killedBy: ["RPC-ERR-002"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        serve: (subject, handler, options) =>
          rpc.serve(
            subject,
            async (request) => {
              try {
                return await handler(request);
              } catch (error) {
                if (!(error instanceof Error)) throw error;
                const { message, stack = "" } = error;
                throw override(error, { message: `${message} ${stack.replaceAll("\n", " ")}` });
              }
            },
            options,
          ),
      })),
  },
  {
    id: "remote-error-without-code",
    title: "What a handler throws arrives without its code",
    contract: "rpc",
    killedBy: ["RPC-ERR-001"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        request: async (subject, payload, options) => {
          try {
            return await rpc.request(subject, payload, options);
          } catch (error) {
            if (!(error instanceof BusError) || error.code !== "REMOTE") throw error;
            throw new BusError("REMOTE", error.message);
          }
        },
      })),
  },
  {
    id: "group-serves-everybody",
    title: "Every server of a group handles every request",
    contract: "rpc",
    killedBy: ["RPC-SRV-001"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        serve: (subject, handler, options) =>
          rpc.serve(subject, handler, { ...options, group: false }),
      })),
  },
  {
    id: "concurrency-ignored",
    title: "A server handles as many requests at a time as there are",
    contract: "rpc",
    killedBy: ["RPC-SRV-004"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        serve: (subject, handler, options) =>
          rpc.serve(subject, handler, { ...options, concurrency: 10_000 }),
      })),
  },
  {
    id: "request-many-endless",
    title: "requestMany does not end when its time is over",
    contract: "rpc",
    killedBy: ["RPC-MANY-001"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        requestMany: (subject, payload, options) =>
          rpc.requestMany(subject, payload, { ...options, timeoutMs: 3_600_000 }),
      })),
  },
  {
    id: "stall-ignored",
    title: "stallMs does not end requestMany",
    contract: "rpc",
    killedBy: ["RPC-MANY-003"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        requestMany: (subject, payload, options = {}) =>
          rpc.requestMany(subject, payload, without(options, "stallMs")),
      })),
  },
  {
    id: "timeout-is-a-plain-error",
    title: "A timeout rejects with the vendor's error",
    contract: "rpc",
    killedBy: ["RPC-REQ-006"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        request: async (subject, payload, options) => {
          try {
            return await rpc.request(subject, payload, options);
          } catch (error) {
            throw errorCode(error) === "TIMEOUT" ? new Error("request timed out") : error;
          }
        },
      })),
  },
  {
    id: "request-timer-left",
    title: "The timer of a request that was answered goes on until its timeout",
    contract: "rpc",
    killedBy: ["RPC-REQ-001"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        request: (subject, payload, options = {}) => {
          world.clock.setTimer(() => undefined, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
          return rpc.request(subject, payload, options);
        },
      })),
  },
  {
    id: "request-connection-left",
    title: "requestMany opens a connection of its own and does not close it",
    contract: "rpc",
    killedBy: ["RPC-MANY-002"],
    wrap: (world) =>
      onRpc(world, (rpc, namespace) => ({
        requestMany: async function* (subject, payload, options) {
          await world.open({ namespace });
          yield* rpc.requestMany(subject, payload, options);
        },
      })),
  },
  {
    id: "default-group-apart",
    title: 'Servers without a group do not share with those of the group "default"',
    contract: "rpc",
    killedBy: ["RPC-SRV-010"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        serve: (subject, handler, options = {}) =>
          rpc.serve(subject, handler, { group: "the-default", ...options }),
      })),
  },
  {
    id: "many-replies-without-headers",
    title: "The replies of requestMany have no headers",
    contract: "rpc",
    killedBy: ["RPC-MANY-010"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        requestMany: async function* (subject, payload, options) {
          for await (const reply of rpc.requestMany(subject, payload, options)) {
            yield { ...reply, headers: {} };
          }
        },
      })),
  },
  {
    id: "signal-listener-left",
    title: "A request that was answered goes on listening to its signal",
    contract: "rpc",
    killedBy: ["LC-SIGNAL-007"],
    wrap: (world) =>
      onRpc(world, (rpc) => ({
        request: (subject, payload, options) => {
          options?.signal?.addEventListener("abort", () => undefined);
          return rpc.request(subject, payload, options);
        },
      })),
  },
];

/** A request gives up by itself, and what comes after that is kept for who asks next. */
function withLateReplies(world: World, rpc: RequestReply): RequestReply["request"] {
  const late = new Map<string, Reply>();
  return async (subject, payload, options = {}) => {
    const kept = late.get(subject);
    late.delete(subject);
    if (kept) return kept;
    const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    const answer = rpc.request(subject, payload, { ...options, timeoutMs: timeoutMs * 10 });
    let cancel = (): void => undefined;
    const over = new Promise<never>((_resolve, reject) => {
      const giveUp = (): void => {
        answer.then(
          (reply) => late.set(subject, reply),
          () => undefined,
        );
        reject(timeoutError(subject, timeoutMs));
      };
      cancel = () => timer.cancel();
      const timer = world.clock.setTimer(giveUp, timeoutMs);
    });
    try {
      return await Promise.race([answer, over]);
    } finally {
      cancel();
    }
  };
}
