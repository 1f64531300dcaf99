// Preloaded into a server under measurement (`node --expose-gc --import`): it collects its garbage when it is told to, so
// that what is left is what it holds.
const collect = (globalThis as { gc?: () => void }).gc;
if (collect === undefined) throw new Error("start it with --expose-gc");

/** What a collection finds dead may hold other things until a later turn. */
const TIMES = 6;

function collectAgain(times: number): void {
  collect?.();
  if (times > 1) setImmediate(() => collectAgain(times - 1));
}
process.on("SIGUSR2", () => collectAgain(TIMES));
export {};
