// Ports for processes that are killed and started again in the same place.
import { createServer } from "node:net";
import type { Chance } from "./chance.ts";

/** A free port that no outgoing connection is given: while its owner is away nobody else answers on it, not even a client
 * that happens to be connecting from it. */
export async function aQuietPort(chance: Chance): Promise<number> {
  for (;;) {
    const port = chance.between(20_000, 31_000);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
