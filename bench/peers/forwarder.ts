// The baseline: a server that does nothing but forward, one WebSocket message at a time, on the same `ws`. It knows no
// accounts, keeps nothing and promises nothing; what the relay costs more, it costs for what it promises.
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

const server = new WebSocketServer({
  port: 0,
  host: "127.0.0.1",
  perMessageDeflate: false,
  clientTracking: false,
});
/** Who is connected, by path: `/sender/7` and `/recipient/7` are each other's ends. */
const ends = new Map<string, WebSocket>();

server.on("connection", (socket, request) => {
  const [, side, pair] = (request.url ?? "").split("/");
  const other = `${side === "sender" ? "recipient" : "sender"}/${pair}`;
  ends.set(`${side}/${pair}`, socket);
  socket.on("message", (message: Buffer) => ends.get(other)?.send(message, { binary: true }));
  socket.on("close", () => ends.delete(`${side}/${pair}`));
});

server.on("listening", () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`listening http://127.0.0.1:${port}\n`);
});

process.on("SIGTERM", () => process.exit(0));
