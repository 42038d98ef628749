// clients/js as applications get it (dist/), in Node, against real gateways and a relay that cuts links. Run by ctest (layer
// browser) with REJOIN naming the program.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { RejoinSession, RejoinSocket } from "../../clients/js/dist/rejoin.mjs";
import { chance, CutWorld, heard, numbered, until } from "./cut_world.mjs";

// Debian's own Node, 18, has no CustomEvent; the package asks for 20.
globalThis.CustomEvent ??= class extends Event {
  constructor(type, { detail } = {}) {
    super(type);
    this.detail = detail;
  }
};

const LIMIT = { timeout: 280_000 };
const BREAKS = 200;
const options = { WebSocket };

let world;
before(async () => {
  world = await CutWorld.start();
}, LIMIT);
after(async () => {
  await world?.stop();
}, LIMIT);

/** A session that counts, and that says "c0", "c1", ... with play(). */
function player(more = {}) {
  const session = new RejoinSession(world.url, { ...options, ...more });
  session.got = [];
  session.said = 0;
  session.addEventListener("message", ({ data }) => session.got.push(data));
  session.play = (count) => {
    for (let i = 0; i < count && session.send("c" + session.said); ++i) ++session.said;
  };
  return session;
}
const gameOf = () => world.game.players.at(-1);

async function finished(session, game) {
  await until(() => session.got.length === 2 * session.said && game.got.length === session.said, "everything has arrived");
  assert.deepEqual(game.got, numbered("c", session.said), "to the game: each once, in order");
  assert.deepEqual(session.got, numbered("s", 2 * session.said), "from the game: each once, in order");
}

test(`${BREAKS} breaks in a row at any byte: 0 lost, 0 twice, one session`, LIMIT, async () => {
  const session = player();
  const random = chance(4711);
  await heard(session, "opened");
  await until(() => world.game.players.length === 1, "the game server was dialled");
  const [game] = world.game.players;
  session.addEventListener("message", () => session.play(random(2)));
  session.addEventListener("resumed", ({ detail }) => {
    assert.equal(detail.whole, true);
    if (session.figures.resumes < BREAKS) world.relay.cutAfter(1 + random(800));
    session.play(1 + random(4));
  });
  world.relay.cutAfter(500);
  session.play(20);
  // Where the stream was cut when both had nothing to say any more, somebody says something.
  await until(() => {
    if (session.state === "live" && session.got.length === 2 * session.said) session.play(1);
    return session.figures.resumes >= BREAKS;
  }, `${BREAKS} resumes`, 270_000);
  await finished(session, game);
  const { resumes, logins, replayedIn, replayedOut, sent, received, unacknowledged } = session.figures;
  assert.equal(resumes, BREAKS);
  assert.equal(logins, 1);
  assert.equal(world.game.players.length, 1, "the game server saw one steady connection");
  assert.ok(replayedIn + replayedOut > BREAKS, `${replayedIn} and ${replayedOut} were on the way when a link broke`);
  assert.deepEqual([sent, received], [session.said, 2 * session.said]);
  assert.ok(unacknowledged <= session.said);
  session.close();
  const { detail } = await heard(session, "ended");
  assert.deepEqual([detail.code, detail.wasClean], [1000, true]);
  await until(() => game.gone, "the game server's connection ends with the session");
});

test("a resume takes one round trip: it rides in the handshake", LIMIT, async () => {
  const offered = [];
  class Watched extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols);
      offered.push(protocols.length);
    }
  }
  const session = player({ WebSocket: Watched });
  await heard(session, "opened");
  world.relay.cut();
  await heard(session, "resumed");
  assert.deepEqual(offered, [1, 2]);
  assert.ok(session.figures.resumeMs < 2000, `${session.figures.resumeMs} ms`);
  session.close();
  await heard(session, "ended");
});

test("large messages, text and bytes, and a window that is full", LIMIT, async () => {
  const session = player();
  await heard(session, "opened");
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7) % 256);
  assert.equal(session.messageBytesMax, 256 * 1024);
  assert.throws(() => session.send(new Uint8Array(session.messageBytesMax + 1)), RangeError);
  let refused = 0;
  for (let sent = 0; sent < 20; ) {
    if (session.send(bytes)) ++sent;
    else {
      ++refused;
      await heard(session, "writable");
    }
    if (sent === 10) world.relay.cut();
  }
  assert.ok(refused > 0);
  const game = gameOf();
  await until(() => game.got.length === 20, "all have arrived");
  for (const message of game.got) assert.equal(Buffer.compare(Buffer.from(message), Buffer.from(bytes)), 0);
  session.close();
  await heard(session, "ended");
});

test("a link that falls silent: a hint asks, and a dial beside it takes over within seconds", LIMIT, async () => {
  const session = player();
  await heard(session, "opened");
  session.play(3);
  await until(() => session.got.length === 6, "answers");
  world.relay.silence(true);
  session.play(3);
  session.networkChanged();
  await heard(session, "link", ({ detail }) => detail.what === "dialing");
  assert.equal(session.state, "live");
  world.relay.silence(false);
  world.relay.cut();
  await heard(session, "resumed");
  await finished(session, gameOf());
  session.close();
  await heard(session, "ended");
});

test("a gateway that died: told, and a new login", LIMIT, async () => {
  const session = player();
  await heard(session, "opened");
  const lost = heard(session, "lost");
  const again = heard(session, "opened");
  await world.restartGateway();
  assert.equal((await lost).detail.code, 4401);
  await again;
  assert.equal(session.state, "live");
  assert.equal(session.figures.logins, 2);
  session.close();
  await heard(session, "ended");
});

test("a gateway that is told to stop: the application hears why", LIMIT, async () => {
  const own = await CutWorld.start({ keys: 'drain_timeout = "0s"' });
  const session = new RejoinSession(own.url, { ...options, loginAgain: false, giveUpMs: 2000 });
  await heard(session, "opened");
  const ended = heard(session, "ended");
  await own.stop();
  const { detail } = await ended;
  assert.ok([1001, 0].includes(detail.code), `${detail.code} ${detail.reason}`);
});

test("RejoinSocket: an echo, over a break, with on-handlers as any application has them", LIMIT, async () => {
  const socket = new RejoinSocket(world.url, options);
  const got = [];
  socket.onmessage = ({ data }) => got.push(data);
  socket.onopen = () => {
    for (let i = 0; i < 10; ++i) socket.send("c" + i);
    world.relay.cut();
    for (let i = 10; i < 20; ++i) socket.send("c" + i);
  };
  await until(() => got.length === 40, "answers");
  assert.deepEqual(got, numbered("s", 40));
  assert.equal(socket.readyState, RejoinSocket.OPEN);
  socket.close(3001, "enough");
  const { code, reason, wasClean } = await heard(socket, "close");
  assert.deepEqual([code, reason, wasClean], [3001, "enough", true]);
});

test("a kept session: another process goes on with it, and is told that the stream is not whole", LIMIT, async () => {
  let text = null;
  const storage = { load: () => text, save: (kept) => (text = kept), clear: () => (text = null) };
  const first = player({ storage });
  await heard(first, "opened");
  first.play(5);
  await until(() => first.got.length === 10, "answers");
  const game = gameOf();
  first.leave();
  const second = player({ storage });
  second.said = first.said;
  assert.equal((await heard(second, "resumed")).detail.whole, false);
  second.play(5);
  await until(() => game.got.length === 10, "arrived");
  assert.deepEqual(game.got, numbered("c", 10), "the same game server's connection");
  await until(() => second.got.length === 10, "answers");
  second.close();
  await heard(second, "ended");
  assert.equal(text, null);
});
