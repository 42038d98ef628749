// All conversations of spec/vectors whose tested end is a client, played to the calculators (session.ts with liveness.ts). What
// is compared and what is free says spec/README.md.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, hex, messageOf, rejoin, unhex, vectors } from "./support.mjs";

const { conversations } = vectors("conversations.json");
// The order of Kind in session.ts.
const KINDS = ["nothing", "message", "pong", "opened", "resumed", "renewed", "move", "sent_away", "lost", "ended", "bad_frame"];
const ACTS = ["nothing", "ping", "dial", "dead"];
const DIAL_MS = 5000;
const ACK_MS = 200;

class Client {
  constructor(given) {
    this.session = rejoin.createSession(() => [unhex(given.identity), unhex(given.application)]);
    this.liveness = rejoin.createLiveness();
    this.now = 3_600_000;
    this.ackAt = Infinity;
    this.links = new Map();
    this.waiting = [];
    this.dialled = null;
    this.code = 1000;
    const kept = given.session;
    if (!kept) return;
    const terms = [kept.ping, kept.dead, kept.window_bytes, kept.window_messages, kept.spread, []];
    const key = Buffer.from(kept.secret, "hex").toString("base64");
    assert.ok(this.session.restore(JSON.stringify([1, kept.ticket, key, kept.epoch, ...terms])));
  }

  step(step, frame) {
    this.deeds = [];
    const known = this.links.get(step.link);
    switch (step.do) {
      case "dial":
        this.pass(step.after);
        this.links.set(step.link, { name: step.link });
        this.open(this.links.get(step.link));
        break;
      case "receive":
        if (known && known === this.session.live) this.liveness.heard(this.now);
        if (known) this.act(known, this.session.heard(known, frame));
        break;
      case "broke":
        this.links.delete(step.link);
        if (known) this.act(known, this.session.lost(known));
        break;
      case "pass":
        this.pass(step.ms);
        break;
      case "send":
        this.waiting.push(messageOf(step.message));
        this.send();
        break;
      case "hint":
        this.liveness.doubt(this.now);
        this.watch();
        break;
      case "close":
        this.session.close(step.code, step.reason);
        break;
      default:
        assert.fail(`no word for ${step.do}`);
    }
    this.settle();
    return this.deeds;
  }

  open(link) {
    this.dialled = link;
    link.began = this.now;
    this.deeds.push({ link: link.name, bytes: this.session.open(link) });
  }
  tell(what, more = {}) {
    this.deeds.push({ told: what, ...more });
  }
  act(link, heard) {
    const kind = KINDS[heard.meaning];
    const { code, wait = 0, address = "" } = heard;
    if (kind === "message") {
      const { data, number } = heard;
      this.tell("message", typeof data === "string" ? { text: data } : { hex: hex(data) });
      this.session.accepted(number);
    } else if (kind === "pong") {
      this.liveness.pong(heard.number, this.now);
    } else if (kind === "opened" || kind === "resumed") {
      this.tell(kind, kind === "resumed" ? { whole: heard.whole, to_come: heard.toCome } : {});
      this.liveness.opened(this.now, this.session.terms[0], this.session.terms[1]);
    } else if (kind === "move" || kind === "sent_away") {
      this.tell(kind, { code, wait, address });
    } else if (kind === "lost" || kind === "ended") {
      this.tell(kind, { code });
      if (kind === "lost") this.waiting = [];
    } else if (kind === "bad_frame") {
      this.tell(kind);
      this.code = code;
    } else if (kind === "renewed") {
      this.tell(kind);
    }
    if (heard.reopen) this.open(link);
    if (this.session.madeRoom()) this.send();
  }
  send() {
    for (let first; (first = this.waiting[0]); this.waiting.shift()) if (!this.session.send(first.text, first.bytes)) return;
  }

  /** Time goes from timer to timer. */
  pass(ms) {
    const end = this.now + ms;
    for (;;) {
      this.settle();
      const next = Math.min(this.ackAt, this.liveness.due(), this.dialEnds());
      if (next > end) break;
      this.now = Math.max(this.now, next);
      if (this.ackAt <= this.now) this.session.ackNow();
      if (this.dialEnds() <= this.now) this.session.lost(this.dialled);
      this.watch();
    }
    this.now = end;
  }
  dialEnds() {
    const unanswered = this.dialled && this.dialled !== this.session.live && this.session.links.has(this.dialled);
    return unanswered ? this.dialled.began + DIAL_MS : Infinity;
  }
  watch() {
    const act = ACTS[this.liveness.act(this.now)];
    if (act === "ping") this.liveness.pinged(this.session.ping(), this.now);
    if (act === "dead") {
      this.code = 4408;
      this.session.lost(this.session.live);
    }
  }
  settle() {
    for (const [name, link] of [...this.links]) {
      for (let frame; (frame = this.session.nextFrame(link)); ) {
        if (frame[0] === 0x10) this.liveness.sent(this.now);
        this.deeds.push({ link: name, bytes: frame });
      }
      if (this.session.links.has(link)) continue;
      this.deeds.push({ close: name, code: this.code });
      this.links.delete(name);
    }
    this.code = 1000;
    if (!this.session.live) this.liveness.closed();
    if (!this.session.ackOwed()) this.ackAt = Infinity;
    else if (this.ackAt === Infinity) this.ackAt = this.now + ACK_MS;
  }
}

const plain = (message) => (message.text !== undefined ? { text: message.text } : { hex: hex(messageOf(message).bytes) });
const isMessage = (fields) => fields.type === "DATA" || fields.told === "message";

function same(expected, found) {
  if (expected === "any") return true;
  if (typeof expected !== "object" || expected === null) return expected === found;
  if (typeof found !== "object" || found === null) return false;
  const wanted = { ...expected };
  if (isMessage(wanted)) {
    const message = plain(wanted);
    for (const form of ["text", "hex", "zeros"]) delete wanted[form];
    Object.assign(wanted, message);
  }
  return Object.entries(wanted).every(([key, value]) => same(value, found[key]));
}

/** Order counts among the frames of one link, among what is told, among closes. */
function grouped(entries) {
  const groups = {};
  for (const entry of entries) {
    const group = entry.frame ? `frames of ${entry.link}` : entry.told ? "told" : "closes";
    (groups[group] ??= []).push(entry);
  }
  return groups;
}

function play({ given, steps }) {
  const client = new Client(given);
  const parting = new Set();
  let lastPing = "0";
  for (const [i, step] of steps.entries()) {
    const { expect, ...shown } = step;
    const where = `step ${i + 1} ${JSON.stringify(shown)}`;
    const frame = step.frame && { ...step.frame, ...(step.frame.number === "last" ? { number: lastPing } : {}) };
    const found = client.step(step, frame && encode(frame)).map(({ bytes, ...deed }) => (bytes ? { ...deed, frame: decode(bytes) } : deed));
    for (const deed of found) {
      if (deed.frame?.type === "PING") lastPing = deed.frame.number;
      if (deed.frame?.type === "CLOSE") parting.add(deed.link);
    }
    const mustClose = new Set(expect.filter((entry) => "close" in entry).map((entry) => entry.close));
    const wanted = grouped(expect);
    const had = grouped(found.filter((deed) => !("close" in deed) || !parting.has(deed.close) || mustClose.has(deed.close)));
    for (const group of new Set([...Object.keys(wanted), ...Object.keys(had)])) {
      const [a, b] = [wanted[group] ?? [], had[group] ?? []];
      const fits = a.length === b.length && a.every((entry, at) => same(entry, b[at]));
      assert.ok(fits, `${where}\nexpected ${JSON.stringify(a)}\nfound ${JSON.stringify(b)}`);
    }
  }
}

let played = 0;
for (const conversation of conversations.filter(({ role }) => role === "client")) {
  ++played;
  test(`${conversation.name}: ${conversation.about}`, () => play(conversation));
}
test("there are many", () => assert.ok(played > 50, `${played}`));
