import type { Capabilities, ResolvedNatsConfig } from "@busbar/core";
import type { Link } from "./link.ts";

/**
 * Kept free of the server's limit, which counts headers too: 8 KiB for those of the user, the rest
 * for those that Busbar adds.
 */
const HEADER_ROOM_BYTES = 16_384;
/** The server's limit where it does not tell: its default. */
const DEFAULT_MAX_PAYLOAD = 1_048_576;

/** What the connected server can do with this configuration. */
export function natsCapabilities(config: ResolvedNatsConfig, link: Link): Capabilities {
  const { version, v2_10, messageTtl } = link.features;
  const persistent = config.storage === "file";
  const maxPayload = link.connection.info?.max_payload ?? DEFAULT_MAX_PAYLOAD;
  return Object.freeze({
    backend: "nats",
    server: `nats-server ${version}`,
    ackMeaning: persistent ? (config.replicas > 1 ? "quorum" : "flushed") : "memory",
    persistent,
    settleDurability: Object.freeze({
      // A stream with limits notes down acks from time to time, on every version.
      pubsub: persistent ? "window" : "none",
      jobs: persistent ? (v2_10 ? "kept" : "window") : "none",
    }),
    dedupDurability: Object.freeze({
      pubsub: persistent ? "kept" : "none",
      // A work queue knows the ids of the messages that it still has.
      jobs: persistent ? "unconsumed" : "none",
    }),
    // Before 2.10 a redelivery that meets a pull whose inbox is gone loses its place (`o.sseq--` in
    // loopAndGatherMsgs, server/consumer.go).
    deliveryCounts: v2_10 ? "nearly" : "loose",
    dedupWindowMs: config.dedupWindowMs,
    maxPayloadBytes: Math.max(maxPayload - HEADER_ROOM_BYTES, Math.floor(maxPayload / 2)),
    timerGranularityMs: 150,
    crossProcess: true,
    keyTtl: messageTtl,
    keyTtlGranularityMs: messageTtl ? 1_000 : 0,
  });
}
