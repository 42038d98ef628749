// Chromium over https and wss with the balancer: a page of its own, sockets that come back to their server by a Secure cookie,
// and a certificate that is renewed under an open socket.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { visit, World } from "./world.mjs";

const LIMIT = { timeout: 60_000 };

let world;
before(async () => {
  const origins = 'origins = [ "*" ]\n';
  world = await World.start({ g1: origins, g2: origins }, { tls: true });
}, LIMIT);
after(async () => {
  await world?.stop();
}, LIMIT);

/** A person whose page comes from the balancer itself, so that its cookies are first-party. */
async function newPlayer() {
  const context = await world.browser.newContext();
  const tab = await context.newPage();
  const answer = await tab.goto(world.balancerUrl("https", "/healthz"));
  assert.equal(answer.status(), 200);
  assert.match((await answer.securityDetails()).protocol, /^TLS 1\.3/);
  return { context, tab };
}

/** Which certificate a new connection is shown. */
async function serial() {
  const socket = connect({ host: "127.0.0.1", port: world.balancer.ports[0], rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const shown = socket.getPeerCertificate().serialNumber;
  socket.destroy();
  return Number.parseInt(shown, 16);
}

test("a page over https opens wss, and its Secure cookie brings it back", LIMIT, async () => {
  for (let i = 0; i < 4; ++i) {
    const { context, tab } = await newPlayer();
    const url = world.balancerUrl("wss");
    const first = await visit(tab, url, ["hello", "z".repeat(60_000)]);
    assert.deepEqual(first.echoes, ["hello", "z".repeat(60_000)]);
    const [cookie] = await context.cookies();
    assert.equal(cookie.name, "REJOIN");
    assert.equal(cookie.secure, true);
    for (let again = 0; again < 3; ++again) assert.equal((await visit(tab, url)).server, first.server);
    await context.close();
  }
});

test("an open socket stays while the certificate is renewed", LIMIT, async () => {
  const { context, tab } = await newPlayer();
  const url = world.balancerUrl("wss");
  await tab.evaluate(
    (url) =>
      new Promise((resolve, reject) => {
        window.socket = new WebSocket(url);
        window.socket.onmessage = resolve;
        window.socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
      }),
    url,
  );
  const before = await serial();
  await world.makeCertificate();
  world.balancer.process.kill("SIGHUP");
  const deadline = Date.now() + 20_000;
  while (!world.balancer.log.some((line) => line.includes("certificates were read again"))) {
    assert.ok(Date.now() < deadline, world.balancer.log.join("\n"));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(await serial(), before + 1);
  const echo = await tab.evaluate(
    () =>
      new Promise((resolve, reject) => {
        window.socket.onmessage = ({ data }) => resolve(data);
        window.socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
        window.socket.send("still here");
      }),
  );
  assert.equal(echo, "still here");
  assert.deepEqual((await visit(tab, url, ["new"])).echoes, ["new"]);
  await context.close();
});
