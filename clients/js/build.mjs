// Makes dist/ from src/: an ES module, a classic script that sets `Rejoin`, and the types. What it makes is checked in, so that
// who serves a page needs no tools; a test says whether dist/ is what src/ gives.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const ENTRY = {
  esm: 'export * from "./src/index"',
  iife: 'import { RejoinSession, RejoinSocket } from "./src/index"; globalThis.Rejoin = { RejoinSession, RejoinSocket }',
};

/** One file: a module's types are found by its own name, and need no second one. */
function types() {
  const folder = mkdtempSync(join(tmpdir(), "rejoin-types-"));
  try {
    execFileSync(process.execPath, [join(HERE, "node_modules/typescript/bin/tsc"), "-p", HERE, "--outDir", folder], { stdio: "inherit" });
    const parts = ["types", "rejoin_session", "rejoin_socket"].map((name) => readFileSync(join(folder, `${name}.d.ts`), "utf8"));
    return parts.join("").replace(/^import .*\n/gm, "");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function script(format, names) {
  const { outputFiles } = await build({
    stdin: { contents: ENTRY[format], resolveDir: HERE },
    bundle: true,
    write: false,
    format,
    target: "es2022",  // of it only what Chrome 80, Firefox 74 and Safari 14.1 have: class fields, ?., ??
    legalComments: "none",
    minifySyntax: true,
  });
  const { code } = await minify(outputFiles[0].text, {
    module: true,
    ecma: 2020,
    compress: { passes: 4, pure_getters: true, unsafe_arrows: true, unsafe_methods: true, if_return: false },
    // Names of the language and the DOM stay by themselves; those of our types are what applications see.
    mangle: { properties: { reserved: ["Rejoin", ...names] } },
  });
  return code + "\n";
}

/** File names of dist/ and what is in them. */
export async function made() {
  const declared = types();
  const names = declared.replace(/\/\*[^]*?\*\/|"[^"]*"/g, "").match(/[A-Za-z_$][\w$]*/g);
  return { "rejoin.d.mts": declared, "rejoin.mjs": await script("esm", names), "rejoin.global.js": await script("iife", names) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, text] of Object.entries(await made())) {
    writeFileSync(join(HERE, "dist", name), text);
    console.log(`${name}: ${text.length} bytes, ${gzipSync(text, { level: 9 }).length} gzipped`);
  }
}
