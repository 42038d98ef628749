// When a client dials next, and where. At once at the start and after a change of path; else after a time by chance, uniform in
// [0, spread], whose bound doubles with each failure up to 20 s ("full jitter": a thousand clients of one gateway come back one
// by one). Where: the application's own address, and those that the gateway tells, if the application allows it; never from TLS
// to an address without (spec/resume.md, sections 5 and 11).
//
// A calculator. Its user sees to it that there is one dial at a time. Milliseconds.
import { Term, type Terms } from "./session";

const { min, max } = Math;
const SPREAD_UNTOLD_MS = 1_000;
const REDIAL_MS_MIN = 250;
const REDIAL_MS_MAX = 20_000;
const REDIRECTS_MAX = 3;

const secure = (url: string) => url.startsWith("wss:");

/** `home`: the application's address. The first dial is due at `now`. */
export function createRedial(home: string, advertised: boolean | undefined, random: () => number, now: number) {
  let spread = SPREAD_UNTOLD_MS;
  let addresses = [home];
  let redirect = "";
  let failures = 0;
  let turn = 0;
  let redirects = 0;
  let last = home;
  let withItem = false;
  let skipItem = false;
  let itemStrikes = 0;

  const self = {
    /** Infinity: nothing is due. */
    due: now,
    /**
     * May the next RESUME ride in the list of sub-protocols? Not where the last dial that carried it failed before the 101:
     * something on the way may dislike it. A browser does not tell that from a network that is down, so it is tried again when
     * dials fail without it, too, and when the path changes.
     */
    mayUseItem: () => !skipItem && itemStrikes < 2,
    itemUsed(): void {
      withItem = true;
    },
    /** WELCOME, or a restored session: its spread and its addresses from now on. */
    told(terms: Terms): void {
      spread = min(terms[Term.spread], REDIAL_MS_MAX);
      addresses = [...terms[Term.addresses].filter(usable), home];
      turn = 0;
    },
    /** The live link is gone, or a RESUME is out that nobody answered: dial on. Not before `wait` is over. */
    dialOn(now: number, wait = 0): void {
      const most = failures ? min(max(spread, REDIAL_MS_MIN) * 2 ** failures, REDIAL_MS_MAX) : spread;
      self.due = now + wait + random() * most;
    },
    pathChanged(now: number): void {
      failures = redirects = itemStrikes = 0;
      skipItem = false;
      self.due = now;
    },
    /** A dial begins, to the address that this returns. Nothing is due until it has ended. */
    dial(): string {
      withItem = false;
      self.due = Infinity;
      return (last = redirect || addresses[turn % addresses.length]!);
    },
    /** It opened nothing; `beforeOpen`: the WebSocket never opened. */
    failed(beforeOpen: boolean, now: number): void {
      if (beforeOpen) {
        if (withItem) ++itemStrikes;
        else if (itemStrikes === 1) itemStrikes = 0;  // it fails without, too: not the item's fault
        skipItem = withItem;
      }
      redirect = "";
      ++turn;
      ++failures;
      self.dialOn(now);
    },
    /** It became the live link. */
    opened(): void {
      if (withItem) itemStrikes = 0;
      skipItem = false;
      redirect = "";
      turn = failures = redirects = 0;
      self.due = Infinity;
    },
    /** DETACH again, or its like: not before `wait` is over, at `address` if that may be used. */
    sentAway(wait: number, address: string, now: number): void {
      // Where the gateway has chosen for this client, no chance is needed on top.
      if (redirectTo(address)) self.due = now + wait;
      else {
        if (!wait) ++failures;
        self.dialOn(now, wait);
      }
    },
    /** DETACH move: dial beside the link that serves, well within `wait`. */
    move(wait: number, address: string, now: number): void {
      redirectTo(address);
      self.due = now + random() * min(spread, wait / 2);
    },
  };

  function usable(address: string): boolean {
    // Whoever stands in the middle of a plain link could send a client of a secure one anywhere.
    return !!advertised && (secure(address) || (address.startsWith("ws:") && !secure(home) && !secure(last)));
  }
  function redirectTo(address: string): boolean {
    const may = usable(address) && ++redirects <= REDIRECTS_MAX;
    redirect = may ? address : "";
    return may;
  }
  return self;
}
