// A world without a network: time that stands until it is told to go, sockets that do what a test says, page events by hand.
// Through it the whole RejoinSession runs; `Gateway` speaks the other end.
import assert from "node:assert/strict";
import { decode, encode, rejoin } from "./support.mjs";

export const SECRET = "40".repeat(32);
export const TERMS = { grace: 60_000, ping: 15_000, dead: 40_000, window_bytes: 4096, window_messages: 64, spread: 1000 };

export class FakeSocket {
  binaryType = "blob";
  readyState = 0;
  bufferedAmount = 0;
  protocol = "";
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  /** Frames that the client sent and nobody has looked at. */
  sent = [];
  closedWith = null;

  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
  }
  send(data) {
    assert.equal(this.readyState, 1, "send() on a socket that is not open");
    this.sent.push(new Uint8Array(data));
  }
  close(code) {
    this.closedWith ??= code;
    this.readyState = 2;
  }

  // --- what the network does ---
  open(protocol = "rejoin.v1") {
    this.protocol = protocol;
    this.readyState = 1;
    this.onopen?.({});
  }
  /** A frame of the gateway. */
  say(frame) {
    const bytes = encode(frame);
    this.onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) });
  }
  break(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason, wasClean: false });
  }

  // --- what the client said ---
  take() {
    return this.sent.splice(0).map((bytes) => decode(bytes));
  }
  /** "DATA 3 ack 2", "ACK 2", ... */
  words() {
    return this.take().map(({ type, seq, ack }) => (type === "DATA" ? `DATA ${seq} ack ${ack}` : `${type} ${ack}`));
  }
  /** The RESUME in the list of sub-protocols. */
  get resume() {
    const item = this.protocols[1];
    return item ? decode(new Uint8Array(Buffer.from(item.slice("rejoin.v1.resume.".length), "base64url"))) : null;
  }
}

export class World {
  time = 0;
  sockets = [];
  hints = new Set();
  tickets = [];
  chance = 0;
  #timers = new Set();

  environment = {
    connect: (url, protocols) => {
      const socket = new FakeSocket(url, protocols);
      this.sockets.push(socket);
      return socket;
    },
    now: () => this.time,
    setTimer: (callback, ms) => {
      const timer = { at: this.time + ms, callback };
      this.#timers.add(timer);
      return () => this.#timers.delete(timer);
    },
    random: () => this.chance,
    watch: (hint) => {
      this.hints.add(hint);
      return () => this.hints.delete(hint);
    },
    tellTicket: (url, ticket) => this.tickets.push([url, ticket]),
  };

  get timers() {
    return this.#timers.size;
  }
  get socket() {
    return this.sockets.at(-1);
  }
  hint(what = "changed") {
    for (const hint of [...this.hints]) hint(what);
  }
  /** Each timer at its own moment. */
  pass(ms) {
    const end = this.time + ms;
    for (let turns = 0; ; ++turns) {
      assert.ok(turns < 10_000, "timers without end");
      const next = [...this.#timers].sort((a, b) => a.at - b.at)[0];
      if (!next || next.at > end) break;
      this.#timers.delete(next);
      this.time = Math.max(this.time, next.at);
      next.callback();
    }
    this.time = end;
  }
  /** As in a tab whose timers sleep: all that are due fire at the end, late. */
  passAsleep(ms) {
    this.time += ms;
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) {
      if (timer.at <= this.time && this.#timers.delete(timer)) timer.callback();
    }
  }
}

/** Microtasks: the start of a session, what keepers promise. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A session with a log of its events: "state live", "link opened 1", "message hello", ... */
export async function start(world, options = {}, url = "ws://play.example/game") {
  const session = new rejoin.RejoinSession(url, { environment: world.environment, ...options });
  session.log = [];
  const note = (words) => session.log.push(words);
  session.addEventListener("state", ({ detail }) => note(`state ${detail.state}`));
  session.addEventListener("link", ({ detail }) => note(`link ${detail.what} ${detail.number}`));
  session.addEventListener("opened", ({ detail }) => note(`opened by ${detail.dials}`));
  session.addEventListener("resumed", ({ detail }) => note(`resumed ${detail.whole ? "whole" : "not whole"} ${detail.toCome} ${detail.sentAgain}`));
  session.addEventListener("message", ({ data }) => note(`message ${typeof data === "string" ? data : [...data]}`));
  session.addEventListener("writable", () => note("writable"));
  session.addEventListener("lost", ({ detail }) => note(`lost ${detail.code}`));
  session.addEventListener("ended", ({ detail }) => note(`ended ${detail.code} ${detail.wasClean ? "clean" : "not clean"}`));
  session.events = () => session.log.splice(0);
  await turn();
  return session;
}

export const welcome = (more = {}) => ({ type: "WELCOME", ack: 0, version: 1, secret: SECRET, ticket: "ticket-1", ...TERMS, addresses: [], ...more });
export const resumed = (received, next, last, ack) => ({ type: "RESUMED", ack, received, next, last });
export const data = (seq, ack, text) => ({ type: "DATA", seq, ack, text });
export const detach = (code, action, more = {}) => ({ type: "DETACH", code, action, ...more });

/** A session that is live on the world's first socket, with all that was said so far forgotten. */
export async function live(world, options = {}, terms = {}) {
  const session = await start(world, options);
  world.pass(0);
  world.socket.open();
  assert.deepEqual(world.socket.take().map(({ type }) => type), ["HELLO"]);
  world.socket.say(welcome(terms));
  assert.deepEqual(world.socket.words(), ["ACK 0"]);
  assert.equal(session.state, "live");
  session.events();
  return session;
}
