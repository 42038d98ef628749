// The client's end of a session: what a program that plays must know to keep its session over any number of links.
//
// A calculator: no socket, no clock. In: frames that came on a link, links that broke, messages to send. Out: the frame that
// opens a link, what a frame meant, the next frame to write. When and where to dial is redial.ts, whether a link still lives is
// liveness.ts; rejoin_session.ts puts the three on a network. The rules are spec/resume.md.
//
// Several links at once: one is live, others are dials beside it. Links are records of whoever dials, who asks after each call
// whether `links` still has them: one that is not there any more is closed, unread.
//
// Nothing is pushed out: whoever owns a socket pulls nextFrame(). So what waits is in the window and nowhere else.
import {
  Action, CLOSE, DETACH, FLAG_TEXT, FrameType, fromChars, fromUtf8, HEAD, HEAD_BYTES, LinkCode, readFields, RESUMED, SECRET_BYTES,
  TICKET, toChars, WELCOME, writeClose, writeFrame, writeHello, writePing, writeResume,
} from "./frame";

const { min, max } = Math;
const BAD_FRAMES_MAX = 3;
const TICKET_BYTES_MAX = 968;
const TURN = 2 ** 32;

export const enum Phase {
  /** No session: the next link opens with HELLO. */
  fresh,
  /** A session, with a live link or not. */
  kept,
  /** close() was called: CLOSE is to be said, or its answer to be heard. */
  closing,
  ended,
}

export const enum Kind {
  /** Taken care of. */
  nothing,
  /** Hand `data` to the application, then call accepted(). */
  message,
  /** Of the PING `number`. */
  pong,
  /** WELCOME: a new session, on this link. To be stored. */
  opened,
  /** RESUMED: the session goes on, on this link. */
  resumed,
  /** A new ticket. To be stored. */
  renewed,
  /** Dial beside this link, which serves on: within `wait`, at `address` if there is one. */
  move,
  /** This link is over: RESUME (or HELLO, if there is no session yet) after `wait`, at `address`. */
  sentAway,
  /** The session is gone. A new one begins with a HELLO. */
  lost,
  /** For good. Nothing is dialled any more. */
  ended,
  /** The gateway broke the protocol: close this link with `code`, and dial anew. */
  badFrame,
}

/** What a frame, or the end of a link, meant. */
export interface Heard {
  meaning: Kind;
  code: number;
  reason: string;
  data?: string | Uint8Array;
  number?: number;
  wait?: number;
  address?: string;
  /** sentAway, lost: this link takes one more opening frame: call open() on it. */
  reopen?: boolean;
  /** resumed: nothing was missed. ended: both ends said so. */
  whole?: boolean;
  /** resumed: messages that the gateway sends (again), and that we do. */
  toCome?: number;
  sentAgain?: number;
}

/** What WELCOME tells of how the session is kept. Milliseconds, bytes, messages; addresses as told, not checked. */
export type Terms = [ping: number, dead: number, windowBytes: number, windowMessages: number, spread: number, addresses: string[]];
export const enum Term {
  ping,
  dead,
  windowBytes,
  windowMessages,
  spread,
  addresses,
}

/** What the session notes in whoever's records. */
export interface Link {
  /** Of its opening frame; HELLO's is 1. */
  epoch: number;
  reopened?: boolean;
}

/** The count nearest to `near` whose low 32 bits are `wire`. Never below zero. */
export function unwrap(wire: number, near: number): number {
  const count = near + ((wire - (near % TURN)) | 0);
  return count < 0 ? count + TURN : count;
}

/** `hello` gives identity and application, at each login. */
export function createSession<L extends Link>(hello: () => [Uint8Array, Uint8Array]) {
  let secret: Uint8Array;
  /** Of the last link that was answered. */
  let liveEpoch = 0;
  /** A link that has to say a last CLOSE, in answer. */
  let parting: L | null;
  let badInARow: number;

  // Our DATA: `held` are those that were not acknowledged, the last one has the number `sent`.
  let held: { text: boolean; message: Uint8Array }[];
  let sent: number;
  let heldBytes: number;
  /** The next one that the live link has to be given; the highest one that any link was given. */
  let cursor: number;
  let written: number;
  /** Restored, and no RESUME was answered yet: the counts are in RESUMED. */
  let forgot: boolean;
  /** Not 0: what an earlier page sent up to here may still fill the window. Nothing is sent until it was accepted. */
  let forgottenUntil: number;
  /** Of a send() that was refused. */
  let wantedBytes = Infinity;
  let askedForRoom: boolean;

  // The gateway's DATA; `told`: what our frames have acknowledged, `owedBytes`: accepted since.
  let read: number;
  let accepted: number;
  let told: number;
  let owedBytes: number;
  /** On a link that has just been answered; an ACK's time has come. */
  let ackFirst: boolean;
  let ackNow: boolean;

  let pong: Uint8Array | null;
  let pingNumber = 0;
  let pingDue: boolean;
  let saidClose: boolean;
  let closeCode = 0;
  let closeReason = "";

  const self = {
    phase: Phase.fresh,
    terms: [0, 0, 0, 0, 0, []] as Terms,
    ticket: "",
    /** Of the last RESUME; 1 after WELCOME. */
    epoch: 0,
    links: new Set<L>(),
    /** The link that serves. */
    live: null as L | null,
    /** As in Figures. */
    counts: { sent: 0, received: 0, replayedOut: 0, duplicates: 0, badFrames: 0 },

    // --- keeping it ---

    /** Text for restore(): ticket, key, epoch and terms. Only with a session. */
    snapshot: () => JSON.stringify([1, self.ticket, btoa(toChars(secret)), self.epoch, ...self.terms]),
    /** Goes on with a session of an earlier page. False: this is no snapshot of ours; then nothing has changed. */
    restore(text: string): boolean {
      try {
        const [version, ticket, key, epoch, ...terms] = JSON.parse(text);
        const bytes = fromChars(atob(key));
        const [, , windowBytes, windowMessages, , addresses] = terms;
        const whole = bytes.length === SECRET_BYTES && epoch * windowBytes * windowMessages > 0 && addresses.filter;
        if (version !== 1 || !ticket || !whole) return false;
        forget();
        begin(ticket, bytes, epoch, terms as Terms);
        return (forgot = true);
      } catch {
        return false;
      }
    },

    // --- links ---

    /** A RESUME was sent that nothing has answered: dial on, even if the older link still lives (section 7). */
    owesResume: () => !!self.live && self.epoch > liveEpoch,

    /**
     * The frame that opens `link`, or opens it anew. A RESUME counts an attempt: snapshot() must be stored before it leaves.
     * Null: identity and application are too long for a HELLO.
     */
    open(link: L): Uint8Array | null {
      link.reopened = self.links.has(link);
      if (self.phase === Phase.fresh) {
        link.epoch = 1;
        self.links = new Set([link]);  // two HELLOs would be two sessions
        return writeHello(...hello());
      }
      link.epoch = ++self.epoch;
      self.links.add(link);
      return writeResume(secret, self.ticket, self.epoch, forgot ? 0 : read);
    },

    /** The link broke, was closed, or could not be opened. `code`: of the WebSocket's close frame, 0 for none. */
    lost(link: L, code = 0): Heard {
      return drop(link) && code === LinkCode.badFrame && countBad() ? lose(code, MANY_BAD) : NOTHING;
    },

    /** A whole frame came on a link. Of one that is not known: nothing. */
    heard(link: L, bytes: Uint8Array): Heard {
      // An older link: what it still says was said to the newer one, too.
      if (!self.links.has(link)) return NOTHING;
      const head = readFields(bytes, HEAD);
      const known = head && (self.live === link ? onLive : onAnswer)(link, head, bytes.subarray(HEAD_BYTES));
      return known ?? (head?.[0] >= FrameType.unknown ? NOTHING : bad(link));
    },

    // --- messages ---

    hasRoom: (bytes: number) =>
      self.phase === Phase.kept &&
      !forgot &&
      !forgottenUntil &&
      held.length < self.terms[Term.windowMessages] &&
      heldBytes + bytes <= self.terms[Term.windowBytes],
    /** Takes a copy. False: no room; madeRoom() tells when there is. Only when kept or fresh, and not above the window. */
    send(text: boolean, message: Uint8Array): boolean {
      const room = self.hasRoom(message.length);
      if (room) {
        held.push({ text, message: message.slice() });
        heldBytes += message.length;
        ++sent;
        ++self.counts.sent;
      } else {
        wantedBytes = min(wantedBytes, message.length);
        askForRoom();
      }
      return room;
    },
    /** True once, when a send() that was refused would be taken now. To be asked after each frame. */
    madeRoom(): boolean {
      const room = wantedBytes < Infinity && self.hasRoom(min(wantedBytes, self.terms[Term.windowBytes]));
      if (room) {
        wantedBytes = Infinity;
        askedForRoom = false;
      }
      return room;
    },
    /** The message of the last heard() was handed to the application. */
    accepted(bytes: number): void {
      if (accepted === read) return;  // the application ended the session in its own call
      ++accepted;
      owedBytes += bytes;
    },
    /** Sent, and not accepted by the other end. */
    unacknowledged: () => held.length,
    heldBytes: () => heldBytes,

    /** A PING with a new number, on the live link. */
    ping(): number {
      pingDue = true;
      return ++pingNumber;
    },
    /** An ACK is to leave within 200 ms. */
    ackOwed: () => !!self.live && accepted > told,
    /** Its time has come. */
    ackNow(): void {
      ackNow = true;
    },

    /** Ends the session: CLOSE goes out behind all that was sent. `ended` is heard when it was answered. */
    close(code: number, reason: string): void {
      closeCode = code;
      closeReason = reason;
      wantedBytes = Infinity;
      if (self.phase === Phase.kept) self.phase = Phase.closing;
      else self.abandon();
    },
    /** Ends it without a word to anybody. */
    abandon(): void {
      forget();
      wantedBytes = Infinity;
      self.phase = Phase.ended;
    },

    /** The next frame to write on `link`; null: nothing now. To be called after each of the other calls, until it says so. */
    nextFrame(link: L): Uint8Array | null {
      if (link === parting) {
        parting = null;
        self.links.delete(link);
        return writeClose(closeCode, closeReason, 0);
      }
      if (link !== self.live) return null;
      const [, , windowBytes, windowMessages] = self.terms;
      const owed = accepted - told;
      if (ackFirst) return writeFrame(FrameType.ack, tell());
      if (pong) {
        const number = pong;
        pong = null;
        return writePing(FrameType.pong, number, tell());
      }
      if (cursor <= sent) {
        const { text, message } = held[cursor - acked() - 1]!;
        if (cursor <= written) ++self.counts.replayedOut;
        written = max(written, cursor);
        return writeFrame(FrameType.data, tell(), message, cursor++, text ? FLAG_TEXT : 0);
      }
      if (pingDue) {  // behind what has room: so its PONG bears more
        pingDue = false;
        return writePing(FrameType.ping, pingNumber, tell());
      }
      if (self.phase === Phase.closing && !forgot && !saidClose) {
        saidClose = true;
        return writeClose(closeCode, closeReason, tell());
      }
      const many = owed >= min(32, max(windowMessages >>> 2, 1)) || owedBytes >= min(16_384, max(windowBytes / 4, 1));
      const due = many || ackNow;
      ackNow = false;
      return owed && due ? writeFrame(FrameType.ack, tell()) : null;
    },
  };

  const acked = () => sent - held.length;
  /** The ack for a frame that leaves on the live link. */
  function tell(): number {
    ackFirst = ackNow = false;
    owedBytes = 0;
    return (told = accepted);
  }
  /** One PING asks for room: its PONG bears the ack, also to a tab whose timers sleep. */
  function askForRoom(): void {
    if (!self.live || askedForRoom || self.hasRoom(wantedBytes)) return;
    askedForRoom = true;
    self.ping();
  }

  // --- beginning and end ---

  function forget(): void {
    self.links = new Set();
    self.live = parting = pong = null;
    self.epoch = badInARow = forgottenUntil = 0;
    self.phase = Phase.fresh;
    self.ticket = "";
    secret = new Uint8Array(SECRET_BYTES);
    ackFirst = ackNow = pingDue = askedForRoom = saidClose = forgot = false;
    count(0, 0);
  }
  function begin(ticket: string, key: Uint8Array, epoch: number, terms: Terms): void {
    self.ticket = ticket;
    secret = key;
    self.epoch = epoch;
    self.terms = terms;
    self.phase = Phase.kept;
    count(0, 0);
  }
  function count(nowSent: number, nowRead: number): void {
    sent = written = nowSent;
    cursor = sent + 1;
    held = [];
    heldBytes = owedBytes = 0;
    read = accepted = told = nowRead;
  }
  /** False: it was not known. */
  function drop(link: L): boolean {
    if (self.live === link) self.live = null;
    return self.links.delete(link);
  }
  function end(code: number, reason: string, whole = false): Heard {
    self.abandon();
    return { meaning: Kind.ended, code, reason, whole };
  }
  /** The session cannot be gone on with: all links go, and a HELLO is next. */
  function lose(code: number, reason: string): Heard {
    if (self.phase === Phase.closing) return end(closeCode, closeReason);
    const meaning = self.phase === Phase.fresh ? Kind.sentAway : Kind.lost;
    forget();
    return { meaning, code, reason };
  }
  /** True when it was one too many. */
  function countBad(): boolean {
    ++self.counts.badFrames;
    return ++badInARow >= BAD_FRAMES_MAX;
  }
  const beside = (link: L) => !!self.live && self.live !== link;
  function bad(link: L, code: number = LinkCode.badFrame): Heard {
    const mayLose = !beside(link);
    drop(link);
    return countBad() && mayLose ? lose(code, MANY_BAD) : { meaning: Kind.badFrame, code, reason: "bad frame" };
  }

  // --- the answer to an opening frame. Undefined: a bad one, or a type to skip ---

  function onAnswer(link: L, [type, , , ack]: number[], body: Uint8Array): Heard | undefined {
    if (type === FrameType.detach) return onDetach(link, body);
    const welcome = self.phase === Phase.fresh;
    if (type !== (welcome ? FrameType.welcome : FrameType.resumed)) return;
    return welcome ? onWelcome(link, body) : onResumed(link, ack!, body);
  }

  function onWelcome(link: L, body: Uint8Array): Heard | undefined {
    const fields = readFields(body, WELCOME);
    if (!fields) return;
    const [version, key, ticket, , ...terms] = fields;
    if (version !== 1) return end(LinkCode.version, "no version in common");
    if (!ticket || ticket.length > TICKET_BYTES_MAX || !terms[Term.windowBytes] || !terms[Term.windowMessages]) return;
    begin(ticket, key, 1, terms as Terms);
    return becomeLive(link, { meaning: Kind.opened, code: 0, reason: "" });
  }

  function becomeLive(link: L, heard: Heard): Heard {
    self.live = link;
    liveEpoch = link.epoch;
    // Dials that were begun later go on: of two the later one wins. What older links still say is not heard.
    for (const other of self.links) if (other !== link && other.epoch <= liveEpoch) self.links.delete(other);
    ackFirst = true;
    saidClose = askedForRoom = pingDue = false;
    pong = null;
    if (wantedBytes < Infinity) askForRoom();
    return heard;
  }

  function onResumed(link: L, ack: number, body: Uint8Array): Heard | undefined {
    const fields = readFields(body, RESUMED);
    if (!fields) return;
    const [received, next, last] = fields;
    if (!next || next > last + 1) return;
    const sentAgain = forgot ? 0 : max(0, written - received);
    const whole = !forgot;
    const had = acked();
    const nowAccepted = unwrap(ack, forgot ? received : max(had, forgottenUntil));
    const fits = forgot ? last < 2 ** 53 : received >= had && received <= sent && next <= read + 1;
    if (!fits || nowAccepted > received) return lose(LinkCode.loginNeeded, "the counts do not fit");
    if (forgot) {
      // What we do not remember to have sent was sent, and may fill the window; what we do not remember to have got was
      // acknowledged, and will not come again.
      count(received, next - 1);
      forgot = false;
      forgottenUntil = received;
    }
    acknowledge(nowAccepted);
    cursor = max(received, acked()) + 1;
    return becomeLive(link, { meaning: Kind.resumed, code: 0, reason: "", whole, toCome: last + 1 - next, sentAgain });
  }

  /** `count` of ours were accepted. False: more than was ever sent. */
  function acknowledge(count: number): boolean {
    if (count > sent) return false;
    const freed = held.splice(0, max(0, count - acked()));
    for (const { message } of freed) heldBytes -= message.length;
    cursor = max(cursor, acked() + 1);
    const settled = forgottenUntil > 0 && count >= forgottenUntil;
    if (settled) forgottenUntil = 0;
    if (settled || freed.length) badInARow = 0;
    return true;
  }

  // --- DETACH ---

  function onDetach(link: L, body: Uint8Array): Heard | undefined {
    const fields = readFields(body, DETACH);
    if (!fields) return;
    const [code, action, wait, epoch, address, reason] = fields;
    if (action > Action.stop) return;
    const astray = beside(link);
    if (code === LinkCode.badFrame && countBad() && !astray) return lose(code, MANY_BAD);
    const heard: Heard = { meaning: Kind.sentAway, code, reason, wait, address };
    if (action === Action.stop) {
      if (code !== LinkCode.replaced || epoch > self.epoch) return end(code, reason);
      drop(link);  // by a dial of our own
      return NOTHING;
    }
    if (action === Action.move && link === self.live) return { ...heard, meaning: Kind.move };
    const login = action === Action.login;
    if (login && !astray) {
      if (self.phase === Phase.closing) return end(closeCode, closeReason, true);
      // Who we are was refused, or the session has ended while we were away and we are told how.
      if (self.phase === Phase.fresh || code !== LinkCode.loginNeeded) return end(code, reason);
      heard.meaning = Kind.lost;
    }
    // What lives on another link is not gone: this dial went astray.
    const again = !wait && !address && action === Action.again && code !== LinkCode.badFrame;
    heard.reopen = !link.reopened && (again || heard.meaning === Kind.lost);
    if (heard.meaning === Kind.lost) forget();
    else if (self.phase !== Phase.fresh) self.epoch = max(self.epoch, epoch);  // 4412: count on from there
    drop(link);
    if (heard.reopen) self.links.add(link);
    return heard;
  }

  // --- the live link ---

  function onLive(link: L, [type, flags, seq, ack]: number[], body: Uint8Array): Heard | undefined {
    // A gateway that sends us away may not know the session any more, and RESUMED says the ack again.
    if (type === FrameType.detach) return onDetach(link, body);
    if (!acknowledge(unwrap(ack!, max(acked(), forgottenUntil)))) return;
    switch (type) {
      case FrameType.data:
        return onData(link, flags! & FLAG_TEXT, seq!, body);
      case FrameType.ack:
        return NOTHING;
      case FrameType.ping:
      case FrameType.pong: {
        const number = readFields(body, "8");
        if (!number) return;
        if (type === FrameType.pong) return { ...NOTHING, meaning: Kind.pong, number: number[0] };
        pong = body.slice(0, 8);
        return NOTHING;
      }
      case FrameType.ticket: {
        const ticket = readFields(body, TICKET)?.[0];
        if (!ticket || ticket.length > TICKET_BYTES_MAX) return;
        self.ticket = ticket;
        return { ...NOTHING, meaning: Kind.renewed };
      }
      case FrameType.close: {
        const close = readFields(body, CLOSE);
        return close ? onClose(link, close[0], close[1]) : undefined;
      }
    }
    return;
  }

  function onData(link: L, text: number, seq: number, body: Uint8Array): Heard | undefined {
    const number = unwrap(seq, read + 1);
    if (number > read + 1) return;
    if (number <= read) {
      ++self.counts.duplicates;
      return NOTHING;
    }
    // Judged before it counts as read: what is bad has not come.
    const data = text ? fromUtf8(body) : body;
    if (data === null) return;
    if (body.length > self.terms[Term.windowBytes]) return bad(link, LinkCode.overLimit);
    ++read;
    badInARow = 0;
    ++self.counts.received;
    return { ...NOTHING, meaning: Kind.message, data, number: body.length };
  }

  function onClose(link: L, code: number, reason: string): Heard {
    const answered = saidClose;
    const heard = self.phase === Phase.closing ? end(closeCode, closeReason, true) : end(code, reason, true);
    if (!answered) {
      self.links.add((parting = link));
      closeCode = code;
      closeReason = "";
    }
    return heard;
  }

  forget();
  return self;
}
const NOTHING: Heard = { meaning: Kind.nothing, code: 0, reason: "" };
const MANY_BAD = "bad frame after bad frame";

export type Session<L extends Link> = ReturnType<typeof createSession<L>>;
