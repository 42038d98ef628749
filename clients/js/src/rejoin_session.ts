// A session of rejoin.v1 on a network: the three calculators (session.ts: what a frame means; redial.ts: when and where to dial;
// liveness.ts: does the link live) between WebSockets, timers and the page's events.
//
// Read it from turn() and act() down. At most two links matter at a time: the live one, and one dial beside it.
import { environmentOf, world } from "./environment";
import { FrameType, LinkCode, PROTOCOL, resumeItem, toUtf8 } from "./frame";
import { Act, createLiveness } from "./liveness";
import { createRedial } from "./redial";
import { createSession, Heard, Kind, Link, Phase, Term } from "./session";
import { tabKeeper } from "./tab_keeper";
import type { Bytes, Figures, Hint, LinkDetail, SessionEventMap, SessionOptions, SessionState, SocketLike } from "./types";

const { min, max } = Math;
const DIAL_MS = 5_000;
const ACK_MS = 200;
/** What a closing session takes at the most: to say so without a link, and then for the answer. */
const SAY_CLOSE_MS = 10_000;
const CLOSE_REPLY_MS = 3_000;
/** A change of the network ends a dial that is older than this: it left by the path that is gone. */
const DIAL_HELD_MS = 500;

/** One dial, and what became of it. */
interface Dialled extends Link {
  number: number;
  url: string;
  began: number;
  socket?: SocketLike;
  /** The WebSocket is open. */
  open?: boolean;
}

/** @internal */
export const failure = (name: string, why: string) => new DOMException("rejoin: " + why, name);

/** @internal A message's bytes, whatever form it came in. Not a copy. */
export const bytesOf = (data: any): Uint8Array =>
  data?.byteLength >= 0 ? new Uint8Array(data.buffer ?? data, data.byteOffset, data.byteLength) : toUtf8(String(data));

/** The URL as it is dialled. */
function urlOf(given: string | URL): string {
  try {
    const url = new URL(given, world.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    if (/^wss?:[^#]*$/.test(url.href)) return url.href;
  } catch {}
  throw failure("SyntaxError", "no ws URL: " + given);
}

/** @internal Throws like the standard WebSocket's close(). */
export function checkClose(code: number, reason: string): void {
  if (code !== 1000 && !(code >= 3000 && code <= 4999)) throw failure("InvalidAccessError", "code: 1000, 3000-4999");
  if (toUtf8(reason).length > 123) throw failure("SyntaxError", "reason: 123 bytes");
}

/** @internal */
export function checkSize({ messageBytesMax }: { messageBytesMax: number }, bytes: number): void {
  if (bytes > messageBytesMax) throw new RangeError(`rejoin: a message above ${messageBytesMax} bytes`);
}

/** @internal Gives an object its members. They are closures: what is private to them is so in the script, too, and small. */
export const assume = (target: object, members: object) =>
  Object.defineProperties(target, Object.getOwnPropertyDescriptors(members));

/** A session of rejoin.v1 and everything that keeps it alive. Begins to dial after the present turn: add listeners first. */
export class RejoinSession extends EventTarget {
  /**
   * Throws a SyntaxError for an URL that is not ws, wss, http or https, or has a fragment (relative ones are to the page), and an
   * Error where the session is to be kept in sessionStorage and cannot be.
   */
  constructor(url: string | URL, options: SessionOptions = {}) {
    super();
    assume(this, drive(this, urlOf(url), options));
  }
}

export interface RejoinSession {
  readonly url: string;
  readonly state: SessionState;
  /** A copy, taken now. */
  readonly figures: Figures;
  /** Taken by send(), and not yet written to a link; with no live link: not yet acknowledged. */
  readonly bufferedAmount: number;
  /** The largest message that the gateway takes; Infinity before it was told. */
  readonly messageBytesMax: number;

  /**
   * Takes a copy. False: no room now (the window is full, or there is no session yet): not taken, and `writable` tells when it
   * would be. Throws a RangeError above messageBytesMax, an InvalidStateError after close() or the end.
   */
  send(data: Bytes): boolean;
  /** Ends the session behind all that was sent; `ended` follows, at the latest after 13 s. Code: 1000 or 3000 to 4999. */
  close(code?: number, reason?: string): void;
  /** Drops the link and ends no session: who has its keeper (a next RejoinSession, say) goes on with it. `ended` does not follow. */
  leave(): void;
  /** A hint of the application's own that the path may have changed. */
  networkChanged(): void;
  /** Sends a PING on the live link; `pong` tells of its round trip. */
  ping(): void;

  addEventListener<K extends keyof SessionEventMap>(
    type: K,
    listener: (this: RejoinSession, event: SessionEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof SessionEventMap>(
    type: K,
    listener: (this: RejoinSession, event: SessionEventMap[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** The members of `target`, and what they do. */
function drive(target: EventTarget, url: string, options: SessionOptions) {
  const environment = environmentOf(options);
  const { now, random } = environment;
  const { storage, giveUpMs } = options;
  let keeper = storage === "session" ? tabKeeper(options.storageKey ?? "rejoin " + url, environment) : storage;
  let saved: string | null | undefined;

  const session = createSession<Dialled>(() =>
    [options.identity, options.application].map((bytes) => bytesOf((typeof bytes === "function" ? bytes() : bytes) ?? "")) as any,
  );
  const liveness = createLiveness();
  const redial = createRedial(url, options.useAdvertisedAddresses, random, now());

  let state: SessionState = "connecting";
  let running = false;
  let over = false;
  /** Whose sockets are not closed yet. */
  const links = new Set<Dialled>();
  const counts = {
    dials: 0,
    failedDials: 0,
    logins: 0,
    resumes: 0,
    replayedIn: 0,
    roundTripMs: null as number | null,
    resumeMs: null as number | null,
  };
  /** The dial that was not answered yet. */
  let dial: Dialled | null = null;
  /** Dial, though the live link may serve: it is in doubt; the gateway asked to. */
  let beside = false;
  let moving = false;
  /** The live link at the end of the last turn, as the application was told. */
  let told: Dialled | null = null;
  /** Of the last thing that went wrong. */
  let code = 0;
  let reason = "";
  /** What close() was given. */
  let closing: [string, number];
  /** When the present search for a link began, and the dials until then. */
  let since = now();
  let dialsBefore = 0;
  let ackAt = Infinity;
  let closeAt = Infinity;
  let giveUpAt = Infinity;
  let armedAt = Infinity;
  let disarm = () => {};
  let unwatch = () => {};
  /** Our own calls on the stack: while there are, settle() waits. */
  let inside = 0;

  function emit<K extends keyof SessionEventMap>(type: K, detail: SessionEventMap[K] extends CustomEvent<infer D> ? D : never): void {
    target.dispatchEvent(new CustomEvent(type, { detail }));
  }
  /** `failed`: for the reason that was noted. */
  function tell(what: LinkDetail["what"], { number, url, epoch }: Dialled, failed?: boolean): void {
    emit("link", { what, number, url, epoch, code: failed ? code : 0, reason: failed ? reason : "" });
  }
  function note(why: string, how = 0): void {
    reason = why;
    code = how;
  }
  function updateState(): void {
    const previous = state;
    if (over) state = "ended";
    else if (session.phase === Phase.fresh) state = "connecting";
    else state = session.live ? "live" : dial ? "resuming" : "detached";
    if (state !== previous) emit("state", { state, previous, reason: state === "live" ? "" : reason });
  }

  // --- what time brings ---

  /** Everything that happens comes through here: what is due by now is done, too, since timers of a tab may sleep. */
  function turn(work?: () => void): void {
    ++inside;
    // What a function of the application's throws is its own, and is not caught here.
    try {
      work?.();
      if (running) watch(now());
    } finally {
      --inside;
      settle();
    }
  }

  function watch(time: number): void {
    if (ackAt <= time) session.ackNow();
    if (closeAt <= time) {
      note(...closing);
      return end(false);  // nobody answers: gone is gone
    }
    if (giveUpAt <= time) {
      note("no link: " + reason);
      return end(false);
    }
    if (dial && dial.began + DIAL_MS <= time) giveDialUp(dial, "no answer");
    const act = liveness.act(time);
    if (act === Act.ping) liveness.pinged(session.ping(), time);
    if (act === Act.dial) {
      beside = true;
      search();
      if (!dial) redial.pathChanged(time);
    }
    const { live } = session;
    if (act === Act.dead && live) {
      note("silent", LinkCode.silent);
      forget(live, code);
    }
    if (!dial && wantsDial() && redial.due <= time) startDial(time);
  }
  /** A timer that is set stays while it is early enough: it finds out by itself that there is nothing to do yet. */
  function arm(): void {
    let at = min(ackAt, closeAt, giveUpAt);
    if (session.live) at = min(at, liveness.due());
    if (dial) at = min(at, dial.began + DIAL_MS);
    else if (wantsDial()) at = min(at, redial.due);
    if (!running) at = Infinity;
    if (armedAt <= at && running) return;
    disarm();
    armedAt = at;
    if (!running) return;
    disarm = environment.setTimer(() => {
      armedAt = Infinity;
      turn();
    }, max(0, Math.ceil(at - now())));
  }

  // --- dialling ---

  const wantsDial = () => !session.live || beside || moving || session.owesResume();
  /** The time that a link is looked for, and the dials that it takes, are counted from here. */
  function search(): void {
    since = now();
    dialsBefore = counts.dials;
    if (!session.live && giveUpMs) giveUpAt = since + giveUpMs;
  }

  function startDial(began: number): void {
    const link: Dialled = (dial = { number: ++counts.dials, url: redial.dial(), began, epoch: 0 });
    const hello = session.phase === Phase.fresh;
    // An identity that cannot be had now is a failed dial, too.
    try {
      const frame = open(link);
      if (!frame) return;
      const item = !hello && redial.mayUseItem() && resumeItem(frame);
      if (item) redial.itemUsed();
      else if (!hello) environment.tellTicket(link.url, session.ticket);
      tell("dialing", link);
      if (dial !== link) return;  // the application had enough
      attend(link, environment.connect(link.url, item ? [PROTOCOL, item] : [PROTOCOL]), item ? null : frame);
    } catch (error) {
      note(String(error));
      forget(link);
      dialFailed(link);
    }
  }
  /** The frame that opens a link. What a RESUME counts is stored before it leaves. */
  function open(link: Dialled): Uint8Array | null {
    const frame = session.open(link);
    if (!frame) {
      note("identity too long", LinkCode.overLimit);
      end(false);
    } else if (session.phase === Phase.kept) {
      save();
    }
    return frame;
  }

  function attend(link: Dialled, socket: SocketLike, first: Uint8Array | null): void {
    links.add(link);
    link.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () =>
      turn(() => {
        link.open = socket.protocol === PROTOCOL;
        if (!link.open) {
          drop(link);
          linkOver(link, "no " + PROTOCOL);
        } else if (first) {
          socket.send(first);
        }
      });
    socket.onmessage = ({ data }) =>
      turn(() => {
        if (link === session.live) liveness.heard(now());
        // A text message is no frame.
        act(link, session.heard(link, typeof data === "string" ? new Uint8Array() : bytesOf(data)));
      });
    socket.onclose = ({ code, reason }) => turn(() => linkOver(link, reason || (link.open ? "broken" : "unreachable"), code));
    socket.onerror = () => {};  // onclose follows
  }

  /** A link is over, by itself or by the other end. */
  function linkOver(link: Dialled, why: string, how = 0): void {
    links.delete(link);
    const heard = session.lost(link, how);
    if (link === dial || !session.live) note(why, how);
    dialFailed(link);
    act(link, heard);
  }
  /** Ends it and hears it no more. */
  function drop(link: Dialled, code: number = LinkCode.normal): void {
    const { socket } = link;
    if (!links.delete(link) || !socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }
  /** ... nor does the session. */
  function forget(link: Dialled, code?: number): void {
    session.lost(link);
    drop(link, code);
  }
  function giveDialUp(link: Dialled, why: string): void {
    note(why);
    forget(link);
    dialFailed(link);
  }
  /** If it was the dial: for the reason that was noted. */
  function dialFailed(link: Dialled): void {
    if (tellFailed(link)) redial.failed(!link.open, now());
  }
  function tellFailed(link: Dialled): boolean {
    if (link !== dial) return false;
    dial = null;
    ++counts.failedDials;
    tell("failed", link, true);
    return true;
  }

  // --- what links say ---

  function act(link: Dialled, heard: Heard): void {
    const { meaning, data, number } = heard;
    if (meaning >= Kind.move) note(heard.reason, heard.code);
    switch (meaning) {
      case Kind.message:
        target.dispatchEvent(new MessageEvent("message", { data }));
        session.accepted(number!);
        break;
      case Kind.pong: {
        const ms = liveness.pong(number!, now());
        if (ms === undefined) break;
        beside = false;
        emit("pong", { ms: (counts.roundTripMs = ms) });
        break;
      }
      case Kind.opened:
      case Kind.resumed:
        onOpened(link, heard);
        break;
      case Kind.renewed:
        save();
        break;
      case Kind.move:
        moving = true;
        search();
        redial.move(heard.wait!, heard.address!, now());
        break;
      case Kind.sentAway:
        onSentAway(link, heard);
        break;
      case Kind.lost:
        onLost(link, heard);
        break;
      case Kind.ended:
        end(!!heard.whole);
        break;
      case Kind.badFrame:
        drop(link, code);
        dialFailed(link);
    }
    if (running && session.madeRoom()) target.dispatchEvent(new Event("writable"));
  }

  /** WELCOME or RESUMED came: the link is live. */
  function onOpened(link: Dialled, { meaning, whole = true, toCome = 0, sentAgain = 0 }: Heard): void {
    const [ping, dead] = session.terms;
    const { epoch } = session;
    const time = now();
    const tookMs = time - since;
    const isNew = meaning === Kind.opened;
    const detail = { url: link.url, epoch, dials: counts.dials - dialsBefore, tookMs, whole, toCome, sentAgain };
    if (dial === link) dial = null;
    beside = moving = false;
    giveUpAt = Infinity;
    if (session.phase === Phase.closing) closeAt = time + CLOSE_REPLY_MS;
    redial.opened();
    liveness.opened(time, ping, dead);
    if (told) tell("closed", told);
    told = link;
    tell("opened", link);
    counts.replayedIn += toCome;
    if (isNew) {
      ++counts.logins;
      redial.told(session.terms);
      save();
    } else {
      ++counts.resumes;
      counts.resumeMs = tookMs;
    }
    updateState();
    emit(isNew ? "opened" : "resumed", detail);
  }

  function onSentAway(link: Dialled, { wait = 0, address = "", reopen }: Heard): void {
    if (reopen && (!dial || dial === link)) {
      // The link takes one more opening frame: that saves a dial.
      const frame = open((dial = link));
      link.began = now();
      if (frame) link.socket!.send(frame);
      return;
    }
    tellFailed(link);
    forget(link);
    redial.sentAway(wait, address, now());
  }
  function onLost(link: Dialled, heard: Heard): void {
    // A session that was only loaded is as if it had never been: the application has not seen it.
    if (options.loginAgain === false && counts.logins + counts.resumes) return end(false);
    keeper?.clear();
    beside = moving = false;
    liveness.closed();
    noteClosed();
    updateState();
    emit("lost", { code, reason, wasClean: false });
    if (!running) return;  // it had enough
    search();
    // What was under way for the old session opens nothing.
    if (dial !== link) dial = null;
    onSentAway(link, heard);
  }

  // --- the end of a turn ---

  function settle(): void {
    if (inside) return;
    ++inside;
    noteLoss();
    for (const link of links) {
      for (let frame; link.open && (frame = session.nextFrame(link)); link.socket!.send(frame)) {
        if (frame[0] === FrameType.data || frame[0] === FrameType.close) liveness.sent(now());
      }
      if (!session.links.has(link)) drop(link);
    }
    if (!session.ackOwed()) ackAt = Infinity;
    else if (ackAt === Infinity) ackAt = now() + ACK_MS;
    if (running && !dial && wantsDial() && redial.due === Infinity) redial.dialOn(now());
    updateState();
    --inside;
    arm();
  }
  function noteLoss(): void {
    if (!told || session.live) return;
    noteClosed();
    liveness.closed();
    if (!beside && !moving) search();
    beside = moving = false;
    if (session.phase !== Phase.closing) return;
    closeAt = now() + SAY_CLOSE_MS;
    if (!dial) redial.pathChanged(now());
  }
  function noteClosed(): void {
    const link = told;
    told = null;
    if (link) tell("closed", link, true);
  }
  function save(): void {
    if (!keeper || session.phase !== Phase.kept) return;
    saved = session.snapshot();
    try {
      keeper.save(saved);
    } catch {
      return;  // full, say. An older entry has an epoch that was used, and a gateway tells (4412)
    }
    emit("saved", { epoch: session.epoch });
  }

  // --- beginning and end ---

  function adopt(text: string | null | undefined): void {
    if (!text || text === saved || !session.restore(text)) return;
    saved = text;
    dial = null;
    redial.told(session.terms);
  }
  /** A keeper that fails keeps nothing: the session lives as long as the page. */
  async function load(): Promise<string | null | undefined> {
    try {
      return await keeper?.load();
    } catch {
      return;
    }
  }
  async function start(): Promise<void> {
    const text = await load();
    if (over) return;
    turn(() => {
      adopt(text);
      running = true;
      unwatch = environment.watch(onHint);
      search();
    });
  }
  async function onHint(what: Hint): Promise<void> {
    if (what === "freezing") {
      session.ackNow();
      return settle();
    }
    if (what === "returned") {
      // Another page of this tab may have gone on with the session, and left our counts behind.
      const text = await load();
      if (running) turn(() => adopt(text));
    }
    self.networkChanged();
  }
  function stop(): void {
    over = true;
    running = false;
    if (session.phase !== Phase.ended) session.abandon();
    liveness.closed();
    dial = null;
    unwatch();
    noteClosed();
    updateState();
  }
  /** For the reason that was noted. */
  function end(wasClean: boolean): void {
    if (over) return;
    if (code) keeper?.clear();  // else given up for want of a link: the next page may have more luck
    keeper?.release?.();
    const detail = { code, reason, wasClean };
    stop();
    emit("ended", detail);
  }

  const self = {
    url,
    get state() {
      return state;
    },
    get figures(): Figures {
      const links = counts.logins + counts.resumes;
      return { ...counts, ...session.counts, links, unacknowledged: session.unacknowledged() };
    },
    get bufferedAmount() {
      return session.live ? session.live.socket!.bufferedAmount : session.heldBytes();
    },
    get messageBytesMax() {
      return session.phase === Phase.kept ? session.terms[Term.windowBytes] : Infinity;
    },
    send(data: Bytes): boolean {
      const bytes = bytesOf(data);
      if (over || session.phase > Phase.kept) throw failure("InvalidStateError", "send() after the end");
      checkSize(self, bytes.length);
      const taken = session.send(typeof data === "string", bytes);
      settle();
      return taken;
    },
    close(how = 1000, why = ""): void {
      checkClose(how, why);
      if (over || session.phase === Phase.closing) return;
      turn(() => {
        closing = [why, how];
        session.close(how, why);
        if (session.phase === Phase.ended) {
          note(why, how);
          return end(true);
        }
        // From here on it is to end, and another one may take its place.
        keeper?.clear();
        keeper?.release?.();
        keeper = undefined;
        closeAt = now() + (session.live ? CLOSE_REPLY_MS : SAY_CLOSE_MS);
        if (!session.live && !dial) redial.pathChanged(now());
      });
    },
    leave(): void {
      if (over) return;
      keeper?.release?.();
      turn(stop);
    },
    networkChanged(): void {
      if (!running) return;
      turn(() => {
        const time = now();
        if (session.live) liveness.doubt(time);
        // A dial left by the path that was. But who calls us all the time shall not keep every dial from ending.
        if (dial && dial.began + DIAL_HELD_MS <= time) giveDialUp(dial, "path changed");
        if (!dial && wantsDial()) redial.pathChanged(time);
      });
    },
    ping(): void {
      if (session.live) liveness.pinged(session.ping(), now());
      settle();
    },
  };
  queueMicrotask(start);
  return self;
}
