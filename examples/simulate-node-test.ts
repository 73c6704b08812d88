import { test } from "node:test";
import { testScenario } from "@busbar/bus-memory";
import { scenario } from "./simulate/orders-once.ts";

await test("every order is billed once, whatever goes wrong", async () => {
  await testScenario(scenario, { seeds: 100 });
});
/* Prints, on memory:
✔ every order is billed once, whatever goes wrong (...)
ℹ tests 1
ℹ suites 0
ℹ pass 1
ℹ fail 0
ℹ cancelled 0
ℹ skipped 0
ℹ todo 0
ℹ duration_ms ...
*/
