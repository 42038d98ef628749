// clients/js as a page gets it (the classic script of dist/), in Debian's Chromium, against a real gateway that serves the page,
// before a relay that cuts links. Run by ctest (layer browser) with REJOIN naming the program.
import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { chance, CutWorld, numbered, until } from "./cut_world.mjs";
import { CHROMIUM_FLAGS } from "./world.mjs";

const LIMIT = { timeout: 280_000 };
const BREAKS = 200;
const DIST = fileURLToPath(new URL("../../clients/js/dist/", import.meta.url));

// The page: a player who says "c0", "c1", ... and keeps what came, and all that the session told.
const PAGE = `<!doctype html><title>player</title><script src="rejoin.global.js"></script><script>
  const player = (window.player = { got: [], told: [], said: 0 });
  const session = (player.session = new Rejoin.RejoinSession("/", { storage: "session" }));
  for (const type of ["state", "link", "opened", "resumed", "lost", "ended", "pong"]) {
    session.addEventListener(type, ({ detail }) => player.told.push([type, detail]));
  }
  session.addEventListener("message", ({ data }) => player.got.push(data));
  player.play = (count) => { for (let i = 0; i < count && session.send("c" + player.said); ++i) ++player.said; };
</script>`;

let world, pages, browser;
before(async () => {
  pages = await mkdtemp(join(tmpdir(), "rejoin-page-"));
  await mkdir(pages, { recursive: true });
  await writeFile(join(pages, "index.html"), PAGE);
  for (const script of ["rejoin.global.js", "rejoin.mjs"]) await cp(join(DIST, script), join(pages, script));
  world = await CutWorld.start({ pages });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, chromiumSandbox: false, args: CHROMIUM_FLAGS });
}, LIMIT);
after(async () => {
  await browser?.close();
  await world?.stop();
  await rm(pages, { recursive: true });
}, LIMIT);

const http = () => world.url.replace("ws", "http");
const settled = (tab) => tab.waitForFunction(() => player.session.state === "live");
const game = () => world.game.players.at(-1);
const told = (tab, type) => tab.evaluate((type) => player.told.filter(([name]) => name === type).map(([, detail]) => detail), type);

/** A tab of a person who was never here, with a session that is live. */
async function newPlayer(context) {
  context ??= await browser.newContext();
  const tab = await context.newPage();
  await tab.goto(http());
  await settled(tab);
  const { players } = world.game;
  await until(() => players.length > 0 && !game().taken, "the game server was dialled");
  game().taken = true;
  return { context, tab, game: game() };
}
async function finished(tab, game) {
  await tab.waitForFunction(() => player.got.length === 2 * player.said && player.session.state === "live");
  const { got, said } = await tab.evaluate(() => ({ got: player.got, said: player.said }));
  await until(() => game.got.length === said, "everything has arrived");
  assert.deepEqual(game.got, numbered("c", said), "to the game: each once, in order");
  assert.deepEqual(got, numbered("s", 2 * said), "from the game: each once, in order");
}

test(`${BREAKS} breaks in a row at any byte: 0 lost, 0 twice, one session`, LIMIT, async () => {
  const { context, tab, game } = await newPlayer();
  const random = chance(1234);
  await tab.exposeFunction("cutLater", () => world.relay.cutAfter(1 + random(800)));
  await tab.evaluate(
    (breaks) =>
      new Promise((resolve) => {
        const { session } = player;
        let busy = true;
        session.addEventListener("message", () => busy && player.play(player.got.length % 3 === 0 ? 2 : 0));
        session.addEventListener("resumed", async () => {
          busy = session.figures.resumes < breaks;
          if (!busy) return resolve();
          await cutLater();
          player.play(3);
        });
        // Both ends may be silent when the cut is still to come.
        const timer = setInterval(() => (busy ? player.play(4) : clearInterval(timer)), 4);
        cutLater().then(() => player.play(20));
      }),
    BREAKS,
  );
  await finished(tab, game);
  const figures = await tab.evaluate(() => player.session.figures);
  assert.equal(figures.resumes, BREAKS);
  assert.equal(figures.logins, 1);
  assert.ok((await told(tab, "resumed")).every(({ whole }) => whole));
  assert.ok(figures.replayedIn + figures.replayedOut > 0);
  await context.close();
});

test("drops: the page plays on, and the resume rides in the handshake", LIMIT, async () => {
  const { context, tab, game } = await newPlayer();
  for (let drop = 1; drop <= 5; ++drop) {
    await tab.evaluate(() => player.play(5));
    world.relay.cut();
    await tab.evaluate(() => player.play(5));
    await tab.waitForFunction((drop) => player.session.figures.resumes === drop, drop);
  }
  await finished(tab, game);
  await context.close();
});

test("offline and online again, as the browser tells it: nothing is lost, whatever it does with the link", LIMIT, async () => {
  const { context, tab, game } = await newPlayer();
  await tab.evaluate(() => player.play(3));
  await context.setOffline(true);
  world.relay.silence(true);
  await tab.evaluate(() => player.play(3));
  await tab.waitForFunction(() => player.told.some(([type, { what }]) => type === "link" && what === "dialing" && player.told.length > 3));
  world.relay.silence(false);
  world.relay.cut();
  await context.setOffline(false);
  await tab.waitForFunction(() => player.session.figures.resumes > 0);
  await finished(tab, game);
  await context.close();
});

test("a reload resumes the same scene: kept, not whole", LIMIT, async () => {
  const { context, tab, game } = await newPlayer();
  await tab.evaluate(() => player.play(4));
  await finished(tab, game);
  const players = world.game.players.length;
  for (let reload = 1; reload <= 3; ++reload) {
    await tab.reload();
    await settled(tab);
    const [{ whole, epoch }] = await told(tab, "resumed");
    assert.equal(whole, false);
    assert.equal(epoch, reload + 1);
    assert.deepEqual(await told(tab, "opened"), [], "no login");
  }
  await tab.evaluate(() => (player.said = 4) && player.play(2));
  await until(() => game.got.length === 6, "arrived");
  assert.deepEqual(game.got, numbered("c", 6));
  await tab.waitForFunction(() => player.got.at(-1) === "s11");
  // What an older page had and no ack had told of comes again to the new one, which knows nothing of it.
  const got = await tab.evaluate(() => player.got);
  assert.ok(got.length >= 4, `${got}`);
  assert.deepEqual(got, numbered("s", 12).slice(-got.length));
  assert.equal(world.game.players.length, players, "the game server saw one steady connection");
  assert.equal(await tab.evaluate(() => Object.keys(localStorage).length), 0);
  await context.close();
});

test("another page and back: the session waits, and is resumed", LIMIT, async () => {
  const { context, tab, game } = await newPlayer();
  await tab.goto("about:blank");
  await tab.goBack();
  await settled(tab);
  const resumes = await tab.evaluate(() => player.session.figures.resumes);
  assert.equal(resumes, 1);
  await tab.evaluate(() => player.play(1));
  await until(() => game.got.length === 1, "arrived");
  await context.close();
});

/**
 * The page stands still, as a frozen one does: no script, no timer, no message. (Debian's Chromium does not take Page.setWebLife-
 * cycleState from a Playwright that emulates focus, so its script is paused, and the page is told what the browser would tell.)
 */
async function frozen({ context, tab }, meanwhile) {
  const devtools = await context.newCDPSession(tab);
  await tab.evaluate(() => document.dispatchEvent(new Event("freeze")));
  await tab.evaluate(() => (player.turns = setInterval(() => ++player.turned, 1)));
  const paused = new Promise((resolve) => devtools.once("Debugger.paused", resolve));
  await devtools.send("Debugger.enable");
  await devtools.send("Debugger.pause");
  await paused;
  await meanwhile();
  await devtools.send("Debugger.resume");
  await devtools.send("Debugger.disable");
  await tab.evaluate(() => (clearInterval(player.turns), document.dispatchEvent(new Event("resume"))));
}

test("a page that is frozen while its link goes: it comes back with everything", LIMIT, async () => {
  const one = await newPlayer();
  const { context, tab, game } = one;
  await tab.evaluate(() => player.play(3));
  await finished(tab, game);
  await tab.evaluate(() => player.play(3));
  await frozen(one, async () => {
    await until(() => game.got.length === 6, "it was sent before");
    world.relay.cut();
  });
  await tab.waitForFunction(() => player.session.figures.resumes === 1);
  await finished(tab, game);
  await context.close();
});

test("a page that is frozen and whose link lives: it asks, and stays", LIMIT, async () => {
  const one = await newPlayer();
  const { context, tab, game } = one;
  await frozen(one, async () => {
    // Longer than a PONG may take.
    const end = performance.now() + 2500;
    await until(() => performance.now() > end, "2.5 s");
  });
  await tab.waitForFunction(() => player.told.some(([type]) => type === "pong"));
  assert.equal(await tab.evaluate(() => player.session.figures.resumes), 0);
  await tab.evaluate(() => player.play(1));
  await finished(tab, game);
  await context.close();
});

test("two tabs are two sessions, and both play on after a break", LIMIT, async () => {
  const first = await newPlayer();
  const second = await newPlayer(first.context);
  assert.notEqual(first.game, second.game);
  world.relay.cut();
  for (const { tab, game } of [first, second]) {
    await tab.waitForFunction(() => player.session.figures.resumes === 1);
    await tab.evaluate(() => player.play(2));
    await finished(tab, game);
  }
  await first.context.close();
});

test("a tab that is a copy, sessionStorage and all, gets a session of its own; the first one plays on", LIMIT, async () => {
  const first = await newPlayer();
  await first.tab.evaluate(() => player.play(2));
  // What a person does with "duplicate": the browser copies the tab's storage. So it does for a window that a page opens.
  const [copy] = await Promise.all([first.context.waitForEvent("page"), first.tab.evaluate(() => void window.open(location.href))]);
  await settled(copy);
  assert.equal((await told(copy, "opened")).length, 1, "a login of its own");
  assert.equal((await told(copy, "resumed")).length, 0);
  assert.deepEqual(await told(first.tab, "ended"), []);
  await finished(first.tab, first.game);
  await until(() => game() !== first.game, "the game server was dialled");
  game().taken = true;
  // Each keeps its own when it is loaded again.
  for (const tab of [copy, first.tab]) {
    await tab.reload();
    await settled(tab);
    assert.equal((await told(tab, "resumed")).length, 1);
  }
  await first.context.close();
});

test("a copy that cannot ask takes over, and the first tab ends with 4409 instead of fighting for the session", LIMIT, async () => {
  const first = await newPlayer();
  const copy = await first.context.newPage();
  await copy.addInitScript(() => delete globalThis.BroadcastChannel);
  const stored = await first.tab.evaluate(() => ({ ...sessionStorage }));
  await copy.addInitScript((stored) => Object.assign(sessionStorage, stored), stored);
  await copy.goto(http());
  await settled(copy);
  assert.equal((await told(copy, "resumed")).length, 1);
  await first.tab.waitForFunction(() => player.session.state === "ended");
  assert.equal((await told(first.tab, "ended"))[0].code, 4409);
  assert.equal(await copy.evaluate(() => player.session.state), "live");
  await first.context.close();
});

test("a worker has no sessionStorage, and a session all the same: the ES module", LIMIT, async () => {
  const { context, tab } = await newPlayer();
  const before = world.game.players.length;
  const got = await tab.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const source = `import { RejoinSocket } from "${location.origin}/rejoin.mjs";
          const socket = new RejoinSocket("${location.origin}/");
          const got = [];
          socket.onopen = () => socket.send("c0");
          socket.onmessage = ({ data }) => got.push(data) === 2 && postMessage(got);`;
        const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
      }),
  );
  assert.deepEqual(got, ["s0", "s1"]);
  assert.equal(world.game.players.length, before + 1);
  game().taken = true;
  await context.close();
});

test("RejoinSocket in a page is a WebSocket to its application: Blob, ArrayBuffer, CloseEvent", LIMIT, async () => {
  const { context, tab } = await newPlayer();
  const heard = await tab.evaluate(
    () =>
      new Promise((resolve) => {
        const socket = new Rejoin.RejoinSocket("/", { storageKey: "another" });
        socket.onopen = () => {
          socket.send(new Blob([new Uint8Array([1, 2])]));
          socket.send("text");
          socket.close(3000, "bye");
        };
        socket.onclose = (event) => resolve([event instanceof CloseEvent, event.code, event.reason, event.wasClean, socket.readyState]);
      }),
  );
  assert.deepEqual(heard, [true, 3000, "bye", true, 3]);
  await until(() => game().got.length === 2, "arrived");
  assert.deepEqual(game().got, [[1, 2], "text"]);
  game().taken = true;
  await context.close();
});
