import * as billing from "./billing-once.ts";
import { ordersScenario } from "./orders-scenario.ts";

export const scenario = ordersScenario("orders-once", billing);
