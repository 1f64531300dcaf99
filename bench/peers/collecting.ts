// Preloaded into a server under measurement (`node --expose-gc --import`): it collects its garbage when it is told to, so
// that what is left is what it holds.
const collect = (globalThis as { gc?: () => void }).gc;
if (collect === undefined) throw new Error("start it with --expose-gc");
process.on("SIGUSR2", () => {
  for (let i = 0; i < 4; i++) collect();
});
export {};
