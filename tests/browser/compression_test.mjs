// permessage-deflate with the two peers that players use most: Chromium, and ws (npm), each against a gateway that shares
// its deflaters (g1) and one that has them for each link (g2), past the balancer and through it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { visit, World } from "./world.mjs";

const LIMIT = { timeout: 60_000 };
const MESSAGE_MAX = 100_000;
const NO_TAKEOVER = "; server_no_context_takeover; client_no_context_takeover";
const ANSWERS = {
  g1: `permessage-deflate${NO_TAKEOVER}; server_max_window_bits=12`,
  g2: "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
};

let world;
before(async () => {
  const keys = (kind) =>
    `origins = [ "*" ]\nmessage_max = "${MESSAGE_MAX}B"\ncompression = { kind = "${kind}" }\n`;
  world = await World.start({ g1: keys("shared"), g2: keys("dedicated") });
}, LIMIT);
after(async () => {
  await world?.stop();
}, LIMIT);

/** One like the other but for its numbers; some text, some bytes, some that do not shrink, some empty. */
function messages() {
  const out = ["", "x", "z".repeat(MESSAGE_MAX), "\u00e4\u20ac\u{1f600}".repeat(100)];
  for (let tick = 0; tick < 50; ++tick) {
    const players = Array.from({ length: 5 }, (_, id) => ({ id, x: tick * 1.5 + id, y: -3.25 * id, hp: 100 - tick }));
    out.push(JSON.stringify({ type: "state", tick, players }));
  }
  for (const size of [1, 100, 5000, MESSAGE_MAX]) out.push([...randomBytes(size)]);
  out.push("", "the end");
  return out;
}

/** A client of ws: the greeting, then every message and its echo. */
async function exchange(url, options, sent) {
  const socket = new WebSocket(url, options);
  const heard = [];
  socket.on("message", (data, binary) => {
    heard.push(binary ? [...data] : data.toString());
    if (heard.length > sent.length) return socket.close(1000);
    const next = sent[heard.length - 1];
    socket.send(typeof next === "string" ? next : Buffer.from(next));
  });
  await once(socket, "open");
  const tcp = socket._socket;
  const [code] = await once(socket, "close");
  return { code, extensions: socket.extensions, echoes: heard.slice(1), bytes: tcp.bytesRead, written: tcp.bytesWritten };
}

for (const gateway of ["g1", "g2"]) {
  // A threshold of 0: it compresses whatever it says, the empty message too.
  for (const [name, perMessageDeflate] of [
    ["as it comes", true],
    ["all that it says", { threshold: 0 }],
    ["with small windows", { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 10 }],
    ["without takeover", { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }],
  ]) {
    test(`ws gets every message back from ${gateway}, compressed ${name}`, LIMIT, async () => {
      const sent = messages();
      const { code, extensions, echoes } = await exchange(world.gatewayUrl(gateway), { perMessageDeflate }, sent);
      assert.equal(code, 1000);
      assert.match(extensions, /^permessage-deflate/);
      assert.deepEqual(echoes, sent);
    });
  }

  test(`ws saves bytes with ${gateway}`, LIMIT, async () => {
    const sent = messages().filter((message) => typeof message === "string" && message.startsWith("{"));
    const plain = await exchange(world.gatewayUrl(gateway), { perMessageDeflate: false }, sent);
    assert.equal(plain.extensions, "");
    const deflated = await exchange(world.gatewayUrl(gateway), { perMessageDeflate: { threshold: 0 } }, sent);
    assert.equal(deflated.extensions, "permessage-deflate");
    const share = gateway === "g2" ? 0.4 : 0.8;
    for (const way of ["bytes", "written"]) {
      assert.ok(deflated[way] < plain[way] * share, `${way}: ${deflated[way]} of ${plain[way]}`);
    }
  });

  test(`Chromium gets every message back from ${gateway}, and through the balancer`, LIMIT, async () => {
    const { context, tab } = await world.newPlayer();
    const sent = messages();
    const extensions = await tab.evaluate(
      (url) =>
        new Promise((resolve, reject) => {
          const socket = new WebSocket(url);
          socket.onerror = () => reject(new Error("not opened"));
          socket.onopen = () => {
            resolve(socket.extensions);
            socket.close();
          };
        }),
      world.gatewayUrl(gateway),
    );
    assert.equal(extensions, ANSWERS[gateway]);
    assert.deepEqual((await visit(tab, world.gatewayUrl(gateway), sent)).echoes, sent);
    assert.deepEqual((await visit(tab, world.balancerUrl("ws"), sent)).echoes, sent);
    await context.close();
  });

  test(`a bomb is refused by ${gateway} with 1009, whoever throws it`, LIMIT, async () => {
    const socket = new WebSocket(world.gatewayUrl(gateway), { perMessageDeflate: { threshold: 0 } });
    await once(socket, "open");
    socket.send(Buffer.alloc(64 << 20));
    const [code, reason] = await once(socket, "close");
    assert.equal(code, 1009);
    assert.equal(reason.toString(), "message longer than the limit when inflated");

    const { context, tab } = await world.newPlayer();
    const heard = await tab.evaluate(
      (url) =>
        new Promise((resolve) => {
          const socket = new WebSocket(url);
          socket.onopen = () => socket.send("0".repeat(8 << 20));
          socket.onclose = ({ code }) => resolve(code);
        }),
      world.gatewayUrl(gateway),
    );
    assert.equal(heard, 1009);
    await context.close();
    assert.equal((await exchange(world.gatewayUrl(gateway), {}, ["hello"])).code, 1000, "and the others play on");
  });
}
