// Sockets of a real client that a test can cut.
import type { OpenSocket, Socket } from "@lethe/client";
import { openNodeSocket } from "../../../client-lib/edge/socket.ts";

export interface Cutting {
  readonly openSocket: OpenSocket;
  /** Ends those that are open to this path; how many these were. */
  cut(path: string): number;
}

export function cutting(): Cutting {
  const sockets = new Map<Socket, string>();
  return {
    openSocket: (url, events) => {
      const socket = openNodeSocket(url, {
        ...events,
        closed: (status) => (sockets.delete(socket), events.closed(status)),
      });
      sockets.set(socket, url);
      return socket;
    },
    cut(path) {
      const found = [...sockets].filter(([, url]) => url.endsWith(path));
      for (const [socket] of found) socket.close();
      return found.length;
    },
  };
}
