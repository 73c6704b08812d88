import { errorCode, openBus, toText } from "@busbar/core";

// Several writers count on one key, and none of their additions gets lost. A watcher sees it.

await using bus = await openBus();
await bus.kv.ensureBucket("counters", { history: 5 });

async function add(key: string, amount: number): Promise<void> {
  for (;;) {
    const entry = await bus.kv.get("counters", key);
    const next = Number(entry ? toText(entry.value) : 0) + amount;
    try {
      // 0 stands for "there is no value yet".
      await bus.kv.cas("counters", key, String(next), entry?.revision ?? 0);
      return;
    } catch (error) {
      // Somebody was faster: read again. Every other error is one.
      if (errorCode(error) !== "CONFLICT") throw error;
    }
  }
}

await Promise.all(Array.from({ length: 20 }, () => add("visits", 1)));
const visits = await bus.kv.get("counters", "visits");
console.log(`visits: ${visits && toText(visits.value)}`);

// A watch gives what is there, a marker, and then what comes. It survives reconnects without a gap.
await bus.kv.put("counters", "errors.disk", "1");
const changes = await bus.kv.watch("counters", { key: "errors.>" });
for await (const event of changes) {
  if (event.type === "initialDone") {
    console.log("that is all there was");
    await add("errors.net", 2);
    await add("visits", 1);
    await bus.kv.delete("counters", "errors.disk");
    continue;
  }
  console.log(
    `${event.type} ${event.key} ${event.type === "put" ? toText(event.value) : ""}`.trim(),
  );
  if (event.type === "delete") break;
}

const past = await bus.kv.history("counters", "visits");
const values = past.map((event) => (event.type === "put" ? toText(event.value) : "-"));
console.log(`the last ${values.length} values: ${values.join(" ")}`);
/* Prints, on memory and NATS:
visits: 20
put errors.disk 1
that is all there was
put errors.net 2
delete errors.disk
the last 5 values: 17 18 19 20 21
*/
