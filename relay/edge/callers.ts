// TCP connections, whatever they have become: capped for each address and in all before a byte of theirs is read. Always
// true: an address is remembered while one of its connections is open, and no longer.
import type { Server, Socket } from "node:net";

export interface CallerLimits {
  /** Of one address. */
  readonly each: number;
  readonly inAll: number;
}

export class Callers {
  readonly #open = new Map<string, number>();
  #inAll = 0;

  get remembered(): number {
    return this.#open.size;
  }

  /** Whether one more may come from this address; `isLimited` is false where only the cap of all counts. */
  arrives(remote: string, isLimited: boolean, { each, inAll }: CallerLimits): boolean {
    const open = this.#open.get(remote) ?? 0;
    if (this.#inAll >= inAll || (isLimited && open >= each)) return false;
    this.#inAll++;
    this.#open.set(remote, open + 1);
    return true;
  }

  leaves(remote: string): void {
    this.#inAll--;
    const open = (this.#open.get(remote) ?? 0) - 1;
    if (open > 0) this.#open.set(remote, open);
    else this.#open.delete(remote);
  }
}

export interface Door {
  readonly limits: () => CallerLimits;
  readonly networkOf: (socket: Socket) => string;
  readonly isLimited: (remote: string) => boolean;
  readonly turnedAway: () => void;
}

/** Ends every connection over a cap as soon as it is there: before the upgrade there is nothing to answer with. */
export function guard(server: Server, { limits, networkOf, isLimited, turnedAway }: Door): void {
  const callers = new Callers();
  server.on("connection", (socket: Socket) => {
    const remote = networkOf(socket);
    if (callers.arrives(remote, isLimited(remote), limits())) {
      socket.once("close", () => callers.leaves(remote));
      return;
    }
    turnedAway();
    socket.destroy();
  });
}
