// What a browser test stands on: gateways and a balancer as real processes on ports of the kernel's choice, a page on the
// same site, and Debian's Chromium. Everything started here is ended by World.stop(), and ended well: SIGTERM gives 0.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const REJOIN = process.env.REJOIN;
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
export const CHROMIUM_FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const START_MS = 20_000;
const STOP_MS = 20_000;

/** One `rejoin` process: its ports, read from its own words, and its log for the day that a test fails. */
export class Program {
  constructor(args) {
    this.log = [];
    this.ports = [];
    this.process = spawn(REJOIN, args, { stdio: ["ignore", "inherit", "pipe"] });
    this.ended = once(this.process, "exit");
    this.opened = new Promise((resolve, reject) => {
      const fail = (why) => reject(new Error(`rejoin ${args.join(" ")} ${why}:\n${this.log.join("\n")}`));
      createInterface({ input: this.process.stderr }).on("line", (line) => {
        this.log.push(line);
        const open = /listening on \S+:(\d+)/.exec(line);
        if (open) this.ports.push(Number(open[1]));
        if (/\bready\b/.test(line)) resolve();
      });
      this.ended.then(([status]) => fail(`ended with ${status}`), (error) => fail(`did not start (${error.message})`));
      AbortSignal.timeout(START_MS).addEventListener("abort", () => fail("is not ready"));
    });
  }

  static async start(args) {
    const program = new Program(args);
    try {
      await program.opened;
    } catch (error) {
      program.process.kill("SIGKILL");
      throw error;
    }
    return program;
  }

  /** SIGTERM, and the promise that goes with it: status 0, soon. */
  async stop() {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill("SIGTERM");
    AbortSignal.timeout(STOP_MS).addEventListener("abort", () => this.process.kill("SIGKILL"));
    const [status, signal] = await this.ended;
    assert.deepEqual({ status, signal }, { status: 0, signal: null }, this.log.join("\n"));
  }

  /** The death that the balancer is not told of. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }
}

export class World {
  /** `keys` by gateway: lines more for its configuration. `tls`: the balancer speaks https and wss. */
  static async start(keys = {}, { tls = false } = {}) {
    assert.ok(REJOIN, "the environment names the program: REJOIN=build/dev/apps/rejoin");
    const world = new World();
    world.folder = await mkdtemp(join(tmpdir(), "rejoin-browser-"));
    world.gateways = new Map();
    world.keys = keys;
    world.tls = tls;
    const flags = [...CHROMIUM_FLAGS];
    try {
      if (tls) flags.push(`--ignore-certificate-errors-spki-list=${await world.makeCertificate()}`);
      for (const [name, address] of [["g1", "127.0.0.1"], ["g2", "127.0.0.2"]]) await world.startGateway(name, `${address}:0`);
      world.balancer = await Program.start(["balancer", "-c", await world.write("balancer.toml", world.balancerText())]);
      world.page = createServer((request, response) => {
        response.setHeader("content-type", "text/html");
        response.end("<!doctype html><title>player</title>");
      });
      world.page.listen(0, "127.0.0.1");
      await once(world.page, "listening");
      world.browser = await chromium.launch({
        executablePath: CHROMIUM,
        headless: true,
        chromiumSandbox: false,
        args: flags,
        timeout: START_MS,
      });
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  async stop() {
    await this.browser?.close();
    this.page?.closeAllConnections();
    this.page?.close();
    try {
      for (const program of [this.balancer, ...this.gateways.values()]) await program?.stop();
    } finally {
      await rm(this.folder, { recursive: true });
    }
  }

  async startGateway(name, listen) {
    const text = `[gateway]\nname = "${name}"\nlistener = [ { listen = "${listen}", kind = "websocket" } ]\n${this.keys[name] ?? ""}`;
    this.gateways.set(name, await Program.start(["gateway", "-c", await this.write(`${name}.toml`, text)]));
  }

  /** A new certificate over the one that is there, for the same key; what Chromium is told to trust. */
  async makeCertificate() {
    const [key, certificate] = ["play.key", "play.pem"].map((name) => join(this.folder, name));
    this.certificates = (this.certificates ?? 0) + 1;
    const openssl = (...args) => execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
    if (this.certificates === 1) openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key);
    openssl("req", "-x509", "-key", key, "-out", certificate, "-days", "30", "-subj", "/CN=play.example", "-set_serial",
      String(this.certificates), "-addext", "subjectAltName=IP:127.0.0.1");
    const spki = new X509Certificate(await readFile(certificate)).publicKey.export({ type: "spki", format: "der" });
    return createHash("sha256").update(spki).digest("base64");
  }

  balancerText() {
    const port = (name) => this.gateways.get(name).ports[0];
    return `
[[listener]]
name = "play"
listen = "127.0.0.1:0"
mode = "http"
pool = "gateways"
${this.tls ? 'tls = { certificate = "play.pem", key = "play.key" }' : ""}

[[pool]]
name = "gateways"
scheduler = "round-robin"
affinity = [ { kind = "cookie-insert", secure = ${this.tls} } ]
server = [ { name = "g1", address = "127.0.0.1:${port("g1")}" }, { name = "g2", address = "127.0.0.2:${port("g2")}" } ]
`;
  }

  async write(name, text) {
    const path = join(this.folder, name);
    await writeFile(path, text);
    return path;
  }

  /** The page's address, and the balancer's as `scheme://host:port/path`: another port of the same site. */
  pageUrl(host = "127.0.0.1") {
    return `http://${host}:${this.page.address().port}/`;
  }
  balancerUrl(scheme, path = "/play", host = "127.0.0.1") {
    return `${scheme}://${host}:${this.balancer.ports[0]}${path}`;
  }

  /** A gateway itself, past the balancer. */
  gatewayUrl(name, path = "/play") {
    return `ws://127.0.0.${name.slice(1)}:${this.gateways.get(name).ports[0]}${path}`;
  }

  /** A person who was never here: a context without cookies, with the page open. */
  async newPlayer(host = "127.0.0.1") {
    const context = await this.browser.newContext();
    const tab = await context.newPage();
    await tab.goto(this.pageUrl(host));
    return { context, tab };
  }
}

/** Opens a WebSocket in the page, waits for the greeting, sends each message and takes its echo, closes with 1000. */
export async function visit(tab, url, messages = []) {
  const received = await tab.evaluate(
    ([url, messages]) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(url);
        const received = [];
        socket.binaryType = "arraybuffer";
        socket.onmessage = ({ data }) => {
          received.push(typeof data === "string" ? data : Array.from(new Uint8Array(data)));
          if (received.length > messages.length) return socket.close(1000);
          const next = messages[received.length - 1];
          socket.send(typeof next === "string" ? next : new Uint8Array(next));
        };
        socket.onclose = ({ code, wasClean }) => {
          if (received.length > messages.length && wasClean && code === 1000) resolve(received);
          else reject(new Error(`closed with ${code} after ${received.length} messages, clean: ${wasClean}`));
        };
      }),
    [url, messages],
  );
  const [greeting, ...echoes] = received;
  return { server: JSON.parse(greeting).server, echoes };
}
