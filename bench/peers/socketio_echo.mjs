// A Socket.IO 4 echo server with connection state recovery. Usage: node socketio_echo.mjs PORT MODULES
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
io.on("connection", (socket) => socket.on("m", (text) => socket.emit("m", text)));
http.listen(Number(port), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
