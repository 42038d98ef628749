// An echo server on ws for Node, with bufferutil as its README advises, and no compression (its default). A message
// that begins with 'b' goes to everybody, as its README does it. Usage: node ws_echo.mjs PORT MODULES
import { createRequire } from "node:module";
import { createServer } from "node:http";

const [port, modules] = process.argv.slice(2);
const { WebSocket, WebSocketServer } = createRequire(modules + "/")("ws");
const http = createServer();
const server = new WebSocketServer({ server: http, clientTracking: true });
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (bytes, binary) => {
    if (bytes[0] !== 0x62) return socket.send(bytes, { binary });
    for (const client of server.clients) if (client.readyState === WebSocket.OPEN) client.send(bytes, { binary });
  });
});
http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
process.on("SIGTERM", () => process.exit(0));
