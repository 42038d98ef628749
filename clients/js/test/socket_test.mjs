// RejoinSocket has the shape and the habits of the standard WebSocket.
import assert from "node:assert/strict";
import { test } from "node:test";
import { data, detach, resumed, turn, welcome, World } from "./fake_world.mjs";
import { rejoin } from "./support.mjs";

const { RejoinSocket } = rejoin;

function dial(world, ...more) {
  const socket = new RejoinSocket("ws://play.example/game", ...(more.length ? more : [{ environment: world.environment }]));
  socket.log = [];
  for (const type of ["open", "message", "close", "error"]) socket.addEventListener(type, (event) => socket.log.push([type, event.code ?? event.data]));
  return socket;
}
async function opened(world, options = {}, terms = {}) {
  const socket = dial(world, { environment: world.environment, ...options });
  await turn();
  world.socket.open();
  world.socket.say(welcome(terms));
  world.socket.take();
  assert.deepEqual(socket.log.splice(0), [["open", undefined]]);
  return socket;
}

test("constants, on the class and on each object", () => {
  const { environment } = new World();
  const socket = new RejoinSocket("ws://play.example", { environment });
  for (const on of [RejoinSocket, socket]) assert.deepEqual([on.CONNECTING, on.OPEN, on.CLOSING, on.CLOSED], [0, 1, 2, 3]);
  assert.ok(socket instanceof EventTarget);
  assert.deepEqual([socket.url, socket.protocol, socket.extensions, socket.binaryType], ["ws://play.example/", "", "", "blob"]);
});

test("from connecting over open to closed", async () => {
  const world = new World();
  const socket = dial(world);
  assert.equal(socket.readyState, 0);
  assert.throws(() => socket.send("x"), { name: "InvalidStateError" });
  await turn();
  world.socket.open();
  assert.equal(socket.readyState, 0, "the transport is no login");
  world.socket.say(welcome());
  assert.equal(socket.readyState, 1);
  assert.equal(socket.protocol, "rejoin.v1");
  socket.close(3000, "bye");
  assert.equal(socket.readyState, 2);
  socket.send("late");
  const closes = [];
  socket.onclose = ({ code, reason, wasClean }) => closes.push([code, reason, wasClean]);
  world.socket.say({ type: "CLOSE", ack: 0, code: 3000 });
  assert.equal(socket.readyState, 3);
  assert.deepEqual(closes, [[3000, "bye", true]]);
  assert.deepEqual(socket.log, [["open", undefined], ["close", 3000]]);
});

test("a break is nothing that it tells: it stays open, and what is sent arrives", async () => {
  const world = new World();
  const socket = await opened(world);
  world.socket.break();
  assert.equal(socket.readyState, 1);
  socket.send("x");
  assert.equal(socket.bufferedAmount, 1);
  world.pass(0);
  world.socket.open();
  world.socket.say(resumed(0, 1, 0, 0));
  assert.deepEqual(world.socket.words(), ["ACK 0", "DATA 1 ack 0"]);
  assert.equal(socket.bufferedAmount, 0);
  assert.deepEqual(socket.log, []);
});

test("messages: text, and bytes as binaryType says", async () => {
  const world = new World();
  const socket = await opened(world);
  const got = [];
  socket.onmessage = ({ data, origin }) => got.push([data, origin]);
  world.socket.say(data(1, 0, "größer"));
  world.socket.say({ type: "DATA", seq: 2, ack: 0, hex: "00ff" });
  socket.binaryType = "arraybuffer";
  world.socket.say({ type: "DATA", seq: 3, ack: 0, hex: "0102" });
  assert.deepEqual(got[0], ["größer", "ws://play.example"]);
  assert.ok(got[1][0] instanceof Blob);
  assert.deepEqual([...new Uint8Array(await got[1][0].arrayBuffer())], [0, 255]);
  assert.ok(got[2][0] instanceof ArrayBuffer);
  assert.deepEqual([...new Uint8Array(got[2][0])], [1, 2]);
});

test("send() takes strings, buffers, views and Blobs, and keeps their order", async () => {
  const world = new World();
  const socket = await opened(world);
  const bytes = new Uint8Array([1, 2, 3, 4]);
  socket.send("text");
  socket.send(bytes.buffer);
  socket.send(bytes.subarray(1, 3));
  socket.send(new DataView(bytes.buffer, 3));
  socket.send(new Blob([bytes, bytes]));
  socket.send("after the Blob");
  bytes.fill(9);
  assert.equal(world.socket.sent.length, 4);
  assert.equal(socket.bufferedAmount, 8 + 14);
  await turn();
  await turn();
  const sent = world.socket.take().map(({ text, hex }) => text ?? hex);
  assert.deepEqual(sent, ["text", "01020304", "0203", "04", "0102030401020304", "after the Blob"]);
  assert.equal(socket.bufferedAmount, 0);
  socket.send(String.fromCharCode(0xd800));
  assert.equal(world.socket.take()[0].text, "\ufffd", "a lone surrogate, as in the standard");
});

test("a full window queues; above queueBytesMax it closes with 4413", async () => {
  const world = new World();
  const socket = await opened(world, { queueBytesMax: 10 }, { window_bytes: 8 });
  socket.send("12345678");
  const reused = new Uint8Array([1, 2]);
  socket.send(reused);
  reused.fill(7);
  socket.send("queued");
  assert.equal(socket.bufferedAmount, 8);
  world.socket.take();
  world.socket.say({ type: "ACK", ack: 1 });
  assert.deepEqual(world.socket.take().map(({ text, hex }) => text ?? hex), ["0102", "queued"]);
  assert.throws(() => socket.send("123456789"), RangeError);
  socket.send("abc");
  socket.send("12345678");
  assert.deepEqual(socket.log, [["error", undefined]]);
  assert.equal(socket.readyState, 2);
});

test("close() comes behind what is queued", async () => {
  const world = new World();
  const socket = await opened(world, {}, { window_messages: 1 });
  socket.send("a");
  socket.send("b");
  socket.close();
  assert.equal(socket.readyState, 2);
  assert.deepEqual(world.socket.words(), ["DATA 1 ack 0", "PING 0"]);
  world.socket.say({ type: "ACK", ack: 1 });
  assert.deepEqual(world.socket.words(), ["DATA 2 ack 0", "CLOSE 0"]);
  world.pass(10_000);
  assert.equal(socket.readyState, 3);
  assert.ok(!process.getActiveResourcesInfo().includes("Timeout"), "nothing keeps Node alive for a socket that has closed");
});

test("... for ten seconds at the most", async (t) => {
  // By hand: MockTimers of Node 18, which Debian 12 has, and those of later ones are asked in different ways.
  const real = globalThis.setTimeout, waiting = [];
  globalThis.setTimeout = (run, ms) => waiting.push({ run, ms });
  t.after(() => (globalThis.setTimeout = real));
  const world = new World();
  const socket = await opened(world, {}, { window_messages: 1 });
  socket.send("a");
  socket.send("b");
  socket.close();
  assert.notEqual(world.socket.words().at(-1), "CLOSE 0");
  const due = waiting.filter(({ ms }) => ms === 10_000);
  assert.equal(due.length, 1);
  due[0].run();
  assert.equal(world.socket.words().at(-1), "CLOSE 0");
});

test("close() checks like the standard", async () => {
  const socket = await opened(new World());
  for (const code of [0, 999, 1001, 2999, 5000]) assert.throws(() => socket.close(code), { name: "InvalidAccessError" }, `${code}`);
  assert.throws(() => socket.close(1000, "x".repeat(124)), { name: "SyntaxError" });
  assert.equal(socket.readyState, 1);
});

test("a session that is gone: error, then close with 4401; the application logs in by itself", async () => {
  const world = new World();
  const socket = await opened(world);
  world.socket.break();
  world.pass(0);
  world.socket.open();
  world.socket.say(detach(4401, "login"));
  assert.deepEqual(socket.log, [["error", undefined], ["close", 4401]]);
  assert.equal(socket.readyState, 3);
  world.pass(100_000);
  assert.equal(world.timers, 0);
});

test("on-handlers are replaced and removed", async () => {
  const world = new World();
  const socket = await opened(world);
  const got = [];
  socket.onmessage = () => got.push("first");
  socket.onmessage = function ({ data }) {
    got.push(data, this === socket);
  };
  world.socket.say(data(1, 0, "x"));
  socket.onmessage = null;
  world.socket.say(data(2, 0, "y"));
  world.socket.say(data(3, 0, "z"));
  assert.deepEqual(got, ["x", true]);
});

test("the second argument: options, or a list of sub-protocols that has to be empty", () => {
  const { environment } = new World();
  const make = (...more) => new RejoinSocket("ws://play.example", ...more);
  for (const more of [[[], { environment }], ["", { environment }], [undefined, { environment }], [{ environment }]]) make(...more);
  for (const more of [["chat"], [["chat", "game"]]]) assert.throws(() => make(...more), { name: "SyntaxError", message: /sub-protocols/ });
  assert.throws(() => make("ws://nonsense/#x"), { name: "SyntaxError" });
});

test("without a WebSocket in this world each dial fails, and says why", { skip: "WebSocket" in globalThis }, async () => {
  const session = new rejoin.RejoinSession("ws://play.example", { giveUpMs: 1 });
  const reason = await new Promise((resolve) => session.addEventListener("link", ({ detail }) => detail.what === "failed" && resolve(detail.reason)));
  session.close();
  assert.match(reason, /WebSocket/);
});
