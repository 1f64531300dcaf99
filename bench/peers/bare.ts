// The floor for what a connection costs: `ws` with the relay's own options, and nothing behind it.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";

const sockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  clientTracking: false,
  maxPayload: 1_048_576,
});
/** Held, as any server would hold them. */
const held = new Set<object>();
const server = createServer();
server.on("upgrade", (request, stream, head) =>
  sockets.handleUpgrade(request, stream, head, (socket) => {
    held.add(socket);
    socket.on("message", () => undefined);
    socket.on("error", () => socket.terminate());
    socket.on("close", () => held.delete(socket));
  }),
);
server.listen(0, "127.0.0.1", () =>
  process.stdout.write(`listening http://127.0.0.1:${(server.address() as AddressInfo).port}\n`),
);
process.on("SIGTERM", () => process.exit(0));
