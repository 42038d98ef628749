// What the tests share: the sources as one module (with all that is inside), and hex.
import { fileURLToPath } from "node:url";
import { readFileSync } from "node:fs";
import { build } from "esbuild";

// Debian's own Node, 18, has no CustomEvent; the package asks for 20.
globalThis.CustomEvent ??= class extends Event {
  constructor(type, { detail } = {}) {
    super(type);
    this.detail = detail;
  }
};

const HERE = new URL("..", import.meta.url);
const MODULES = ["frame", "sha256", "session", "liveness", "redial", "environment", "tab_keeper", "rejoin_session", "rejoin_socket"];

const { outputFiles } = await build({
  stdin: { contents: MODULES.map((name) => `export * from "./src/${name}";`).join("\n"), resolveDir: fileURLToPath(HERE) },
  bundle: true,
  write: false,
  format: "esm",
  target: "es2022",
  sourcemap: "inline",
});
export const rejoin = await import("data:text/javascript;base64," + Buffer.from(outputFiles[0].contents).toString("base64"));

const SPEC = new URL("../../spec/vectors/", HERE);
export const vectors = (name) => JSON.parse(readFileSync(new URL(name, SPEC), "utf8"));

export const hex = (bytes) => Buffer.from(bytes).toString("hex");
export const unhex = (text) => new Uint8Array(Buffer.from(text, "hex"));

// --- frames as the vectors write them (spec/README.md). What a gateway sends is written here, since a client does not write it ---

const TYPES = {
  HELLO: 0x01, WELCOME: 0x02, RESUME: 0x03, RESUMED: 0x04, TICKET: 0x05, DETACH: 0x06,
  DATA: 0x10, ACK: 0x11, PING: 0x12, PONG: 0x13, CLOSE: 0x14,
};  // prettier-ignore
const ACTIONS = ["move", "again", "login", "stop"];
export const NAMES = Object.fromEntries(Object.entries(TYPES).map(([name, type]) => [type, name]));

const uint = (value, bytes) => Buffer.from(BigInt(value ?? 0).toString(16).padStart(bytes * 2, "0").slice(-bytes * 2), "hex");
const string = (bytes) => Buffer.concat([uint(bytes.length, 2), bytes]);
const text = (value) => string(Buffer.from(value ?? ""));

export function messageOf(fields) {
  if (fields.text !== undefined) return { text: true, bytes: new Uint8Array(Buffer.from(fields.text)) };
  return { text: false, bytes: fields.hex === undefined ? new Uint8Array(fields.zeros) : unhex(fields.hex) };
}

/** A frame of a gateway. */
export function encode(frame) {
  if (frame.raw !== undefined) return unhex(frame.raw);
  const type = TYPES[frame.type] ?? Number(frame.type);
  const message = frame.type === "DATA" ? messageOf(frame) : null;
  const bodies = {
    WELCOME: () => [
      uint(frame.version, 1), unhex(frame.secret), text(frame.ticket),
      ...["grace", "ping", "dead", "window_bytes", "window_messages", "spread"].map((name) => uint(frame[name], 4)),
      uint(frame.addresses.length, 1), ...frame.addresses.map(text),
    ],
    RESUMED: () => ["received", "next", "last"].map((name) => uint(frame[name], 8)),
    TICKET: () => [text(frame.ticket)],
    DETACH: () => [
      uint(frame.code, 2), uint(ACTIONS.indexOf(frame.action), 1), uint(frame.wait, 4), uint(frame.epoch, 4), text(frame.address),
      text(frame.reason),
    ],
    DATA: () => [message.bytes],
    PING: () => [uint(frame.number, 8)],
    PONG: () => [uint(frame.number, 8)],
    CLOSE: () => [uint(frame.code, 2), text(frame.reason)],
  };  // prettier-ignore
  const flags = frame.flags ?? (message?.text ? 1 : 0);
  const body = Buffer.concat(bodies[frame.type]?.() ?? []);
  return new Uint8Array(Buffer.concat([uint(type, 1), uint(flags, 1), uint(frame.seq, 4), uint(frame.ack, 4), body]));
}

/** A frame, read with the package's reader as far as it has one. Null: bad. */
export function decode(bytes) {
  const { readFields } = rejoin;
  const head = readFields(bytes, "1144");
  if (!head) return null;
  const [type, flags, seq, ack] = head;
  const name = NAMES[type];
  if (!name && type < 0x20) return null;
  const frame = { type: name ?? "0x" + type.toString(16), flags, seq, ack };
  const body = bytes.subarray(10);
  const fields = {
    HELLO: ["1", "version"],  // its byte strings are below
    WELCOME: [rejoin.WELCOME, "version", "secret", "ticket", "grace", "ping", "dead", "window_bytes", "window_messages", "spread", "addresses"],
    RESUME: ["b48", "ticket", "epoch", "received"],
    RESUMED: [rejoin.RESUMED, "received", "next", "last"],
    TICKET: [rejoin.TICKET, "ticket"],
    DETACH: [rejoin.DETACH, "code", "action", "wait", "epoch", "address", "reason"],
    PING: ["8", "number"],
    PONG: ["8", "number"],
    CLOSE: [rejoin.CLOSE, "code", "reason"],
  }[name];
  if (fields) {
    const values = readFields(body, fields[0]);
    if (!values) return null;
    fields.slice(1).forEach((field, i) => (frame[field] = values[i]));
  }
  if (name === "DATA") Object.assign(frame, flags & 1 ? { text: rejoin.fromUtf8(body) } : { hex: hex(body) });
  if (name === "DATA" && frame.text === null) return null;
  if (name === "RESUMED" && (frame.next === 0 || frame.next > frame.last + 1)) return null;
  if (name === "DETACH") {
    if (frame.action > 3) return null;
    frame.action = ACTIONS[frame.action];
  }
  if (name === "WELCOME") frame.secret = hex(frame.secret);
  if (name === "HELLO") {
    const [, identity, application] = readFields(body, "1bb") ?? [];
    if (application === undefined) return null;
    Object.assign(frame, { identity: Buffer.from(identity, "latin1").toString("hex"), application: Buffer.from(application, "latin1").toString("hex") });
  }
  if (name === "RESUME") frame.proof = hex(body.subarray(-32));
  for (const wide of ["received", "next", "last"]) if (wide in frame) frame[wide] = String(frame[wide]);
  // Answered with its very bytes.
  if ("number" in frame) frame.number = String(Buffer.from(body).readBigUInt64BE());
  return frame;
}
