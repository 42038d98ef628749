// RejoinSession on a world of fakes (fake_world.mjs): how it ends, and what it keeps for the next page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { data, detach, live, resumed, start, turn, welcome, World } from "./fake_world.mjs";
import { rejoin } from "./support.mjs";

const resume = (world, ...counts) => {
  world.socket.open();
  world.socket.say(resumed(...counts));
};

function memoryKeeper(text = null) {
  return {
    text,
    load() {
      return this.text;
    },
    save(text) {
      this.text = text;
    },
    clear() {
      this.text = null;
    },
  };
}

test("close(): CLOSE behind what was sent, ended when it is answered", async () => {
  const world = new World();
  const session = await live(world);
  session.send("last");
  session.close(3001, "bye");
  assert.throws(() => session.send("more"), { name: "InvalidStateError" });
  const [last, close] = world.socket.take();
  assert.deepEqual([last.type, close.type, close.code, close.reason], ["DATA", "CLOSE", 3001, "bye"]);
  world.socket.say({ type: "CLOSE", ack: 1, code: 3001 });
  assert.deepEqual(session.events(), ["link closed 1", "state ended", "ended 3001 clean"]);
  assert.equal(world.socket.closedWith, 1000);
  assert.equal(world.timers, 0);
});

test("close() without a link dials to say it; nobody there: ended after 10 s", async () => {
  const world = new World();
  const session = await live(world);
  world.chance = 0.9;
  world.socket.break();
  session.close();
  world.pass(0);
  assert.equal(world.sockets.length, 2, "at once");
  resume(world, 0, 1, 0, 0);
  assert.deepEqual(world.socket.words(), ["ACK 0", "CLOSE 0"]);
  world.socket.break();
  world.pass(10_000);
  assert.equal(session.events().at(-1), "ended 1000 not clean");
  assert.equal(world.timers, 0);
});

test("CLOSE of the gateway is answered with its code", async () => {
  const world = new World();
  const session = await live(world);
  world.socket.say({ type: "CLOSE", ack: 0, code: 4410, reason: "banned" });
  const [close] = world.socket.take();
  assert.deepEqual([close.type, close.code], ["CLOSE", 4410]);
  assert.equal(session.events().at(-1), "ended 4410 clean");
});

test("close() before the first dial, inside events, and twice", async () => {
  const world = new World();
  const early = new rejoin.RejoinSession("ws://play.example/", { environment: world.environment });
  const ends = [];
  early.addEventListener("ended", ({ detail }) => ends.push(detail.code));
  early.close();
  early.close();
  await turn();
  assert.deepEqual([ends, world.sockets.length], [[1000], 0]);

  for (const type of ["link", "opened", "message", "state"]) {
    const world = new World();
    const session = await start(world);
    session.addEventListener(type, () => session.close(), { once: true });
    world.socket.open();
    if (world.socket.readyState === 1) world.socket.say(welcome());
    if (type === "message") world.socket.say(data(1, 0, "x"));
    assert.ok(["ended", "live"].includes(session.state), `${type}: ${session.state}`);
    world.pass(30_000);
    assert.equal(session.state, "ended", type);
    assert.equal(world.timers, 0, type);
  }
});

test("leave(): the link goes without CLOSE, and the next session object goes on with what was kept", async () => {
  const world = new World();
  const kept = memoryKeeper();
  const first = await live(world, { storage: kept });
  first.leave();
  assert.deepEqual(world.socket.words(), []);
  assert.equal(first.state, "ended");
  assert.ok(!first.events().some((event) => event.startsWith("ended")));
  const second = await start(world, { storage: kept });
  assert.deepEqual([world.socket.resume.epoch, world.socket.resume.received], [2, "0"]);
  resume(world, 3, 6, 5, 3);
  assert.ok(second.events().includes("resumed not whole 0 0"));
  second.send("next");
  assert.deepEqual(world.socket.words(), ["ACK 5", "DATA 4 ack 5"]);
});

test("what is kept is stored before the RESUME that it counts, anew with a ticket, and cleared at the end", async () => {
  const world = new World();
  const kept = memoryKeeper();
  const session = await live(world, { storage: kept });
  const epoch = () => JSON.parse(kept.text)[3];
  assert.equal(epoch(), 1);
  world.socket.say({ type: "TICKET", ack: 0, ticket: "ticket-9" });
  assert.equal(JSON.parse(kept.text)[1], "ticket-9");
  const connect = world.environment.connect;
  let storedAtDial = 0;
  session.addEventListener("link", ({ detail }) => detail.what === "dialing" && (storedAtDial = epoch()));
  world.socket.break();
  world.pass(0);
  assert.equal(storedAtDial, 2);
  assert.equal(world.socket.resume.ticket, "ticket-9");
  resume(world, 0, 1, 0, 0);
  world.socket.say({ type: "CLOSE", ack: 0, code: 4411 });
  assert.equal(kept.text, null);
  assert.equal(world.environment.connect, connect);
});

test("what is kept and is no session of ours, or of one that is gone: a login, also where the application logs in by itself", async () => {
  for (const text of ["", "nonsense", "[]", "[2]", '[1,"t","AAAA",1,1,1,1,1,1,[]]', '{"v":1}', "null"]) {
    const world = new World();
    await start(world, { storage: memoryKeeper(text) });
    world.socket.open();
    assert.equal(world.socket.take()[0].type, "HELLO", text);
  }
  const world = new World();
  const kept = memoryKeeper();
  (await live(world, { storage: kept })).leave();
  const session = await start(world, { storage: kept, loginAgain: false });
  world.socket.open();
  world.socket.say(detach(4401, "login"));
  assert.equal(kept.text, null);
  assert.equal(world.socket.take()[0].type, "HELLO");
  world.socket.say(welcome());
  assert.equal(session.state, "live");
});

test("back from the browser's cache: another page of the tab went on, so our counts are forgotten", async () => {
  const world = new World();
  const kept = memoryKeeper();
  const session = await live(world, { storage: kept });
  world.socket.say(data(1, 0, "a"));
  const parts = JSON.parse(kept.text);
  parts[3] = 5;
  kept.text = JSON.stringify(parts);
  session.events();
  world.hint("returned");
  await turn();
  world.pass(0);
  assert.deepEqual([world.socket.resume.epoch, world.socket.resume.received], [6, "0"]);
  resume(world, 4, 9, 8, 4);
  assert.ok(session.events().includes("resumed not whole 0 0"));
});

test("back from the cache, and nobody was there meanwhile: it only asks", async () => {
  const world = new World();
  await live(world, { storage: memoryKeeper() });
  world.hint("returned");
  await turn();
  assert.deepEqual(world.socket.take().map(({ type }) => type), ["PING"]);
});

test("giveUpMs: ended with code 0, and what was kept stays", async () => {
  const world = new World();
  const kept = memoryKeeper();
  const session = await live(world, { storage: kept, giveUpMs: 30_000 });
  world.socket.break();
  world.pass(29_999);
  assert.notEqual(session.state, "ended");
  world.pass(1);
  assert.equal(session.events().at(-1), "ended 0 not clean");
  assert.ok(kept.text);
});

test("identity and application are asked anew at each login; too long for a HELLO: ended, 4413", async () => {
  const world = new World();
  let asked = 0;
  world.chance = 0.5;
  const session = await start(world, { identity: () => `token-${++asked}` });
  world.socket.break();
  world.pass(2000);
  world.socket.open();
  assert.equal(world.socket.take()[0].identity, Buffer.from("token-2").toString("hex"));
  session.close();
  const long = await start(new World(), { identity: new Uint8Array(16_370) });
  assert.deepEqual(long.events(), ["state ended", "ended 4413 not clean"]);
});

test("a keeper that throws keeps nothing, and the session lives all the same", async () => {
  const world = new World();
  const fail = () => {
    throw new Error("QuotaExceededError");
  };
  const session = await live(world, { storage: { load: fail, save: fail, clear() {} } });
  world.socket.break();
  world.pass(0);
  resume(world, 0, 1, 0, 0);
  assert.equal(session.state, "live");
  assert.equal((await live(new World(), { storage: { load: async () => fail(), save() {}, clear() {} } })).state, "live");
});

test("an identity that throws is a failed dial; the next one asks again", async () => {
  const world = new World();
  world.chance = 0.5;
  let ready = false;
  const session = await start(world, {
    identity() {
      if (!ready) throw new Error("no token yet");
      return "token";
    },
  });
  assert.deepEqual([world.sockets.length, session.figures.failedDials], [0, 1]);
  ready = true;
  world.pass(5000);
  world.socket.open();
  assert.equal(world.socket.take()[0].type, "HELLO");
});

test("... also where the link of the session that is gone takes the new HELLO: thrown at the application, and the dial fails", async () => {
  const world = new World();
  let ready = true;
  const session = await live(world, {
    identity() {
      if (!ready) throw new Error("no token yet");
      return "token";
    },
  });
  world.chance = 0.5;
  world.socket.break();
  world.pass(500);
  world.socket.open();
  ready = false;
  assert.throws(() => world.socket.say(detach(4401, "login")), /no token yet/);
  ready = true;
  world.pass(10_000);
  world.socket.open();
  assert.equal(world.socket.take()[0].type, "HELLO");
  world.socket.say(welcome());
  assert.equal(session.state, "live");
});
