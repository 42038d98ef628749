// What the tests of clients/js stand on: a gateway before a game server whose messages are numbered, and between it and the
// client a relay that cuts links wherever it is told to. All ports are the kernel's choice.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocketServer } from "ws";
import { Program } from "./world.mjs";

/** Numbers by chance, the same ones each time. */
export function chance(seed) {
  let state = seed;
  return (below) => ((state = (state * 1103515245 + 12345) % 0x80000000) >> 8) % below;
}

/** Passes bytes on, and cuts: all links now, or the next one after so many bytes of either way. */
export class Relay {
  links = 0;
  #pairs = new Set();
  #budget = Infinity;
  #silent = false;

  static async start(port, host = "127.0.0.1", listen = "127.0.0.1") {
    const relay = new Relay();
    relay.target = { port, host };
    relay.server = createServer((client) => relay.#accept(client)).listen(0, listen);
    await once(relay.server, "listening");
    relay.port = relay.server.address().port;
    return relay;
  }
  #accept(client) {
    ++this.links;
    const server = connect(this.target);
    const pair = [client, server];
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const [from, to] of [pair, [server, client]]) {
      from.setNoDelay(true);
      from.on("data", (bytes) => {
        if (this.#silent) return;
        const passed = bytes.subarray(0, this.#budget);
        this.#budget -= bytes.length;
        to.write(passed);
        if (this.#budget > 0) return;
        this.#budget = Infinity;
        // What was passed shall arrive: a reset might overtake it, and the test is about where the stream is cut.
        for (const socket of pair) socket.end();
        end();
      });
      from.on("error", end).on("close", end);
    }
  }
  cut() {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }
  cutAfter(bytes) {
    this.#budget = bytes;
  }
  /** Links stay, and nothing passes any more; new ones neither. */
  silence(silent) {
    this.#silent = silent;
  }
  async stop() {
    this.server.close();
    this.cut();
    await once(this.server, "close");
  }
}

/** A game server by WebSocket. Expects "c0", "c1", ... of each player, and answers each with two of its own: "s0", "s1", ... */
export class Game {
  players = [];

  static async start() {
    const game = new Game();
    game.server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
    await once(game.server, "listening");
    game.port = game.server.address().port;
    game.server.on("connection", (socket) => {
      const player = { got: [], said: 0, socket, gone: false };
      game.players.push(player);
      socket.on("message", (data, binary) => {
        player.got.push(binary ? [...data] : data.toString());
        for (let i = 0; i < 2; ++i) socket.send("s" + player.said++);
      });
      socket.on("close", () => (player.gone = true)).on("error", () => {});
    });
    return game;
  }
  async stop() {
    for (const socket of this.server.clients) socket.terminate();
    this.server.close();
    await once(this.server, "close");
  }
}

export const numbered = (letter, count) => Array.from({ length: count }, (_, i) => letter + i);

/** A gateway, its game and a relay before it. */
export class CutWorld {
  static async start({ keys = "", session = 'spread = "0s"', pages = "" } = {}) {
    const world = new CutWorld();
    world.folder = await mkdtemp(join(tmpdir(), "rejoin-client-"));
    world.game = await Game.start();
    world.text = (listen) => `
[gateway]
name = "g1"
listener = [ { listen = "${listen}", kind = "websocket" } ]
upstream = { kind = "ws", address = "127.0.0.1:${world.game.port}" }
session = { ${session} }
${pages ? `pages = "${pages}"` : ""}
${keys}
`;
    try {
      await world.startGateway("127.0.0.1:0");
      world.relay = await Relay.start(world.port);
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }
  async startGateway(listen) {
    const path = join(this.folder, "gateway.toml");
    await writeFile(path, this.text(listen));
    this.gateway = await Program.start(["gateway", "-c", path]);
    this.port = this.gateway.ports[0];
  }
  /** The death that it tells nobody of, and a new one on the same port that knows no session. */
  async restartGateway() {
    await this.gateway.kill();
    await this.startGateway(`127.0.0.1:${this.port}`);
  }
  get url() {
    return `ws://127.0.0.1:${this.relay.port}/`;
  }
  async stop() {
    await this.relay?.stop();
    try {
      await this.gateway?.stop();
    } finally {
      await this.game.stop();
      await rm(this.folder, { recursive: true });
    }
  }
}

/** An event of the session, or of anything else that has addEventListener. */
export function heard(target, type, fits = () => true, ms = 20_000) {
  return new Promise((resolve, reject) => {
    AbortSignal.timeout(ms).addEventListener("abort", () => reject(new Error(`no "${type}" within ${ms} ms`)));
    const listener = (event) => {
      if (!fits(event)) return;
      target.removeEventListener(type, listener);
      resolve(event);
    };
    target.addEventListener(type, listener);
  });
}
/** Asked again until it is true. */
export async function until(condition, what, ms = 20_000) {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
