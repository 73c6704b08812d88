import { BusError, toText } from "@busbar/core";
import { check, checkCode, checkEqual } from "../../assert.ts";
import type { ConformanceCase } from "../../case.ts";
import { ask } from "./helpers.ts";

const SECRET = "stack-of-the-handler";

/** What a failing handler tells its caller. */
export const errorCases: readonly ConformanceCase[] = [
  {
    id: "RPC-ERR-001",
    title: "What a handler throws is REMOTE, with its code and message in details",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      const thrown: [name: string, value: unknown, code: string, message: string][] = [
        ["error", new Error("it broke"), "INTERNAL", "it broke"],
        ["busError", new BusError("CONFLICT", "was changed"), "CONFLICT", "was changed"],
        ["nodeError", Object.assign(new Error("no file"), { code: "ENOENT" }), "ENOENT", "no file"],
        ["object", { code: "E_CUSTOM", message: "an object" }, "E_CUSTOM", "an object"],
        ["subclass", new RangeError("too far"), "INTERNAL", "too far"],
        ["unicode", new Error("naïve 日本語 🚌"), "INTERNAL", "naïve 日本語 🚌"],
        ["text", "only text", "INTERNAL", "only text"],
      ];
      for (const [name, value, code, message] of thrown) {
        await bus.rpc.serve(`throws.${name}`, () => {
          throw value;
        });
        await bus.rpc.serve(`rejects.${name}`, async () => Promise.reject(value));
        for (const subject of [`throws.${name}`, `rejects.${name}`]) {
          const error = await checkCode(() => ask(bus, subject, "x"), "REMOTE", subject);
          checkEqual(error.details["code"], code, `details.code of ${subject}`);
          checkEqual(error.details["message"], message, `details.message of ${subject}`);
          checkEqual(error.retryable, false, `retryable of ${subject}`);
        }
      }
    },
  },
  {
    id: "RPC-ERR-002",
    title: "The stack, the cause and other fields of a handler's error stay where it was thrown",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      await bus.rpc.serve("secrets", () => {
        const error = new BusError("INTERNAL", "it broke", {
          details: { password: SECRET },
          cause: new Error(SECRET),
        });
        error.stack = `Error: it broke\n    at ${SECRET} (/home/${SECRET}/handler.ts:1:1)`;
        throw Object.assign(error, { token: SECRET });
      });
      const error = await checkCode(() => ask(bus, "secrets", "x"), "REMOTE", "the error");
      const told = [error.message, error.stack, JSON.stringify(error.details), deep(error.cause)];
      for (const text of told) {
        check(!text?.includes(SECRET), `the caller was told: ${text?.slice(0, 200)}`);
      }
    },
  },
  {
    id: "RPC-ERR-003",
    title: "A message of several lines, or a very long one, arrives as one line and does no harm",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      const messages = [
        "first\r\nBusbar-Injected: yes\r\n\r\nsecond",
        "nul\u0000 bell\u0007 delete\u007f",
        "x".repeat(100_000),
        "🚌".repeat(1_000),
        "",
        "   ",
      ];
      for (const [index, message] of messages.entries()) {
        await bus.rpc.serve(`odd.${index}`, () => {
          throw new Error(message);
        });
        const error = await checkCode(() => ask(bus, `odd.${index}`, "x"), "REMOTE", "the error");
        checkEqual(error.details["code"], "INTERNAL", "details.code");
        const told = error.details["message"];
        check(typeof told === "string" && !/[\r\n\0]/.test(told), "details.message is one line");
      }
      await bus.rpc.serve("odd.code", () => {
        throw Object.assign(new Error("odd code"), { code: "bad\r\ncode: x" });
      });
      const error = await checkCode(() => ask(bus, "odd.code", "x"), "REMOTE", "an odd code");
      checkEqual(error.details["code"], "INTERNAL", "details.code for an odd code");
    },
  },
  {
    id: "RPC-ERR-004",
    title:
      "A handler that throws undefined, null or a number is REMOTE too, and the server goes on",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      const values: Record<string, unknown> = {
        undefined,
        null: null,
        number: 7,
        symbol: Symbol("s"),
      };
      await bus.rpc.serve("odd", ({ payload }) => {
        const name = toText(payload);
        if (name === "fine") return "fine";
        throw values[name];
      });
      for (const name of Object.keys(values)) {
        const error = await checkCode(() => ask(bus, "odd", name), "REMOTE", name);
        checkEqual(error.details["code"], "INTERNAL", `details.code of ${name}`);
      }
      checkEqual(await ask(bus, "odd", "fine"), "fine", "the next request");
    },
  },
  {
    id: "RPC-ERR-005",
    title: "A reply that may not be sent is REMOTE: too large, a wrong header, a wrong type",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      const bytes = bus.capabilities.maxPayloadBytes + 1;
      await bus.rpc.serve("large", () => new Uint8Array(bytes));
      await bus.rpc.serve("header", () => ({ payload: "x", headers: { "Nats-Injected": "x" } }));
      await bus.rpc.serve("line", () => ({ payload: "x", headers: { a: "x\r\ny: z" } }));
      await bus.rpc.serve("type", () => 7 as unknown as string);
      const tooLarge = await checkCode(() => ask(bus, "large", "x"), "REMOTE", "too large");
      checkEqual(tooLarge.details["code"], "PAYLOAD_TOO_LARGE", "details.code");
      for (const subject of ["header", "line"]) {
        const error = await checkCode(() => ask(bus, subject, "x"), "REMOTE", subject);
        checkEqual(error.details["code"], "INVALID_ARGUMENT", `details.code of ${subject}`);
      }
      await checkCode(() => ask(bus, "type", "x"), "REMOTE", "type");
    },
  },
  {
    id: "RPC-ERR-006",
    title: "One request that fails does not touch those beside it",
    contract: "rpc",
    level: "L1",
    async run({ bus }) {
      await bus.rpc.serve("mixed", ({ payload }) => {
        const text = toText(payload);
        if (Number(text) % 3 === 0) throw new Error(`failed ${text}`);
        return `fine ${text}`;
      });
      const results = await Promise.allSettled(
        Array.from({ length: 60 }, (_, index) => ask(bus, "mixed", `${index}`)),
      );
      for (const [index, result] of results.entries()) {
        if (result.status === "fulfilled") {
          checkEqual(result.value, `fine ${index}`, "a reply");
          check(index % 3 !== 0, `request ${index} should fail`);
        } else {
          const error = await checkCode(Promise.reject(result.reason), "REMOTE", "an error");
          checkEqual(error.details["message"], `failed ${index}`, "details.message");
        }
      }
    },
  },
];

/** All that can be read of an error, its causes included. */
function deep(value: unknown): string {
  if (!(value instanceof Error)) return String(value);
  return [value.message, value.stack, JSON.stringify(value), deep(value.cause)].join("\n");
}
