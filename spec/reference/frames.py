"""Frames of rejoin.v1 as dictionaries: encode() and decode(). Written from spec/resume.md, not from the C++ code.

Byte strings are hex, texts (tickets, addresses, reasons) are text, 64-bit numbers are decimal strings, since JavaScript reads
these dictionaries as JSON. A DATA has its message as `text`, `hex` or `zeros` (so many zero bytes).
"""

import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode

NAMES = {
    0x01: "HELLO", 0x02: "WELCOME", 0x03: "RESUME", 0x04: "RESUMED", 0x05: "TICKET", 0x06: "DETACH",
    0x10: "DATA", 0x11: "ACK", 0x12: "PING", 0x13: "PONG", 0x14: "CLOSE",
}  # fmt: skip
TYPES = {name: number for number, name in NAMES.items()}
ACTIONS = ["move", "again", "login", "stop"]
FLAG_TEXT = 0x01
HELLO_MAX, RESUME_MAX, ITEM_MAX, REASON_MAX = 16 * 1024, 1024, 2048, 100
ITEM_PREFIX = "rejoin.v1.resume."
TIMES = ["grace", "ping", "dead", "window_bytes", "window_messages", "spread"]


class Bad(Exception):
    """A bad frame (4400); the text says why."""


def proof_of(secret, proven):
    return hmac.new(secret, b"rejoin.v1 resume" + proven, hashlib.sha256).digest()


def item_of(frame):
    item = ITEM_PREFIX + urlsafe_b64encode(frame).decode().rstrip("=")
    return item if len(item) <= ITEM_MAX else None


def frame_in_item(item):
    """The bytes in an item, or None. Strict: one text for each byte string."""
    if len(item) > ITEM_MAX or not item.startswith(ITEM_PREFIX):
        return None
    text = item[len(ITEM_PREFIX) :]
    try:
        frame = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return frame if item_of(frame) == item else None


def reason_bytes(reason):
    """At most 100 bytes, ending at a character's border; nothing of what is no UTF-8."""
    cut = reason[:REASON_MAX]
    while len(reason) > len(cut) and cut and reason[len(cut)] & 0xC0 == 0x80:
        cut = cut[:-1]
    try:
        cut.decode()
    except UnicodeDecodeError:
        return b""
    return cut


def message_of(fields):
    """(is it text, bytes) of a dictionary with `text`, `hex` or `zeros`."""
    if "text" in fields:
        return True, fields["text"].encode()
    return False, bytes(fields["zeros"]) if "zeros" in fields else bytes.fromhex(fields["hex"])


def message_fields(is_text, message):
    if is_text:
        return {"text": message.decode()}
    if len(message) > 64 and not any(message):
        return {"zeros": len(message)}
    return {"hex": message.hex()}


def u8(value):
    return struct.pack(">B", value)


def u16(value):
    return struct.pack(">H", value)


def u32(value):
    return struct.pack(">I", int(value) & 0xFFFFFFFF)


def u64(value):
    return struct.pack(">Q", int(value))


def string(value):
    return u16(len(value)) + value


def body_of(kind, f):
    if kind == "HELLO":
        return u8(f["version"]) + string(bytes.fromhex(f["identity"])) + string(bytes.fromhex(f["application"]))
    if kind == "WELCOME":
        body = u8(f["version"]) + bytes.fromhex(f["secret"]) + string(f["ticket"].encode())
        body += b"".join(u32(f[name]) for name in TIMES)
        return body + u8(len(f["addresses"])) + b"".join(string(a.encode()) for a in f["addresses"])
    if kind == "RESUME":
        return string(f["ticket"].encode()) + u32(f["epoch"]) + u64(f["received"])
    if kind == "RESUMED":
        return u64(f["received"]) + u64(f["next"]) + u64(f["last"])
    if kind == "TICKET":
        return string(f["ticket"].encode())
    if kind == "DETACH":
        body = u16(f["code"]) + u8(ACTIONS.index(f["action"])) + u32(f.get("wait", 0)) + u32(f.get("epoch", 0))
        return body + string(f.get("address", "").encode()) + string(reason_bytes(f.get("reason", "").encode()))
    if kind == "DATA":
        return message_of(f)[1]
    if kind in ("PING", "PONG"):
        return u64(f["number"])
    if kind == "CLOSE":
        return u16(f["code"]) + string(reason_bytes(f.get("reason", "").encode()))
    return b""


def encode(f, secret=None):
    """The bytes of a frame. A RESUME is proven with `secret`."""
    kind = f["type"]
    flags = f.get("flags", FLAG_TEXT if kind == "DATA" and "text" in f else 0)
    frame = u8(TYPES[kind]) + u8(flags) + u32(f.get("seq", 0)) + u32(f.get("ack", 0)) + body_of(kind, f)
    return frame + proof_of(secret, frame) if kind == "RESUME" else frame


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, count, what):
        if len(self.data) < count:
            raise Bad(f"{what} runs past the end")
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, count, what):
        return int.from_bytes(self.take(count, what), "big")

    def string(self, what):
        return self.take(self.number(2, what), what)

    def text(self, what):
        return self.string(what).decode("utf-8", "surrogateescape")


def read_welcome(r):
    fields = {"version": r.number(1, "version"), "secret": r.take(32, "secret").hex(), "ticket": r.text("ticket")}
    for name in TIMES:
        fields[name] = r.number(4, name)
    fields["addresses"] = [r.text("addresses") for _ in range(r.number(1, "addresses"))]
    return fields


def read_resume(frame):
    if len(frame) > RESUME_MAX:
        raise Bad("above 1 KiB")
    if len(frame) < 10 + 32:
        raise Bad("proof runs past the end")
    r = Reader(frame[10:-32])
    return {"ticket": r.text("ticket"), "epoch": r.number(4, "epoch"), "received": str(r.number(8, "received")),
            "proof": frame[-32:].hex()}  # fmt: skip


def read_resumed(r):
    received, following, last = (r.number(8, name) for name in ("received", "next", "last"))
    if following == 0 or following - 1 > last:
        raise Bad("next is no number of a message, sent or to be sent next")
    return {"received": str(received), "next": str(following), "last": str(last)}


def read_detach(r):
    code, action = r.number(2, "code"), r.number(1, "action")
    fields = {"code": code, "wait": r.number(4, "wait"), "epoch": r.number(4, "epoch"), "address": r.text("address")}
    fields["reason"] = reason_bytes(r.string("reason")).decode()
    if action >= len(ACTIONS):
        raise Bad("action out of range")
    return {**fields, "action": ACTIONS[action]}


def decode(frame):
    """The dictionary of a frame's bytes; Bad. A type from 0x20 on has no fields: it is to be skipped."""
    if len(frame) < 10:
        raise Bad("shorter than a head")
    kind, flags, seq, ack = struct.unpack(">BBII", frame[:10])
    head = {"type": NAMES.get(kind, f"0x{kind:02x}"), "flags": flags, "seq": seq, "ack": ack}
    if kind >= 0x20:
        return head
    if kind not in NAMES:
        raise Bad("unknown type below 0x20")
    name, r = NAMES[kind], Reader(frame[10:])
    if name == "HELLO":
        if len(frame) > HELLO_MAX:
            raise Bad("above 16 KiB")
        head.update(version=r.number(1, "version"), identity=r.string("identity").hex(), application=r.string("application").hex())
    elif name == "WELCOME":
        head.update(read_welcome(r))
    elif name == "RESUME":
        head.update(read_resume(frame))
    elif name == "RESUMED":
        head.update(read_resumed(r))
    elif name == "TICKET":
        head.update(ticket=r.text("ticket"))
    elif name == "DETACH":
        head.update(read_detach(r))
    elif name == "DATA":
        try:
            head.update(message_fields(bool(flags & FLAG_TEXT), frame[10:]))
        except UnicodeDecodeError:
            raise Bad("text that is not UTF-8") from None
    elif name in ("PING", "PONG"):
        head.update(number=str(r.number(8, "number")))
    elif name == "CLOSE":
        head.update(code=r.number(2, "code"), reason=reason_bytes(r.string("reason")).decode())
    return head


def unwrap(wire, near):
    """The 64-bit count nearest to `near` whose low 32 bits are `wire`; never below zero."""
    distance = (wire - near) & 0xFFFFFFFF
    if distance >= 1 << 31 and near + distance - (1 << 32) >= 0:
        distance -= 1 << 32
    return near + distance
