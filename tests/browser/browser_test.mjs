// A real Chromium comes back to its server: the cookie that the balancer plants in the 101 (and in ordinary responses) is
// kept, is sent again, and says what it should. Run by ctest (layer browser) with REJOIN naming the program.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { visit, World } from "./world.mjs";

const LIMIT = { timeout: 60_000 };
const COOKIE = "REJOIN";

let world;
before(async () => {
  world = await World.start();
}, LIMIT);
after(async () => {
  await world?.stop();
}, LIMIT);

async function pinOf(context) {
  return (await context.cookies()).find(({ name }) => name === COOKIE);
}

for (const host of ["127.0.0.1", "localhost"]) {
  test(`a player who opens again comes back to the same server (${host})`, LIMIT, async () => {
    const { context, tab } = await world.newPlayer(host);
    const play = world.balancerUrl("ws", "/play", host);
    const { server } = await visit(tab, play);
    for (let again = 0; again < 6; ++again) assert.equal((await visit(tab, play)).server, server);
    await context.close();
  });
}

test("players who never came before are spread, and each keeps their own server", LIMIT, async () => {
  const play = world.balancerUrl("ws");
  const players = [];
  // Three, so that a balancer which forgets them and goes round and round is out of step at the second visit.
  for (let i = 0; i < 3; ++i) players.push(await world.newPlayer());
  const first = [];
  for (const { tab } of players) first.push((await visit(tab, play)).server);
  assert.deepEqual([first[0], first[1]].sort(), ["g1", "g2"], "round-robin");
  assert.equal(first[2], first[0], "round-robin");
  for (let again = 0; again < 3; ++again) {
    for (const [i, { tab }] of players.entries()) assert.equal((await visit(tab, play)).server, first[i]);
  }
  for (const { context } of players) await context.close();
});

test("it is the cookie that holds them: without it the same browser meets both servers", LIMIT, async () => {
  const { context, tab } = await world.newPlayer();
  const met = new Set();
  for (let again = 0; again < 4; ++again) {
    met.add((await visit(tab, world.balancerUrl("ws"))).server);
    await context.clearCookies();
  }
  assert.deepEqual([...met].sort(), ["g1", "g2"]);
  await context.close();
});

test("the cookie is HttpOnly, SameSite=Lax, for every path, and tells nothing", LIMIT, async () => {
  const { context, tab } = await world.newPlayer();
  const { server } = await visit(tab, world.balancerUrl("ws", "/some/deep/path"));
  const pin = await pinOf(context);
  assert.ok(pin, "Chromium kept the cookie of the 101");
  const { httpOnly, sameSite, path, secure, domain } = pin;
  assert.deepEqual(
    { httpOnly, sameSite, path, secure, domain },
    { httpOnly: true, sameSite: "Lax", path: "/", secure: false, domain: "127.0.0.1" },
  );
  assert.ok(!pin.value.includes(server) && !Buffer.from(pin.value, "base64url").includes(server), "the value is sealed");
  assert.equal(await tab.evaluate(() => document.cookie), "", "scripts do not see it");
  assert.equal((await visit(tab, world.balancerUrl("ws", "/elsewhere"))).server, server, "another path, the same cookie");
  await context.close();
});

test("a reload, a new tab and a new window of the page keep the server", LIMIT, async () => {
  const { context, tab } = await world.newPlayer();
  const play = world.balancerUrl("ws");
  const { server } = await visit(tab, play);
  await tab.reload();
  assert.equal((await visit(tab, play)).server, server, "reloaded");
  await tab.close();
  const other = await context.newPage();
  await other.goto(world.pageUrl());
  assert.equal((await visit(other, play)).server, server, "another tab");
  await context.close();
});

test("an ordinary response plants the cookie too, and the WebSocket after it follows", LIMIT, async () => {
  const servers = new Set();
  for (let i = 0; i < 2; ++i) {
    const { context, tab } = await world.newPlayer();
    const response = await tab.goto(world.balancerUrl("http", "/healthz"));
    assert.equal(response.status(), 200);
    const planted = await pinOf(context);
    assert.ok(planted, "Set-Cookie on the 200");
    const { server } = await visit(tab, world.balancerUrl("ws"));
    servers.add(server);
    // If the WebSocket had been scheduled anew, its 101 would have planted another pin.
    assert.equal((await pinOf(context)).value, planted.value, "the pin of the page is the pin of the WebSocket");
    for (let again = 0; again < 3; ++again) assert.equal((await visit(tab, world.balancerUrl("ws"))).server, server);
    await context.close();
  }
  assert.deepEqual([...servers].sort(), ["g1", "g2"]);
});

test("text, binary and large messages pass unchanged", LIMIT, async () => {
  const { context, tab } = await world.newPlayer();
  const messages = [
    "",
    "plain",
    "größer \u{1f3b2} \u0000",
    "x".repeat(65_535),
    "y".repeat(300_000),
    [],
    [0, 255, 128, 10, 13],
    Array.from({ length: 65_536 }, (_, i) => (i * 7) % 256),
  ];
  const { echoes } = await visit(tab, world.balancerUrl("ws"), messages);
  assert.deepEqual(echoes, messages);
  await context.close();
});

// Last, since it leaves one gateway dead.
test("when the server is gone the player is sent to the other one, and is pinned there by a new cookie", LIMIT, async () => {
  const { context, tab } = await world.newPlayer();
  const play = world.balancerUrl("ws");
  const { server } = await visit(tab, play);
  const old = await pinOf(context);
  await world.gateways.get(server).kill();
  const moved = (await visit(tab, play)).server;
  assert.notEqual(moved, server);
  assert.notEqual((await pinOf(context)).value, old.value);
  for (let again = 0; again < 3; ++again) assert.equal((await visit(tab, play)).server, moved);
  await context.close();
});
