// examples/browser: the page with a plain WebSocket is thrown out when its link breaks; with the lines of resuming.diff it plays on.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { CutWorld, numbered } from "./cut_world.mjs";
import { CHROMIUM_FLAGS } from "./world.mjs";

const LIMIT = { timeout: 120_000 };
const here = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

let pages, world, browser;
before(async () => {
  pages = await mkdtemp(join(tmpdir(), "rejoin-example-"));
  for (const page of ["plain.html", "resuming.html"]) await cp(here(`examples/browser/${page}`), join(pages, page));
  await cp(here("clients/js/dist/rejoin.mjs"), join(pages, "rejoin.mjs"));
  world = await CutWorld.start({ pages });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, chromiumSandbox: false, args: CHROMIUM_FLAGS });
}, LIMIT);
after(async () => {
  await browser?.close();
  await world?.stop();
  await rm(pages, { recursive: true });
}, LIMIT);

async function walk(page) {
  const tab = await browser.newPage();
  await tab.goto(world.url.replace("ws", "http") + page);
  const status = () => tab.textContent("#status");
  const heard = (count) => tab.waitForFunction((count) => document.querySelectorAll("li").length === count, count);
  await tab.waitForFunction(() => document.getElementById("status").textContent.includes("scene"));
  await tab.click("#step");
  await heard(2);
  world.relay.cut();
  return { tab, status, heard };
}

test("the diff is that of the two pages, and short", async () => {
  const diff = await readFile(here("examples/browser/resuming.diff"), "utf8");
  const { stdout } = spawnSync("diff", ["-U0", "--label", "plain.html", "--label", "resuming.html", "plain.html", "resuming.html"], { cwd: here("examples/browser"), encoding: "utf8" });
  assert.equal(diff, stdout);
  const changed = diff.split("\n").filter((line) => /^[+-](?![+-])/.test(line));
  assert.equal(changed.length, 3, `${changed}`);
});

test("a plain WebSocket: thrown out", LIMIT, async () => {
  const { tab } = await walk("plain.html");
  await tab.waitForFunction(() => document.getElementById("status").textContent.includes("log in again"));
  await tab.close();
});

test("the same with RejoinSocket: the scene goes on", LIMIT, async () => {
  const { tab, status, heard } = await walk("resuming.html");
  await tab.click("#step");
  await heard(4);
  assert.deepEqual(await tab.locator("li").allTextContents(), numbered("s", 4));
  assert.equal(await status(), "You are in the scene.");
  await tab.close();
});
