import { BusError, isBusError, openBus, toText } from "@busbar/core";

// Request and reply: shared work, errors with their codes, and answers from everybody.

await using bus = await openBus();

// Two servers of one group share the requests. Here the price service runs twice.
const prices = new Map([["apple", 30]]);
for (const _ of ["one", "two"]) {
  await bus.rpc.serve("prices.get", (request) => {
    const cents = prices.get(toText(request.payload));
    // The caller gets code and message of what is thrown, never the stack.
    if (cents === undefined) throw new BusError("NOT_FOUND", "no such fruit");
    return String(cents);
  });
}
console.log(`apple: ${toText((await bus.rpc.request("prices.get", "apple")).payload)}`);

for (const [subject, fruit] of [
  ["prices.get", "stone"],
  ["prices.set", "apple"],
] as const) {
  try {
    await bus.rpc.request(subject, fruit);
  } catch (error) {
    if (!isBusError(error)) throw error;
    // Nobody serves prices.set: that is known at once, not after a timeout.
    console.log(subject, error.code, ...(error.code === "REMOTE" ? [error.details["code"]] : []));
  }
}

// A slow handler: the caller's time is over, the late reply is dropped.
await bus.rpc.serve("slow", async (request) => {
  await new Promise((resolve) => setTimeout(resolve, 200));
  return request.payload;
});
await bus.rpc.request("slow", "", { timeoutMs: 50 }).catch((error: BusError) => {
  console.log(`slow: ${error.code}, may be tried again: ${error.retryable}`);
});

// Without a group every server answers.
for (const name of ["north", "south"]) {
  await bus.rpc.serve("who", () => name, { group: false });
}
const names: string[] = [];
for await (const reply of bus.rpc.requestMany("who", "", { maxReplies: 2 })) {
  names.push(toText(reply.payload));
}
console.log(`here: ${names.sort().join(", ")}`);
/* Prints, on memory and NATS:
apple: 30
prices.get REMOTE NOT_FOUND
prices.set NO_RESPONDERS
slow: TIMEOUT, may be tried again: true
here: north, south
*/
