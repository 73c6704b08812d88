import { testScenario } from "@busbar/bus-memory";
import { it } from "vitest";
import { scenario } from "../simulate/orders-once.ts";

it("bills every order once, whatever goes wrong", async () => {
  await testScenario(scenario, { seeds: 100 });
});
