// Which cookies Chromium keeps from a 101, and sends with the next handshake: the table in docs/cookies.md is what this test
// finds (REJOIN_UPDATE_DOCS=1 writes it anew). Then the rows that the table recommends, with a real gateway's cookie sessions:
// a page's plain WebSocket gets its session back. Sites are names that Chromium maps to loopback; TLS ends in a small relay.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { chromium } from "playwright-core";
import { WebSocketServer } from "ws";
import { CutWorld, until } from "./cut_world.mjs";
import { CHROMIUM_FLAGS } from "./world.mjs";

const LIMIT = { timeout: 250_000 };
const DOC = new URL("../../docs/cookies.md", import.meta.url);
const GAME = "play.game.example";
const SAME_SITE = "www.game.example";
const OTHER_SITE = "portal.example";

// Rows: what the Set-Cookie of the 101 says. Columns: from which page, by which scheme.
const ATTRIBUTES = [
  "SameSite=Lax",
  "SameSite=Lax; Secure",
  "SameSite=Strict",
  "SameSite=Strict; Secure",
  "SameSite=None",
  "SameSite=None; Secure",
  "SameSite=None; Secure; Partitioned",
  "",
  "Secure",
];
const WAYS = [
  { title: "https page, same site, wss", page: "https", host: SAME_SITE, link: "wss" },
  { title: "https page, other site, wss", page: "https", host: OTHER_SITE, link: "wss" },
  { title: "http page, same site, ws", page: "http", host: SAME_SITE, link: "ws" },
  { title: "http page, other site, ws", page: "http", host: OTHER_SITE, link: "ws" },
  { title: "http page, same name, wss", page: "http", host: SAME_SITE, link: "wss" },
];

/** Ends TLS, and passes what is inside on to a port. */
async function tlsRelay(folder, port) {
  const server = createTlsServer(
    { key: await readFile(join(folder, "key.pem")), cert: await readFile(join(folder, "cert.pem")), ALPNProtocols: ["http/1.1"] },
    (client) => {
      const plain = connect(port, "127.0.0.1");
      client.pipe(plain).pipe(client);
      for (const [one, other] of [[client, plain], [plain, client]]) one.on("error", () => other.destroy()).on("close", () => other.destroy());
    },
  );
  server.on("tlsClientError", () => {});
  server.links = new Set();
  server.on("connection", (socket) => (server.links.add(socket), socket.on("close", () => server.links.delete(socket))));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

// `browser` makes private windows, each without cookies; `profile` is that of a person who allows third-party cookies.
let folder, pages, gates, browser, profile;
const relays = [];
async function secured(port) {
  relays.push(await tlsRelay(folder, port));
  return relays.at(-1).address().port;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "rejoin-cookies-"));
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=game.example",
    "-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")], { stdio: "ignore" });  // prettier-ignore
  pages = createServer((request, response) => response.setHeader("content-type", "text/html").end("<!doctype html><title>page</title>"));
  pages.listen(0, "127.0.0.1");
  await once(pages, "listening");
  // Sets the cookie that the path names, and says which it was sent.
  gates = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  gates.on("headers", (headers, { url }) => headers.push("Set-Cookie: GATE=1; HttpOnly; Path=/; " + decodeURIComponent(url.slice(1))));
  gates.on("connection", (socket, { headers }) => socket.send(headers.cookie ?? ""));
  await once(gates, "listening");
  const options = {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    chromiumSandbox: false,
    args: [...CHROMIUM_FLAGS, "--host-resolver-rules=MAP *.example 127.0.0.1", "--ignore-certificate-errors"],
  };
  browser = await chromium.launch(options);
  // A person who allows third-party cookies: Debian's Chromium does not by itself.
  await mkdir(join(folder, "profile", "Default"), { recursive: true });
  await writeFile(join(folder, "profile", "Default", "Preferences"), JSON.stringify({ profile: { cookie_controls_mode: 0, block_third_party_cookies: false } }));
  profile = await chromium.launchPersistentContext(join(folder, "profile"), { ...options, ignoreHTTPSErrors: true });
}, LIMIT);
after(async () => {
  await browser?.close();
  await profile?.close();
  for (const relay of relays) {
    relay.close();
    for (const link of relay.links) link.destroy();
  }
  pages?.closeAllConnections();
  pages?.close();
  for (const client of gates?.clients ?? []) client.terminate();
  gates?.close();
  await rm(folder, { recursive: true });
}, LIMIT);

/** A page at `way` of a person who was never here; and where it finds the game at a port of loopback. */
async function arrive(way, ports, secure, context = profile) {
  if (context === profile) await profile.clearCookies();
  const tab = await context.newPage();
  await tab.goto(`${way.page}://${way.host}:${way.page === "https" ? secure.pages : ports.pages}/`);
  const url = (path = "/") => `${way.link}://${GAME}:${way.link === "wss" ? secure.game : ports.game}${path}`;
  return { context, tab, url };
}
const firstMessage = (tab, url) =>
  tab.evaluate(
    (url) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(url);
        socket.onmessage = ({ data }) => (socket.close(), resolve(data));
        socket.onerror = () => reject(new Error("not opened: " + url));
      }),
    url,
  );

test("the table of docs/cookies.md is what Chromium does", LIMIT, async () => {
  const ports = { pages: pages.address().port, game: gates.address().port };
  const secure = { pages: await secured(ports.pages), game: await secured(ports.game) };
  const rows = [];
  for (const attributes of ATTRIBUTES) {
    /** Is the cookie there at the second handshake? */
    const kept = async (way, context) => {
      const { tab, url } = await arrive(way, ports, secure, context);
      assert.equal(await firstMessage(tab, url("/" + encodeURIComponent(attributes))), "", "nobody has a cookie at first");
      const sent = await firstMessage(tab, url("/none"));
      await tab.close();
      return sent === "GATE=1";
    };
    const privately = WAYS.map(async (way) => {
      const context = await browser.newContext({ ignoreHTTPSErrors: true });
      const found = await kept(way, context);
      await context.close();
      return found;
    });
    const cells = [];
    for (const [i, way] of WAYS.entries()) {
      const found = await kept(way, profile);
      assert.ok(found || !(await privately[i]), "a private window keeps less, never more");
      cells.push(!found ? "-" : (await privately[i]) ? "kept" : "kept (1)");
    }
    rows.push(`| ${attributes ? "`" + attributes + "`" : "none of these"} | ${cells.join(" | ")} |`);
  }
  const head = [`| in the Set-Cookie of the 101 | ${WAYS.map(({ title }) => title).join(" | ")} |`, `| --- |${" --- |".repeat(WAYS.length)}`];
  const table = [...head, ...rows].join("\n");
  const doc = await readFile(DOC, "utf8");
  const [, begin, old, end] = /^([^]*<!-- table: begin -->\n)([^]*?)(\n<!-- table: end -->[^]*)$/.exec(doc);
  if (process.env.REJOIN_UPDATE_DOCS) await writeFile(DOC, begin + table + end);
  else assert.equal(old, table, "docs/cookies.md: REJOIN_UPDATE_DOCS=1 writes it anew");
});

// What docs/cookies.md says to configure, by where the page is.
const RECOMMENDED = [
  { way: WAYS[0], cookie: 'same_site = "lax"', origins: `"https://${SAME_SITE}:PORT"` },
  { way: WAYS[1], cookie: 'same_site = "none", partitioned = true', origins: `"https://${OTHER_SITE}:PORT"` },
  { way: WAYS[2], cookie: 'same_site = "lax", secure = false', origins: `"http://${SAME_SITE}:PORT"` },
];
for (const { way, cookie, origins } of RECOMMENDED) {
  test(`${way.title}: a plain WebSocket gets its session back with session_cookie = { ${cookie} }`, LIMIT, async () => {
    const plainPages = pages.address().port;
    const securePages = await secured(plainPages);
    const port = way.page === "https" ? securePages : plainPages;
    const world = await CutWorld.start({ keys: `origins = [ ${origins.replace("PORT", port)} ]\nsession_cookie = { ${cookie} }` });
    const ports = { pages: plainPages, game: world.relay.port };
    const { context, tab, url } = await arrive(way, ports, { pages: securePages, game: await secured(world.relay.port) });
    const say = (text) =>
      tab.evaluate(
        ([url, text]) =>
          new Promise((resolve, reject) => {
            const socket = (window.socket = new WebSocket(url));
            const got = [];
            socket.onopen = () => socket.send(text);
            socket.onmessage = ({ data }) => got.push(data) === 2 && resolve(got);
            socket.onclose = ({ code }) => reject(new Error("closed " + code));
          }),
        [url(), text],
      );
    assert.deepEqual(await say("c0"), ["s0", "s1"]);
    await tab.evaluate(() => (socket.onclose = null));
    world.relay.cut();
    await tab.waitForFunction(() => socket.readyState === WebSocket.CLOSED);
    assert.deepEqual(await say("c1"), ["s2", "s3"], "the same game server's connection, which counts on");
    assert.equal(world.game.players.length, 1);
    // Somebody else is somebody else.
    await context.clearCookies();
    await tab.evaluate(() => (socket.onclose = null));
    world.relay.cut();
    assert.deepEqual(await say("c0"), ["s0", "s1"]);
    await until(() => world.game.players.length === 2, "a second player");
    await tab.close();
    await world.stop();
  });
}

test("a page that is not among the origins is refused, cookie or not", LIMIT, async () => {
  const ports = { pages: pages.address().port };
  const secure = { pages: await secured(ports.pages) };
  const world = await CutWorld.start({ keys: `origins = [ "https://${SAME_SITE}:${secure.pages}" ]\nsession_cookie = { same_site = "none" }` });
  ports.game = world.relay.port;
  secure.game = await secured(ports.game);
  const { tab, url } = await arrive(WAYS[1], ports, secure);
  await assert.rejects(firstMessage(tab, url()), /not opened/);
  assert.equal(world.game.players.length, 0);
  await tab.close();
  await world.stop();
});
