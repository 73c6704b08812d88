import { openBus, toText } from "@busbar/core";

// One program, two backends: without BUSBAR_URL it runs in this process, with
//   BUSBAR_URL=nats://127.0.0.1:4222?namespace=shop
// on a NATS server. What the backend promises beyond the contracts is in `capabilities`.

await using bus = await openBus();

const { backend, server, ackMeaning, persistent, crossProcess } = bus.capabilities;
console.log(`${backend} (${server})`);
console.log(`an acknowledged message is: ${ackMeaning}; survives the server: ${persistent}`);
console.log(`other processes can take part: ${crossProcess}`);

for (let number = 1; number <= 5; number++) {
  await bus.jobs.enqueue("numbers", { payload: String(number) });
}
let sum = 0;
for (const job of await bus.jobs.claim("numbers", { workerId: "adder", max: 10, waitMs: 1_000 })) {
  sum += Number(toText(job.payload));
  await job.ack({ confirm: true });
}
const left = await bus.jobs.stats("numbers");
console.log(`sum: ${sum}, left: ${left.ready + left.leased}`);
/* Prints, on memory and NATS:
... (...)
an acknowledged message is: ...; survives the server: ...
other processes can take part: ...
sum: 15, left: 0
*/
