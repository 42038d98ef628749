// Two tabs are two sessions, also when one is a copy of the other; a page that is loaded again has its session back.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { turn } from "./fake_world.mjs";
import { rejoin } from "./support.mjs";

class FakeStorage {
  constructor(entries = {}) {
    this.entries = { ...entries };
  }
  getItem(key) {
    return this.entries[key] ?? null;
  }
  setItem(key, text) {
    if (this.full) throw new Error("QuotaExceededError");
    this.entries[key] = String(text);
  }
  removeItem(key) {
    delete this.entries[key];
  }
}

let timers, pagehide, open;
beforeEach(() => {
  timers = [];
  pagehide = [];
  open = [];
  globalThis.addEventListener = (type, listener) => type === "pagehide" && pagehide.push(listener);
  globalThis.removeEventListener = (type, listener) => (pagehide = pagehide.filter((other) => other !== listener));
});
afterEach(() => {
  for (const keeper of open) keeper.release();
  for (const name of ["sessionStorage", "addEventListener", "removeEventListener"]) delete globalThis[name];
});

/** As many tabs as a test wants, each with its own storage (and key, since in this process all are one page). */
function tab(storage, key = "k") {
  globalThis.sessionStorage = storage;
  const environment = { setTimer: (callback) => (timers.push(callback), () => {}), random: Math.random };
  const keeper = rejoin.tabKeeper(key, environment);
  open.push(keeper);
  return keeper;
}
const settle = async () => {
  for (let i = 0; i < 20; ++i) await turn();
};

test("a reload: the page went in order, and its successor takes the session at once", async () => {
  const storage = new FakeStorage();
  const first = tab(storage);
  assert.equal(await first.load(), null);
  first.save("session 1");
  for (const listener of pagehide) listener();
  const second = tab(storage);
  assert.equal(await second.load(), "session 1");
  assert.deepEqual(timers, [], "nobody had to be asked");
});

test("a tab that was killed: nobody answers within 250 ms, and the session is taken", async () => {
  const storage = new FakeStorage({ k: "session 1", "k page": "a page that is gone" });
  const keeper = tab(storage);
  let loaded = "not yet";
  keeper.load().then((text) => (loaded = text));
  await settle();
  assert.equal(loaded, "not yet");
  timers[0]();
  await settle();
  assert.equal(loaded, "session 1");
});

test("a duplicated tab: the first one answers, and the copy begins a session of its own", async () => {
  const storage = new FakeStorage();
  const first = tab(storage);
  await first.load();
  first.save("session 1");
  // What the browser copies; under another key, since in this process both are one page.
  const copy = new FakeStorage({ copy: "session 1", "copy page": storage.entries["k page"] });
  const second = tab(copy, "copy");
  assert.equal(await second.load(), null);
  second.save("session 2");
  assert.equal(copy.entries.copy, "session 2");
  assert.equal(storage.entries.k, "session 1");
});

test("two objects of one page with one name are a mistake that is told; after clear() and release() the name is free", async () => {
  const storage = new FakeStorage();
  const first = tab(storage);
  assert.throws(() => tab(storage), /storageKey of its own: k/);
  await first.load();
  first.save("session 1");
  first.clear();
  first.release();
  assert.deepEqual(storage.entries, {});
  assert.equal(await tab(storage).load(), null);
});

test("a storage that is forbidden costs the reload, and nothing else", () => {
  Object.defineProperty(globalThis, "sessionStorage", { configurable: true, get: () => assert.fail("SecurityError") });
  assert.equal(rejoin.tabKeeper("other", { setTimer: () => {}, random: Math.random }), undefined);
});

test("where there is no sessionStorage, it says what to give instead", () => {
  assert.throws(() => rejoin.tabKeeper("k", { setTimer: () => {}, random: Math.random }), /storage "session" needs a page/);
});
