export { DeliveryNode, type DeliveryNodeOptions } from "./delivery/node.ts";
export * from "./delivery/types.ts";
export { type Level, type Log, openLog } from "./log.ts";
export { type Relay, startRelay, startRelayOn } from "./relay.ts";
export { readSettings, type Settings, SettingsError } from "./settings.ts";
