// The world that a session lives in when nobody gave another: the browser's page or worker, or Node.
import type { Environment, Hint, SessionOptions } from "./types";

/** setTimeout holds its time in 31 bits; who is called too early looks again. */
const TIMER_MS_MAX = 1e9;
/** For one dial. Behind it the balancer needs the cookie no more. */
const COOKIE_LIFE_S = 10;

/** What is there, whatever this world is. */
export const world = globalThis as any;

export const environmentOf = (options: SessionOptions): Environment => ({
  connect: (url, protocols) => new (options.WebSocket ?? world.WebSocket)(url, protocols),
  now: () => performance.now(),
  setTimer(callback, ms) {
    const timer = setTimeout(callback, Math.min(ms, TIMER_MS_MAX));
    return () => clearTimeout(timer);
  },
  random: Math.random,
  watch,
  tellTicket,
  ...options.environment,
});

/** Listens; returns what stops it. */
export function listen(target: EventTarget | undefined, event: string, listener: (event: any) => void): () => void {
  target?.addEventListener?.(event, listener);
  return () => target?.removeEventListener?.(event, listener);
}

// None of these proves anything: a link may live on after `offline`, and be dead long before it.
function watch(hint: (what: Hint) => void): () => void {
  const { document, navigator } = world;
  const changed = () => hint("changed");
  const stops = [
    listen(world, "online", changed),
    listen(world, "offline", changed),
    listen(navigator?.connection, "change", changed),
    listen(world, "pageshow", ({ persisted }) => persisted && hint("returned")),
    listen(document, "visibilitychange", () => document.hidden || changed()),
    listen(document, "resume", changed),
    listen(document, "freeze", () => hint("freezing")),
  ];
  return () => stops.forEach((stop) => stop());
}

// A script cannot set a header of the handshake. The ticket alone lets nobody resume.
function tellTicket(url: string, ticket: string): void {
  const { document, location } = world;
  if (document && url.includes(location.hostname)) {
    document.cookie = `REJOIN-TICKET=${ticket}; Path=/; SameSite=Strict; Max-Age=${COOKIE_LIFE_S}`;
  }
}
