// The package as it is handed out: dist/ is what src/ gives, small enough, and usable as module, as script and in TypeScript.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { made } from "../build.mjs";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const BYTES_MAX = 8 * 1024;
const dist = (name) => readFileSync(`${HERE}dist/${name}`, "utf8");

test("dist/ is what src/ gives (if not: npm run build)", async () => {
  const files = await made();
  assert.deepEqual(readdirSync(`${HERE}dist`).sort(), Object.keys(files).sort());
  for (const [name, text] of Object.entries(files)) assert.equal(dist(name) === text, true, `dist/${name} is not current`);
});

test("the whole client has at most 8 kB, minified and gzipped", () => {
  for (const name of ["rejoin.mjs", "rejoin.global.js"]) {
    const { length } = gzipSync(dist(name), { level: 9 });
    assert.ok(length <= BYTES_MAX, `${name}: ${length} bytes`);
  }
});

test("the module exports what the types say, and needs nothing at run time", async () => {
  const module = await import("../dist/rejoin.mjs");
  assert.deepEqual(Object.keys(module).sort(), ["RejoinSession", "RejoinSocket"]);
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(`${HERE}package.json`, "utf8"));
  assert.deepEqual([dependencies, peerDependencies], [undefined, undefined]);
  assert.doesNotMatch(dist("rejoin.mjs"), /\bimport\b|\brequire\b/);
});

test("the classic script sets Rejoin, and no other name", () => {
  const context = { EventTarget, TextEncoder, TextDecoder, URL };
  const before = Object.keys(context);
  runInNewContext(dist("rejoin.global.js"), context);
  assert.deepEqual(Object.keys(context).filter((name) => !before.includes(name)), ["Rejoin"]);
  assert.deepEqual(Object.keys(context.Rejoin).sort(), ["RejoinSession", "RejoinSocket"]);
});

test("npm pack has the scripts, the types, the README and the licence, and nothing else", () => {
  const [{ files, name }] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: HERE, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  assert.equal(name, "@rejoin/client");
  const wanted = ["LICENSE", "README.md", "package.json", ...readdirSync(`${HERE}dist`).map((file) => `dist/${file}`)];
  assert.deepEqual(files.map(({ path }) => path).sort(), wanted.sort());
});

test("an application in TypeScript compiles against the types of dist/, and its mistakes do not", () => {
  const tsc = (file) =>
    execFileSync(process.execPath, [`${HERE}node_modules/typescript/bin/tsc`, "--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom",
      "--module", "nodenext", `test/${file}`], { cwd: HERE, encoding: "utf8" });  // prettier-ignore
  tsc("application.mts");
  assert.throws(
    () => tsc("mistakes.mts"),
    ({ stdout }) => {
      assert.equal(stdout.match(/error TS/g).length, 4, stdout);
      return true;
    },
  );
});
