// Keeps a session in a tab's sessionStorage, so that a page that is loaded again has its session back.
//
// Two tabs are two sessions. But a browser copies sessionStorage into a duplicated tab (and into one that a page opens), and a
// copy that resumed would throw the first tab out (4409). So beside the session stands a name of the page that has it:
//
// - no name: the page went in order (pagehide). Whoever loads the entry is its successor in the same tab, and takes it at once.
// - a name: that page was killed, or it lives, and we are in a copy. We ask (BroadcastChannel: pages of this origin only, also on
//   plain http; messages reach tabs in the background). Who answers has the session, and the copy begins one of its own. No
//   answer within 250 ms: it was killed, and we take the session. If it was only frozen, it hears 4409 when it wakes, and ends.
//
// Navigation Timing would not do: a duplicated tab says `reload` or `back_forward` like the first one.
import { listen, world } from "./environment";
import type { Environment, Keeper } from "./types";

const ANSWER_MS = 250;

/** Entries that objects of this very page have: here two of one name are a mistake. */
const taken = new Set<string>();

/** Null: the person allows this page no storage. Throws where there is none, or this page has a session of that name already. */
export function tabKeeper(key: string, { setTimer, random }: Environment): Keeper | undefined {
  let storage: Storage;
  try {
    storage = world.sessionStorage;
  } catch {
    return;
  }
  if (!storage || taken.has(key)) {
    throw new Error(`rejoin: storage "session" needs a page, and a storageKey of its own: ${key}`);
  }

  const name = random().toString(36);
  const holderKey = key + " page";
  let channel: BroadcastChannel | undefined;
  let stop = () => {};

  /** Answers whoever asks for us, and gives the session free when the page goes. */
  const claim = () => {
    taken.add(key);
    if (world.BroadcastChannel) {
      channel ??= new BroadcastChannel("rejoin");
      channel.onmessage = ({ data }) => data === "who " + name && channel?.postMessage(name);
    }
    stop();
    stop = listen(world, "pagehide", release);
  };
  const release = () => {
    taken.delete(key);
    storage.removeItem(holderKey);
    channel?.close();
    channel = undefined;
    stop();
  };
  const lives = (holder: string) =>
    new Promise<boolean>((resolve) => {
      setTimer(() => resolve(false), ANSWER_MS);
      listen(channel, "message", ({ data }) => data === holder && resolve(true));
      channel?.postMessage("who " + holder);
    });

  claim();
  return {
    async load() {
      claim();
      const text = storage.getItem(key);
      const holder = storage.getItem(holderKey);
      const copied = text && holder && holder !== name && (await lives(holder));
      if (copied) storage.removeItem(key);
      storage.setItem(holderKey, name);
      return copied ? null : text;
    },
    save: (text) => storage.setItem(key, text),
    clear: () => storage.removeItem(key),
    release,
  };
}
