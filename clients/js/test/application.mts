// An application's use of the types; package_test.mjs compiles it.
import { RejoinSession, RejoinSocket, type Keeper, type SessionState } from "../dist/rejoin.mjs";

// A function that was written for the standard WebSocket takes a RejoinSocket as it is.
function play(socket: WebSocket): void {
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => console.log(data);
  socket.addEventListener("close", ({ code, reason, wasClean }) => console.log(code, reason, wasClean));
  socket.send("hello");
  socket.close(1000, "bye");
}
play(new RejoinSocket("wss://play.example/game"));
play(new RejoinSocket("wss://play.example/game", [], { storage: "session", identity: () => "token" }));

const keeper: Keeper = { load: async () => null, save() {}, clear() {} };
const session = new RejoinSession(new URL("wss://play.example/"), { storage: keeper, giveUpMs: 60_000 });
session.addEventListener("state", ({ detail: { state, previous } }) => {
  const names: SessionState[] = [state, previous];
  console.log(names);
});
session.addEventListener("resumed", ({ detail }) => console.log(detail.whole, detail.toCome, detail.tookMs));
session.addEventListener("message", ({ data }) => (typeof data === "string" ? data.length : data.byteLength));
if (!session.send(new Uint8Array(3))) session.addEventListener("writable", () => session.send("x"), { once: true });
const { resumes, roundTripMs } = session.figures;
console.log(resumes + (roundTripMs ?? 0), RejoinSocket.OPEN);
