import * as billing from "./billing.ts";
import { ordersScenario } from "./orders-scenario.ts";

export const scenario = ordersScenario("orders", billing);
