export { busBackend, NatsBus } from "./bus.ts";
