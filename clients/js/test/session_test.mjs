// RejoinSession on a world of fakes (fake_world.mjs): when it dials and where, what it tells.
import assert from "node:assert/strict";
import { test } from "node:test";
import { data, detach, live, resumed, start, welcome, World } from "./fake_world.mjs";
import { encode, rejoin } from "./support.mjs";

const resume = (world, ...counts) => {
  world.socket.open();
  world.socket.say(resumed(...counts));
};

test("a login: HELLO with identity and application is the first message, WELCOME is answered by an ACK at once", async () => {
  const world = new World();
  const session = await start(world, { identity: "player-7", application: new Uint8Array([1, 2]) });
  assert.equal(session.state, "connecting");
  assert.deepEqual(world.socket.protocols, ["rejoin.v1"]);
  assert.deepEqual(session.events(), ["link dialing 1"]);
  world.socket.open();
  const [hello] = world.socket.take();
  assert.deepEqual([hello.type, hello.version, hello.identity, hello.application], ["HELLO", 1, Buffer.from("player-7").toString("hex"), "0102"]);
  world.socket.say(welcome());
  assert.deepEqual(world.socket.words(), ["ACK 0"]);
  assert.deepEqual(session.events(), ["link opened 1", "state live", "opened by 1"]);
  assert.equal(session.messageBytesMax, 4096);
});

test("a break: what was sent stays, the RESUME rides in the handshake, nothing is lost or comes twice", async () => {
  const world = new World();
  const session = await live(world);
  world.socket.say(data(1, 0, "one"));
  assert.equal(session.send("a"), true);
  assert.equal(session.send(new Uint8Array([9])), true);
  assert.deepEqual(world.socket.words(), ["DATA 1 ack 1", "DATA 2 ack 1"]);
  const old = world.socket;
  old.break();
  assert.deepEqual(session.events(), ["message one", "link closed 1", "state detached"]);
  assert.equal(session.send("b"), true, "it waits");
  assert.equal(session.bufferedAmount, 3);
  world.pass(0);
  assert.equal(session.state, "resuming");
  const { epoch, received, ticket } = world.socket.resume;
  assert.deepEqual([epoch, received, ticket], [2, "1", "ticket-1"]);
  resume(world, 1, 2, 3, 1);
  assert.deepEqual(world.socket.words(), ["ACK 1", "DATA 2 ack 1", "DATA 3 ack 1"]);
  assert.equal(session.bufferedAmount, 0);
  world.socket.say(data(2, 1, "two"));
  world.socket.say(data(3, 1, "three"));
  world.socket.say(data(3, 1, "three"));
  assert.deepEqual(session.events(), [
    "link dialing 2", "state resuming", "link opened 2", "state live", "resumed whole 2 1", "message two", "message three",
  ]);  // prettier-ignore
  const { resumes, logins, links, replayedIn, replayedOut, duplicates, sent, received: got, unacknowledged } = session.figures;
  assert.deepEqual({ resumes, logins, links, replayedIn, replayedOut, duplicates, sent, got, unacknowledged },
    { resumes: 1, logins: 1, links: 2, replayedIn: 2, replayedOut: 1, duplicates: 1, sent: 3, got: 3, unacknowledged: 2 });  // prettier-ignore
  assert.equal(session.figures.resumeMs, 0);
});

test("back-off: full jitter within the spread, doubled with each failure up to 20 s; 'the network changed' dials at once", async () => {
  const world = new World();
  const session = await live(world);
  world.chance = 0.999999;
  world.socket.break();
  const waits = [];
  for (let i = 0; i < 8; ++i) {
    const before = world.time;
    const dials = world.sockets.length;
    while (world.sockets.length === dials) world.pass(1);
    waits.push(world.time - before);
    world.socket.break();
  }
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16000, 20000, 20000, 20000]);
  const dials = world.sockets.length;
  world.hint();
  world.pass(0);
  assert.equal(world.sockets.length, dials + 1);
  assert.equal(session.figures.failedDials, 8);
  world.chance = 0;
  world.socket.break();
  world.pass(0);
  assert.equal(world.sockets.length, dials + 2, "a draw of zero is at once");
});

test("a dial that hangs is aborted after 5 s, before the next one: never two to one address", async () => {
  const world = new World();
  await live(world);
  world.socket.break();
  world.pass(0);
  const hung = world.socket;
  world.pass(4999);
  assert.equal(hung.closedWith, null);
  assert.equal(world.sockets.length, 2);
  world.pass(1);
  assert.equal(hung.closedWith, 1000);
  world.pass(2000);
  assert.equal(world.sockets.length, 3);
  hung.open();
  assert.deepEqual(hung.sent, [], "it is heard no more");
});

test("the item: where the dial that carried it failed before the 101, the next RESUME is the first message, and the ticket is told", async () => {
  const world = new World();
  world.chance = 0.5;
  await live(world);
  world.socket.break();
  world.pass(500);
  assert.equal(world.socket.protocols.length, 2);
  world.socket.break();
  world.pass(2000);
  assert.deepEqual(world.socket.protocols, ["rejoin.v1"]);
  assert.deepEqual(world.tickets, [["ws://play.example/game", "ticket-1"]]);
  world.socket.open();
  assert.deepEqual(world.socket.take().map(({ type, epoch }) => [type, epoch]), [["RESUME", 3]]);
  world.socket.say(resumed(0, 1, 0, 0));
  // Once may be chance; the second time in a row it is the item, until the path changes.
  world.socket.break();
  world.pass(1000);
  assert.equal(world.socket.protocols.length, 2);
  world.socket.break();
  world.pass(2000);
  assert.equal(world.socket.protocols.length, 1);
  resume(world, 0, 1, 0, 0);
  world.socket.break();
  world.pass(1000);
  assert.equal(world.socket.protocols.length, 1);
  world.socket.break();
  world.hint();
  world.pass(0);
  assert.equal(world.socket.protocols.length, 2);
});

test("an item whose dials fail without it, too, is not to blame", async () => {
  const world = new World();
  await live(world);
  world.socket.break();
  const carried = [];
  for (let i = 0; i < 6; ++i) {
    world.pass(20_000);
    carried.push(world.socket.protocols.length === 2);
    world.socket.break();
  }
  assert.deepEqual(carried, [true, false, true, false, true, false]);
});

test("a server that selects no rejoin.v1 is dropped", async () => {
  const world = new World();
  world.chance = 0.5;
  const session = await start(world);
  world.socket.open("");
  assert.equal(world.socket.closedWith, 1000);
  assert.deepEqual(world.socket.sent, []);
  assert.equal(session.figures.failedDials, 1);
});

test("a text message is a bad frame: 4400, and a new link; after three in a row a new login", async () => {
  const world = new World();
  world.chance = 0.5;
  const session = await live(world);
  for (let bad = 1; bad <= 3; ++bad) {
    world.socket.onmessage({ data: "text" });
    assert.equal(world.socket.closedWith, bad < 3 ? 4400 : 1000);
    world.pass(1500);
    if (bad < 3) resume(world, 0, 1, 0, 0);
  }
  assert.ok(session.events().includes("lost 4400"));
  world.socket.open();
  assert.equal(world.socket.take()[0].type, "HELLO");
  assert.equal(session.figures.badFrames, 3);
});

test("acknowledgements: after 200 ms, after 32 messages, and at the PONG, which leaves from the message handler", async () => {
  const world = new World();
  await live(world, {}, { window_messages: 2048, window_bytes: 1 << 20 });
  world.socket.say(data(1, 0, "x"));
  world.pass(199);
  assert.deepEqual(world.socket.words(), []);
  world.pass(1);
  assert.deepEqual(world.socket.words(), ["ACK 1"]);
  for (let seq = 2; seq <= 33; ++seq) world.socket.say(data(seq, 0, "x"));
  assert.deepEqual(world.socket.words(), ["ACK 33"]);
  world.socket.say(data(34, 0, "x"));
  world.socket.say({ type: "PING", ack: 0, number: 77 });
  assert.deepEqual(world.socket.words(), ["PONG 34"]);
  world.pass(1000);
  assert.deepEqual(world.socket.words(), [], "nothing is owed");
});

test("a hint proves nothing: PING; without PONG in 2 s a dial beside; the old link serves until the new one does", async () => {
  const world = new World();
  const session = await live(world);
  const old = world.socket;
  world.hint();
  assert.deepEqual(old.take().map(({ type, number }) => [type, number]), [["PING", "1"]]);
  old.say({ type: "PONG", ack: 0, number: 1 });
  world.pass(10_000);
  assert.equal(world.sockets.length, 1, "it was answered");
  world.hint();
  world.pass(1999);
  assert.equal(world.sockets.length, 1);
  world.pass(1);
  assert.equal(world.sockets.length, 2);
  assert.equal(session.state, "live");
  old.take();
  session.send("still");
  assert.deepEqual(old.words(), ["DATA 1 ack 0"]);
  old.say(data(1, 1, "served"));
  world.pass(100);
  resume(world, 1, 1, 1, 1);
  assert.equal(old.closedWith, 1000);
  assert.equal(session.state, "live");
  assert.equal(session.figures.resumeMs, 100);
  world.socket.say(data(1, 1, "served"));
  const events = session.events();
  assert.equal(events.filter((event) => event === "message served").length, 1, `${events}`);
  assert.equal(session.figures.duplicates, 1);
});

test("who hints all the time does not put the dial beside off for ever", async () => {
  const world = new World();
  await live(world);
  for (let i = 0; i < 4; ++i) {
    world.hint();
    world.pass(500);
  }
  assert.equal(world.sockets.length, 2);
});

test("a RESUME was sent beside a link that then answers: it dials on until one is answered", async () => {
  const world = new World();
  const session = await live(world);
  const old = world.socket;
  world.hint();
  world.pass(2000);
  old.say({ type: "PONG", ack: 0, number: 1 });
  world.chance = 0.5;
  world.socket.break();
  world.pass(2000);
  assert.equal(world.sockets.length, 3);
  assert.equal(session.state, "live");
});

test("silent for `dead`: 4408, and it dials", async () => {
  const world = new World();
  const session = await live(world);
  const old = world.socket;
  world.pass(39_000);
  assert.equal(session.state, "live");
  world.pass(3000);
  assert.equal(old.closedWith, 4408);
  assert.equal(session.state, "resuming");
});

test("timers that fire a minute late: the link that lived is kept, the one that is dead is left by a dial beside", async () => {
  const world = new World();
  const session = await live(world);
  const old = world.socket;
  world.passAsleep(60_000);
  assert.equal(session.state, "live", "a late timer proves nothing");
  const pings = old.take().filter(({ type }) => type === "PING");
  assert.equal(pings.length, 1);
  old.say({ type: "PONG", ack: 0, number: pings[0].number });
  world.passAsleep(60_000);
  assert.equal(old.take().filter(({ type }) => type === "PING").length, 1);
  assert.equal(world.sockets.length, 1);
  world.passAsleep(60_000);
  assert.equal(world.sockets.length, 2, "the PING of a minute ago was not answered");
  resume(world, 0, 1, 0, 0);
  assert.equal(old.closedWith, 1000);
});

test("messages drive what is due while timers sleep", async () => {
  const world = new World();
  await live(world);
  world.socket.say(data(1, 0, "a"));
  world.time += 300;  // the ACK's timer does not fire
  world.socket.say(data(2, 0, "b"));
  assert.deepEqual(world.socket.words(), ["ACK 2"]);
});

test("freeze: what is owed leaves at once", async () => {
  const world = new World();
  await live(world);
  world.socket.say(data(1, 0, "a"));
  world.hint("freezing");
  assert.deepEqual(world.socket.words(), ["ACK 1"]);
});

test("a full window: send() says no, one PING asks, writable tells once", async () => {
  const world = new World();
  const session = await live(world, {}, { window_bytes: 10 });
  assert.equal(session.send("12345678"), true);
  assert.equal(session.send("abc"), false);
  assert.equal(session.send("abc"), false);
  assert.deepEqual(world.socket.words(), ["DATA 1 ack 0", "PING 0"]);
  world.socket.say({ type: "PONG", ack: 1, number: 1 });
  assert.deepEqual(session.events(), ["writable"]);
  assert.equal(session.send("abc"), true);
  assert.throws(() => session.send("12345678901"), RangeError);
});

test("writable is never told inside send(), and what is sent in its handler leaves in order", async () => {
  const world = new World();
  const session = await live(world, {}, { window_messages: 1 });
  let inside = false;
  const queue = ["b", "c"];
  session.addEventListener("writable", () => {
    assert.equal(inside, false);
    while (queue.length && session.send(queue[0])) queue.shift();
  });
  inside = true;
  session.send("a");
  session.send("b");
  inside = false;
  for (let seq = 1; seq <= 3; ++seq) world.socket.say({ type: "ACK", ack: seq });
  assert.deepEqual(queue, []);
  const texts = world.socket.take().filter(({ type }) => type === "DATA").map(({ text }) => text);
  assert.deepEqual(texts, ["a", "b", "c"]);
});

test("send() before there is a session says no, and writable tells when there is one", async () => {
  const world = new World();
  const session = await start(world);
  assert.equal(session.send("early"), false);
  world.socket.open();
  world.socket.say(welcome());
  assert.ok(session.events().includes("writable"));
});

test("each DETACH action", async (t) => {
  await t.test("move: dials beside within the wait, and the old link serves", async () => {
    const world = new World();
    const session = await live(world);
    const old = world.socket;
    old.say(detach(1012, "move", { wait: 5000 }));
    world.pass(0);
    assert.equal(world.sockets.length, 2);
    old.say(data(1, 0, "served"));
    resume(world, 0, 2, 1, 0);
    assert.deepEqual(session.events().filter((event) => event.startsWith("message")), ["message served"]);
    assert.equal(old.closedWith, 1000);
  });
  await t.test("again with a wait: not before it is over", async () => {
    const world = new World();
    await live(world);
    world.socket.say(detach(4429, "again", { wait: 3000 }));
    assert.equal(world.socket.closedWith, 1000);
    world.pass(2999);
    assert.equal(world.sockets.length, 1);
    world.pass(1);
    assert.equal(world.sockets.length, 2);
  });
  await t.test("again without: on the same link, once", async () => {
    const world = new World();
    await live(world);
    world.socket.break();
    world.pass(0);
    world.socket.open();
    world.socket.say(detach(4412, "again", { epoch: 9 }));
    assert.deepEqual(world.socket.take().map(({ type, epoch }) => [type, epoch]), [["RESUME", 10]]);
    world.chance = 0.5;
    world.socket.say(detach(4412, "again", { epoch: 12 }));
    assert.equal(world.socket.closedWith, 1000);
    world.pass(2000);
    assert.equal(world.socket.resume.epoch, 13);
  });
  await t.test("login: told, and a HELLO on the same link; the state is connecting", async () => {
    const world = new World();
    const session = await live(world);
    world.socket.break();
    world.pass(0);
    world.socket.open();
    session.events();
    world.socket.say(detach(4401, "login"));
    assert.deepEqual(session.events(), ["state connecting", "lost 4401"]);
    assert.equal(world.socket.take()[0].type, "HELLO");
    world.socket.say(welcome({ ticket: "ticket-2" }));
    assert.equal(session.state, "live");
    assert.equal(session.figures.logins, 2);
  });
  await t.test("login, where the application logs in by itself: ended", async () => {
    const world = new World();
    const session = await live(world, { loginAgain: false });
    world.socket.break();
    world.pass(0);
    world.socket.open();
    world.socket.say(detach(4401, "login"));
    assert.equal(session.events().at(-1), "ended 4401 not clean");
    assert.equal(session.state, "ended");
    assert.equal(world.timers, 0);
  });
  await t.test("stop: ended, nothing is dialled any more", async () => {
    const world = new World();
    const session = await live(world);
    world.socket.say(detach(1001, "stop"));
    assert.equal(session.events().at(-1), "ended 1001 not clean");
    world.pass(100_000);
    assert.equal(world.sockets.length, 1);
    assert.equal(world.timers, 0);
    assert.equal(world.hints.size, 0);
  });
  await t.test("4409 by a dial of our own: the dial goes on; by a copy: ended", async () => {
    const world = new World();
    const session = await live(world);
    const old = world.socket;
    world.hint();
    world.pass(2000);
    old.say(detach(4409, "stop", { epoch: 2 }));
    resume(world, 0, 1, 0, 0);
    assert.equal(session.state, "live");
    world.socket.say(detach(4409, "stop", { epoch: 7 }));
    assert.equal(session.events().at(-1), "ended 4409 not clean");
  });
});

test("addresses of the gateway: only if the application lets it, and never from TLS to plain", async () => {
  const dialledAfter = async (url, options, address) => {
    const world = new World();
    const session = await start(world, options, url);
    world.socket.open();
    world.socket.say(welcome());
    world.socket.say(detach(1012, "again", { wait: 1, address }));
    world.pass(5000);
    session.leave();
    return world.socket.url;
  };
  const allowed = { useAdvertisedAddresses: true };
  assert.equal(await dialledAfter("ws://a.example/", {}, "ws://b.example/"), "ws://a.example/");
  assert.equal(await dialledAfter("ws://a.example/", allowed, "ws://b.example/"), "ws://b.example/");
  assert.equal(await dialledAfter("ws://a.example/", allowed, "tcp://b.example:1"), "ws://a.example/");
  assert.equal(await dialledAfter("wss://a.example/", allowed, "ws://b.example/"), "wss://a.example/");
  assert.equal(await dialledAfter("wss://a.example/", allowed, "wss://b.example/"), "wss://b.example/");
});

test("three redirects in a row, then its own address again", async () => {
  const world = new World();
  await live(world, { useAdvertisedAddresses: true });
  const urls = [];
  for (let i = 0; i < 5; ++i) {
    world.socket.say(detach(1012, "again", { address: `ws://b${i}.example/` }));
    world.pass(0);
    urls.push(world.socket.url);
    world.socket.open();
  }
  assert.deepEqual(urls, ["ws://b0.example/", "ws://b1.example/", "ws://b2.example/", "ws://play.example/game", "ws://play.example/game"]);
});

test("ping() measures the round trip", async () => {
  const world = new World();
  const session = await live(world);
  const times = [];
  session.addEventListener("pong", ({ detail }) => times.push(detail.ms));
  session.ping();
  world.pass(30);
  world.socket.say({ type: "PONG", ack: 0, number: world.socket.take()[0].number });
  assert.deepEqual([times, session.figures.roundTripMs], [[30], 30]);
});

test("URLs", () => {
  const { environment } = new World();
  const url = (text) => new rejoin.RejoinSession(text, { environment }).url;
  assert.equal(url("http://a.example/x?y=1"), "ws://a.example/x?y=1");
  assert.equal(url(new URL("https://a.example")), "wss://a.example/");
  for (const bad of ["tcp://a.example:1", "ws://a.example/#x", "/relative", "ftp://a.example"]) {
    assert.throws(() => url(bad), { name: "SyntaxError" }, bad);
  }
});

test("a constructor that throws is a failed dial", async () => {
  const world = new World();
  let calls = 0;
  world.environment.connect = () => {
    ++calls;
    throw new Error("mixed content");
  };
  world.chance = 0.5;
  const session = await start(world);
  world.pass(30_000);
  assert.ok(calls > 2);
  assert.equal(session.figures.failedDials, calls);
});

test("a storm of breaks: each message once and in order, both ways, and nothing left at the end", async () => {
  const world = new World();
  const session = await live(world, {}, { spread: 0 });
  let seed = 4711;
  const random = (below) => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 8) % below;
  const gateway = { sent: [], acked: 0, read: 0, got: [] };
  const heard = [];
  session.addEventListener("message", ({ data }) => heard.push(Number(data)));
  const listen = (socket) => {
    for (const frame of socket.take()) {
      gateway.acked = Math.max(gateway.acked, frame.ack);
      if (frame.type !== "DATA" || frame.seq !== gateway.read + 1) continue;
      ++gateway.read;
      gateway.got.push(Number(frame.text));
    }
  };
  let next = 0;
  for (let round = 0; round < 300; ++round) {
    const { socket } = world;
    for (let i = random(6); i > 0; --i) if (session.send(String(next))) ++next;
    // Each frame may be lost with the link, from any point on.
    const cut = random(4) === 0 ? random(socket.sent.length + 1) : socket.sent.length;
    socket.sent.splice(cut);
    listen(socket);
    for (let i = random(6); i > 0; --i) {
      gateway.sent.push(gateway.sent.length);
      if (random(5) > 0) socket.say(data(gateway.sent.length, gateway.read, String(gateway.sent.length - 1)));
      else break;
    }
    socket.break();
    world.pass(0);
    const { received } = world.socket.resume;
    world.socket.open();
    const from = Math.max(Number(received), gateway.acked) + 1;
    world.socket.say(resumed(gateway.read, from, gateway.sent.length, gateway.read));
    for (let seq = from; seq <= gateway.sent.length; ++seq) world.socket.say(data(seq, gateway.read, String(seq - 1)));
    listen(world.socket);
  }
  assert.deepEqual(gateway.got, Array.from({ length: next }, (_, i) => i));
  assert.deepEqual(heard, Array.from({ length: gateway.sent.length }, (_, i) => i));
  assert.equal(session.figures.resumes, 300);
  assert.equal(encode({ type: "ACK", ack: 0 }).length, 10);
});
