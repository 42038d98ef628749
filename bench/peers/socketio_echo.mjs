// A Socket.IO 4 echo server with connection state recovery, tuned as its manual's pages on performance and memory say:
// WebSocket only, no compression, bufferutil where it is installed, and the handshake's request let go of.
// Usage: node socketio_echo.mjs PORT MODULES
import { createRequire } from "node:module";
import { createServer } from "node:http";

const [port, modules] = process.argv.slice(2);
const { Server } = createRequire(modules + "/")("socket.io");
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  connectionStateRecovery: { maxDisconnectionDuration: 600_000 },
  pingInterval: 600_000,
});
io.engine.on("connection", (raw) => {
  raw.request = null;
});
io.on("connection", (socket) => {
  socket.on("e", (text) => socket.emit("e", text));
  socket.on("b", (text) => io.emit("b", text));
});
http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
process.on("SIGTERM", () => process.exit(0));
