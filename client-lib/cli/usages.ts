// How commands of the chat that take something are entered. Always true: one line each, for whoever has entered it another way.

const USAGES: ReadonlyMap<string, string> = new Map([
  ["to", "/to USER, /to #GROUP"],
  ["accept", "/accept USER"],
  ["block", "/block USER"],
  ["add", "/add LINK, or /add N of a contact card"],
  ["link", "/link CODE"],
  ["group", "/group NAME USER…"],
  ["join", "/join #NAME"],
  ["reply", "/reply N TEXT"],
  ["react", "/react N EMOJI"],
  ["edit", "/edit N TEXT"],
  ["delete", "/delete N"],
  ["timer", "/timer 30s|5m|1h|7d|off"],
  ["card", "/card USER"],
  ["send", "/send PATH [CAPTION]"],
  ["cancel", "/cancel [N]"],
  ["discard", "/discard [N]"],
]);

/** Undefined: there is no such command, or nothing can be wrong with it. */
export function usageOf(command: string): string | undefined {
  return USAGES.get(command);
}
