// Does a link still live? Silence proves nothing, and neither does a change of the network or a timer that fires late (a tab in
// the background, a machine that slept): a PING asks, and only its PONG answers. When it is late, the client dials beside the
// link, which serves on until the new one does (spec/resume.md, section 9.2).
//
// A calculator: time in, what to do out. Milliseconds.

const { min } = Math;
const PONG_MS = 2_000;
/** A timer this late shows that we slept. (In a tab in the background, each is up to a second late.) */
const LATE_MS = 1_500;

const enum Asked {
  off,
  /** No question is out. */
  no,
  /** To be asked now. */
  now,
  /** A PING is out. */
  yes,
  /** And its PONG is late: dialling beside. */
  late,
}

export const enum Act {
  nothing,
  /** Send one, and say so with pinged(). */
  ping,
  /** No PONG in time: dial beside the link. */
  dial,
  /** Silent for longer than the gateway allows. */
  dead,
}

export function createLiveness() {
  let asked = Asked.off;
  let pingMs = 0;
  let deadMs = 0;
  let heardAt = 0;
  /** Of the oldest PING that may still be answered, and of the last one. */
  let oldestAt = 0;
  let lastAt = 0;
  let lastNumber = 0;
  /** When the first frame left that nothing has answered. */
  let unansweredAt = Infinity;

  const self = {
    /** A link is live. `ping`: within this time a healthy gateway says something; `dead`: silent for longer, it is gone. 0: no such time. */
    opened(now: number, ping: number, dead: number): void {
      asked = Asked.no;
      pingMs = ping || Infinity;
      deadMs = dead || Infinity;
      self.heard(now);
    },
    closed(): void {
      asked = Asked.off;
    },
    heard(now: number): void {
      heardAt = now;
      unansweredAt = Infinity;
    },
    /** A frame left that must be answered soon, with an ack if with nothing else. */
    sent(now: number): void {
      unansweredAt = min(unansweredAt, now);
    },
    /** "The network changed", "visible again": ask now. A PONG that is under way may have left before the change. */
    doubt(now: number): void {
      // Who doubts all the time shall not put the answer off for ever.
      if (asked === Asked.no) oldestAt = now;
      if (asked) asked = Asked.now;
    },
    pinged(number: number, now: number): void {
      if (asked === Asked.no) oldestAt = now;
      if (asked) asked = Asked.yes;
      lastNumber = number;
      lastAt = now;
    },
    /** Returns the round trip, if this answers the last PING. */
    pong(number: number, now: number): number | undefined {
      oldestAt = lastAt;
      if (asked < Asked.yes || number < lastNumber) return;
      asked = Asked.no;
      return now - lastAt;
    },

    due(): number {
      let at = heardAt + deadMs;
      if (asked === Asked.no) at = min(at, unansweredAt + PONG_MS, heardAt + pingMs + PONG_MS);
      if (asked === Asked.now) at = -Infinity;
      if (asked === Asked.yes) at = min(at, oldestAt + PONG_MS);
      return asked ? at : Infinity;
    },
    act(now: number): Act {
      if (self.due() > now) return Act.nothing;
      const deadAt = heardAt + deadMs;
      if (deadAt <= now) {
        if (now - deadAt <= LATE_MS) return Act.dead;
        // We slept, and what came meanwhile may still be to be read. (What is late with a PONG is dialled beside, late or not:
        // in a tab whose timers sleep messages are read in time, and to dial beside harms nobody.)
        heardAt = now - deadMs + 2 * PONG_MS;
      }
      if (asked < Asked.yes) return Act.ping;
      if (asked === Asked.late || oldestAt + PONG_MS > now) return Act.nothing;
      asked = Asked.late;
      return Act.dial;
    },
  };
  return self;
}
