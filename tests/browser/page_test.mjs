// The page of `rejoin demo --web` in a real Chromium: each button, the account beside the scene, a reload, two tabs, a phone's
// width, light and dark. With REJOIN_UPDATE_SHOTS=1 the screenshots in docs/ are made anew. Run by ctest (layer browser).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const LIMIT = { timeout: 90_000 };
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const SHOTS = process.env.REJOIN_UPDATE_SHOTS ? fileURLToPath(new URL("../../docs/", import.meta.url)) : null;

let demo, url, browser;
before(async () => {
  demo = spawn(process.env.REJOIN, ["demo", "--web", "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: demo.stdout })) {
    url ??= /Open {2}(\S+)/.exec(line)?.[1];
    if (line.startsWith("Ctrl-C")) break;
  }
  assert.ok(url, "it says its address");
  browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, chromiumSandbox: false, args: FLAGS });
}, LIMIT);
after(async () => {
  await browser?.close();
  demo.kill("SIGINT");
  const [status] = demo.exitCode === null ? await once(demo, "exit") : [demo.exitCode];
  assert.equal(status, 0, "Ctrl-C is the way to end it");
}, LIMIT);

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1180, height: 780 }, ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => assert.fail(`the page threw ${error.stack}`));
  await page.goto(url);
  await page.waitForFunction(() => demo.rejoin.account.received > 10 && demo.plain.account.received > 10);
  return { context, page };
}
const push = (page, what) => page.click(`[data-do=${what}]`);
const look = (page) =>
  page.evaluate(() => ({
    state: demo.rejoin.state,
    plain: demo.plain.state,
    breaks: demo.rejoin.breaks,
    resumes: demo.rejoin.session.figures.resumes,
    logins: demo.rejoin.session.figures.logins,
    received: demo.rejoin.account.received,
    lost: demo.rejoin.account.lost,
    twice: demo.rejoin.account.twice,
    me: demo.rejoin.scene.me,
    stars: demo.rejoin.scene.mine?.stars,
    address: document.getElementById("address").textContent,
    shown: document.querySelector("#rejoin [data-figure=lost]").textContent + document.querySelector("#rejoin [data-figure=twice]").textContent,
  }));
/** The session has gone on `resumes` times, and messages come again. */
async function backAgain(page, resumes) {
  await page.waitForFunction((n) => demo.rejoin.session.figures.resumes >= n && demo.rejoin.state === "live", resumes, { timeout: 40_000 });
  const from = (await look(page)).received;
  await page.waitForFunction((n) => demo.rejoin.account.received > n + 10, from);
}
function whole(before, after) {
  assert.equal(after.lost, 0, "nothing lost");
  assert.equal(after.twice, 0, "nothing twice");
  assert.equal(after.shown, "00", "and the page says so");
  assert.equal(after.logins, before.logins, "no login");
  assert.equal(after.me, before.me, "the same player in the same scene");
  assert.ok(after.stars >= before.stars, "with all of their stars");
}

for (const what of ["cut", "address", "dead", "freeze"]) {
  test(`${what}: Rejoin goes on, and the plain WebSocket is thrown back to a login`, LIMIT, async () => {
    const { context, page } = await open();
    const before = await look(page);
    await push(page, what);
    await backAgain(page, before.resumes + 1);
    const after = await look(page);
    whole(before, after);
    assert.ok(after.breaks > before.breaks);
    if (what === "address") assert.notEqual(after.address, before.address);
    if (what === "dead") {
      // Nobody tells it: it looks at a scene that stands still.
      await page.waitForFunction(() => demo.plain.state === "broken");
    } else {
      await page.waitForFunction(() => demo.plain.state === "out");
      assert.ok(await page.isVisible("#plain .login button"));
      await page.click("#plain .login button");
      await page.waitForFunction(() => demo.plain.state === "live");
      await page.waitForFunction(() => document.querySelector("#plain [data-figure=logins]").textContent === "2");
    }
    await context.close();
  });
}

test("a page that is loaded again is in the same scene", LIMIT, async () => {
  const { context, page } = await open();
  const before = await look(page);
  await page.reload();
  await page.waitForFunction(() => demo.rejoin.account.received > 10);
  const after = await look(page);
  assert.equal(after.me, before.me);
  assert.equal(after.logins, 0, "no login of this page");
  assert.ok(after.stars >= before.stars);
  await backAgain(page, 1);
  assert.deepEqual([(await look(page)).lost, (await look(page)).twice], [0, 0]);
  await context.close();
});

test("players see each other, and steer", LIMIT, async () => {
  const one = await open(), two = await open();
  const [first, second] = [await look(one.page), await look(two.page)];
  assert.notEqual(first.me, second.me);
  await one.page.waitForFunction((id) => demo.rejoin.scene.bodies.has(id), second.me);
  await one.page.keyboard.down("ArrowUp");
  await one.page.waitForFunction(() => demo.rejoin.scene.mine.toY < 40);
  await one.page.keyboard.up("ArrowUp");
  await two.page.waitForFunction((id) => demo.rejoin.scene.bodies.get(id).toY < 60, first.me);
  await one.context.close();
  await two.context.close();
});

test("it fits a phone, in light and dark", LIMIT, async () => {
  for (const colorScheme of ["light", "dark"]) {
    const { context, page } = await open({ viewport: { width: 390, height: 844 }, colorScheme, hasTouch: true });
    const [inner, wide] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
    assert.equal(wide, inner, "nothing sticks out");
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
    assert.ok(colorScheme === "dark" ? ground[0] < 60 : ground[0] > 200, `${colorScheme}: ${ground}`);
    if (SHOTS) await page.screenshot({ path: `${SHOTS}web-phone-${colorScheme}.png` });
    await context.close();
  }
});

test("screenshots for the documentation", { ...LIMIT, skip: SHOTS === null }, async () => {
  for (const colorScheme of ["light", "dark"]) {
    const { context, page } = await open({ colorScheme });
    await page.waitForFunction(() => demo.plain.scene.mine?.stars > 1 && demo.rejoin.scene.mine?.stars > 3, null, { timeout: 60_000 });
    await push(page, "address");
    await backAgain(page, 1);
    await page.click("#plain .login button");
    await page.waitForFunction(() => demo.plain.account.received > 120);
    await push(page, "cut");
    await backAgain(page, 2);
    await page.screenshot({ path: `${SHOTS}web-${colorScheme}.png` });
    await context.close();
  }
});
