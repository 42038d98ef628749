#!/usr/bin/env python3
"""Writes spec/vectors/*.json: an implementation of rejoin.v1 that shares nothing with the C++ one. What is checked in is what the
tests read; this is run when the text changes, and `--check` says whether the files are what it would write.

Needs Debian's python3-cryptography for tickets.json; `--check` without it looks at the other files only.
"""

import json
import sys
from pathlib import Path

SPEC = Path(__file__).resolve().parent
sys.path.insert(0, str(SPEC / "reference"))

import client_conversations  # noqa: E402, F401
import frames  # noqa: E402
import gateway_conversations  # noqa: E402, F401
from script import CONVERSATIONS, SECRET, TERMS  # noqa: E402

K = bytes.fromhex(SECRET)
U64_MAX = str(2**64 - 1)


# ---- frames.json
def frame(name, **fields):
    encoded = frames.encode(fields, K)
    return {"name": name, "hex": encoded.hex(), "frame": frames.decode(encoded), "canonical": True}


def read_only(name, encoded):
    """A reader takes it; a writer of today writes something else, or nothing."""
    return {"name": name, "hex": encoded.hex(), "frame": frames.decode(encoded), "canonical": False}


def bad(name, encoded):
    try:
        frames.decode(encoded)
    except frames.Bad as why:
        return {"name": name, "hex": encoded.hex(), "why": str(why)}
    raise AssertionError(f"{name} is no bad frame")


def some_frames():
    welcome = {"type": "WELCOME", "version": 1, "secret": SECRET, "ticket": "a-ticket", **TERMS, "spread": 1000}
    detach = {"type": "DETACH", "code": 4412, "action": "again", "wait": 250, "epoch": 9, "address": "wss://b.example/play"}
    return [
        frame("HELLO", type="HELLO", version=1, identity=b"player-7".hex(), application=b"lobby".hex()),
        frame("HELLO of nothing", type="HELLO", version=255, identity="", application=""),
        frame("WELCOME", **welcome, addresses=[]),
        frame("WELCOME with addresses", **welcome, addresses=["wss://g1.example/", "", "tcp://[2001:db8::1]:4000"]),
        frame("RESUME", type="RESUME", ticket="a-ticket", epoch=2, received="0"),
        frame("RESUME with the highest numbers", type="RESUME", ticket="t" * 968, epoch=2**32 - 1, received=U64_MAX),
        frame("RESUMED", type="RESUMED", ack=3, received="4", next="1", last="0"),
        frame("RESUMED beyond 2^32", type="RESUMED", ack=1, received="4294967297", next="4294967299", last=U64_MAX),
        frame("TICKET", type="TICKET", ack=7, ticket="a-newer-ticket"),
        *[frame(f"DETACH {action}", **{**detach, "action": action}, reason="why") for action in frames.ACTIONS],
        frame("DETACH with nothing", type="DETACH", code=4401, action="login"),
        frame("DETACH, reason of 100 bytes", **detach, reason="r" * 98 + "\u00e9"),
        frame("DATA text", type="DATA", seq=1, ack=0, text="h\u00e9llo \U0001f600"),
        frame("DATA binary", type="DATA", seq=2**32 - 1, ack=2**32 - 1, hex="00ff80"),
        frame("DATA empty text", type="DATA", seq=0, ack=1, text=""),
        frame("DATA empty binary", type="DATA", seq=2, ack=1, hex=""),
        frame("ACK", type="ACK", ack=32),
        frame("PING", type="PING", ack=1, number="1"),
        frame("PONG", type="PONG", ack=1, number=U64_MAX),
        frame("CLOSE", type="CLOSE", ack=9, code=1000, reason="bye"),
        frame("CLOSE without a reason", type="CLOSE", ack=9, code=4411),
    ]


def frames_from_elsewhere():
    later = b"\x00more of a later version"
    head = frames.encode({"type": "RESUME", "ticket": "a-ticket", "epoch": 2, "received": "0"}, K)[:-32] + later
    reasons = {
        "of 101 bytes": b"r" * 101,
        "whose 100th byte is in a character": b"r" * 99 + "\u00e9".encode(),
        "of 1,000 bytes": b"r" * 1000,
        "that is no UTF-8": b"\xff\xfe",
    }
    closing = bytes.fromhex("14000000000000000000" "113a")
    detaching = bytes.fromhex("06000000000000000000" "113a" "01" "00000000" "00000000" "0000")
    return [
        *[read_only(f"{one['name']}, bytes behind the fields", bytes.fromhex(one["hex"]) + later)
          for one in some_frames() if one["frame"]["type"] not in ("DATA", "RESUME")],
        read_only("RESUME, bytes before the proof", head + frames.proof_of(K, head)),
        read_only("RESUME, proof wrong (the codec does not look)", head + bytes(32)),
        read_only("unknown flags", bytes.fromhex("11fe0000000000000005")),
        read_only("unknown flags beside text", bytes.fromhex("10ff0000000100000005") + b"hi"),
        read_only("seq in a frame that has none", bytes.fromhex("11000000000900000005")),
        read_only("type 0x20", bytes.fromhex("20000000000000000005")),
        read_only("type 0xff, with a body", bytes.fromhex("ff0a0000000900000005") + later),
        *[read_only(f"CLOSE, a reason {what}", closing + frames.string(reason)) for what, reason in reasons.items()],
        *[read_only(f"DETACH, a reason {what}", detaching + frames.string(reason)) for what, reason in reasons.items()],
    ]  # fmt: skip


def bad_frames():
    whole = {one["name"]: bytes.fromhex(one["hex"]) for one in some_frames()}
    cuts = [bad("nothing", b"")]
    for name in ("HELLO", "WELCOME with addresses", "RESUME", "RESUMED", "TICKET", "DETACH again", "PING", "PONG", "CLOSE"):
        cuts.append(bad(f"{name}, a head that is cut", whole[name][:9]))
        cuts.append(bad(f"{name} without a body", whole[name][:10]))
        cuts.append(bad(f"{name}, the last byte missing", whole[name][:-1] if name != "RESUME" else whole[name][:20]))
    return cuts + [
        *[bad(f"type 0x{kind:02x}", bytes([kind]) + bytes(60)) for kind in (0x00, 0x07, 0x0F, 0x15, 0x1F)],
        bad("HELLO, identity longer than the frame", bytes.fromhex("01000000000000000000" "01" "0009" "6d65" "0000")),
        bad("HELLO above 16 KiB", bytes.fromhex("01000000000000000000" "01" "3ff2") + bytes(16370)),
        bad("WELCOME, one address fewer than counted", whole["WELCOME"][:-1] + b"\x01"),
        bad("RESUME above 1 KiB", frames.encode({"type": "RESUME", "ticket": "t" * 969, "epoch": 2, "received": "0"}, K)),
        bad("RESUME, ticket that reaches into the proof", bytes.fromhex("03000000000000000000" "0010") + bytes(48)),
        bad("RESUMED, next 0", bytes.fromhex("04000000000000000000") + frames.u64(0) * 3),
        bad("RESUMED, next beyond last", bytes.fromhex("04000000000000000000") + frames.u64(1) + frames.u64(3) + frames.u64(1)),
        bad("DETACH, action 4", whole["DETACH stop"][:12] + b"\x04" + whole["DETACH stop"][13:]),
        bad("DETACH, action 255", whole["DETACH stop"][:12] + b"\xff" + whole["DETACH stop"][13:]),
        bad("DATA text, overlong", bytes.fromhex("10010000000100000000" "c080")),
        bad("DATA text, cut in a character", bytes.fromhex("10010000000100000000" "68c3")),
        bad("DATA text, a surrogate", bytes.fromhex("10010000000100000000" "eda080")),
    ]


# ---- proofs.json
def proof(name, ticket, epoch, received, secret=SECRET, later=b""):
    fields = {"type": "RESUME", "ticket": ticket, "epoch": epoch, "received": received}
    proven = frames.encode(fields, b"")[:-32] + later
    proof_bytes = frames.proof_of(bytes.fromhex(secret), proven)
    return {"name": name, "secret": secret, "ticket": ticket, "epoch": epoch, "received": received, "later": later.hex(),
            "frame": (proven + proof_bytes).hex(), "proof": proof_bytes.hex(), "item": frames.item_of(proven + proof_bytes)}  # fmt: skip


def proofs():
    good = [
        proof("the first resume", "a-ticket", 2, "0"),
        proof("the next", "a-ticket", 3, "0"),
        proof("the highest numbers", "a-ticket", 2**32 - 1, U64_MAX),
        proof("another secret", "a-ticket", 2, "0", "00" * 32),
        proof("the longest ticket", "t" * 968, 2, "17"),
        proof("bytes of a later version", "a-ticket", 2, "0", later=b"\x00\x01 later"),
    ]
    first = bytes.fromhex(good[0]["frame"])
    changes = [
        ("proof, first bit", -32, 0x80), ("proof, last bit", -1, 0x01), ("flags", 1, 0x01), ("seq", 5, 0x01), ("ack", 9, 0x01),
        ("ticket", 12, 0x20), ("epoch", -32 - 9, 0x01), ("received", -32 - 1, 0x01),
    ]  # fmt: skip
    wrong = []
    for what, at, bit in changes:
        changed = bytearray(first)
        changed[at] ^= bit
        wrong.append({"name": f"a bit of it is not the same: {what}", "secret": SECRET, "frame": changed.hex()})
    wrong.append({"name": "another session's secret", "secret": "00" * 32, "frame": first.hex()})
    wrong.append({"name": "a byte put in before the proof", "secret": SECRET, "frame": (first[:-32] + b"\0" + first[-32:]).hex()})
    text = good[0]["item"]
    items = [
        {"item": text, "frame": first.hex()},
        {"item": frames.ITEM_PREFIX + "AwAA", "frame": "030000"},
        {"item": frames.item_of(bytes(1523)), "frame": bytes(1523).hex()},
        *[{"item": item, "frame": None} for item in (
            "", "rejoin.v1", "rejoin.v1.resume", "rejoin.v2" + text[9:], "REJOIN" + text[6:], text + "=", text + "AAA", text + " ",
            frames.ITEM_PREFIX + "A", frames.ITEM_PREFIX + "AwB", frames.ITEM_PREFIX + "Aw+/", frames.ITEM_PREFIX + "Aw==",
            frames.ITEM_PREFIX + "A" * 2032)],
    ]  # fmt: skip
    for one in items:
        found = frames.frame_in_item(one["item"])
        assert (found.hex() if found is not None else None) == one["frame"], one["item"]
    return {"good": good, "wrong": wrong, "items": items}


# ---- tickets.json
def tickets():
    import tickets as seal

    key, other = bytes(range(32)), bytes(range(32, 64))
    now, expiry = 1_700_000_000, 1_700_086_400
    session = "03" + "5e" * 15
    nonce = bytes(range(0xA0, 0xAC))
    plain = seal.plaintext_of(session, "proof", expiry, "g1")
    sealed = seal.sealed_bytes(key, nonce, plain)
    text = seal.text_of(sealed)
    fields = {"session": session, "kind": "proof", "expiry": expiry, "owner": "g1"}

    def one(name, **changed):
        its = {**fields, **changed}
        body = seal.plaintext_of(its["session"], its["kind"], its["expiry"], its["owner"])
        return {"name": name, "nonce": nonce.hex(), **its, "plaintext": body.hex(),
                "text": seal.text_of(seal.sealed_bytes(key, nonce, body))}  # fmt: skip

    def opened(name, ticket, state, at=now, its=None):
        return {"name": name, "text": ticket, "now": at, "state": state, "ticket": its}

    def flipped(at):
        changed = bytearray(sealed)
        changed[at] ^= 1
        return seal.text_of(bytes(changed))

    def with_plain(body):
        return seal.text_of(seal.sealed_bytes(key, nonce, body))

    return {
        "keys": [key.hex()], "key_id": seal.key_id(key).hex(),
        "sealed": [
            one("of a proof session"), one("of a cookie session", kind="cookie"), one("the longest owner", owner="g" * 64),
            one("other worker, other session", session="00" + "ff" * 15), one("the epoch of time", expiry=0),
        ],
        "opened": [
            opened("good", text, "ok", its=fields),
            opened("at its expiry", text, "ok", expiry, fields),
            opened("5 min of skew are forgiven", text, "ok", expiry + 300, fields),
            opened("and no more", text, "expired", expiry + 301, fields),
            opened("long ago", text, "expired", expiry + 10**9, fields),
            opened("a clock that is behind", text, "ok", 0, fields),
            opened("tag changed", flipped(-1), "forged"),
            opened("tag changed in front", flipped(-16), "forged"),
            opened("ciphertext changed", flipped(17), "forged"),
            opened("nonce changed", flipped(5), "forged"),
            opened("a cookie of the same key", seal.text_of(seal.sealed_bytes(key, nonce, plain, b"cookie\0")), "forged"),
            opened("no purpose", seal.text_of(seal.sealed_bytes(key, nonce, plain, b"")), "forged"),
            opened("key id of ours, sealed by another key",
                   seal.text_of(seal.sealed_bytes(key, nonce, plain)[:5] + seal.sealed_bytes(other, nonce, plain)[5:]), "forged"),
            opened("another key", seal.text_of(seal.sealed_bytes(other, nonce, plain)), "unknown_key"),
            opened("key id changed", flipped(1), "unknown_key"),
            opened("version 2, well sealed", seal.text_of(seal.sealed_bytes(key, nonce, plain, version=2)), "malformed"),
            opened("version changed", flipped(0), "malformed"),
            opened("kind 0", with_plain(seal.plaintext_of(session, 0, expiry, "g1")), "malformed"),
            opened("kind 3", with_plain(seal.plaintext_of(session, 3, expiry, "g1")), "malformed"),
            opened("no owner", with_plain(seal.plaintext_of(session, "proof", expiry, "")), "malformed"),
            opened("owner of 65 bytes", with_plain(seal.plaintext_of(session, "proof", expiry, "g" * 65)), "malformed"),
            opened("expiry beyond 2^63", with_plain(seal.plaintext_of(session, "proof", 2**63, "g1")), "malformed"),
            opened("plaintext cut", with_plain(plain[:20]), "malformed"),
            opened("empty", "", "malformed"),
            opened("no base64url", text[:-1] + "*", "malformed"),
            opened("base64 of the other alphabet", "+/" + text[2:], "malformed"),
            opened("padded", text + "=" * (-len(text) % 4 or 4), "malformed"),
            opened("cut to a head", seal.text_of(sealed[:32]), "malformed"),
            opened("one byte cut", seal.text_of(sealed[:-1]), "forged"),
            opened("one byte more", seal.text_of(sealed + b"\0"), "forged"),
        ],
    }  # fmt: skip


# ---- writing
def line(value):
    return json.dumps(value, ensure_ascii=True)


def lists(fields):
    """A dictionary of lists, an entry a line."""
    parts = []
    for name, value in fields.items():
        if isinstance(value, list):
            parts.append(f"  {line(name)}: [\n    " + ",\n    ".join(map(line, value)) + "\n  ]")
        else:
            parts.append(f"  {line(name)}: {line(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def scripts(conversations):
    """A step a line."""
    parts = []
    for one in conversations:
        head = ",\n     ".join(f"{line(name)}: {line(one[name])}" for name in ("name", "role", "about", "given"))
        steps = ",\n       ".join(map(line, one["steps"]))
        parts.append(f"    {{{head},\n     \"steps\": [\n       {steps}]}}")
    return '{\n  "secret": ' + line(SECRET) + ',\n  "conversations": [\n' + ",\n".join(parts) + "\n  ]\n}\n"


def files():
    yield "frames.json", lists({"secret": SECRET, "good": some_frames() + frames_from_elsewhere(), "bad": bad_frames()})
    yield "proofs.json", lists(proofs())
    yield "conversations.json", scripts(CONVERSATIONS)
    try:
        yield "tickets.json", lists(tickets())
    except ImportError:
        if "--check" not in sys.argv:
            sys.exit("tickets.json needs Debian's python3-cryptography")
        print("tickets.json was not looked at: no python3-cryptography")


def seeds(folder):
    """A corpus for a fuzz target: each frame a file, without the long ones; and an item."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, entries in (("good", some_frames() + frames_from_elsewhere()), ("bad", bad_frames())):
        for number, one in enumerate(entries):
            encoded = bytes.fromhex(one["hex"])
            if len(encoded) <= 2048:
                (folder / f"{kind}-{number:02}").write_bytes(encoded)
    (folder / "item").write_text(proofs()["good"][0]["item"])


def main():
    vectors = SPEC / "vectors"
    if "--check" in sys.argv:
        stale = [name for name, content in files() if (vectors / name).read_text() != content]
        print("\n".join(f"spec/vectors/{name} is not what make_vectors.py writes" for name in stale) or "up to date")
        return 1 if stale else 0
    if len(sys.argv) == 3 and sys.argv[1] == "--seeds":
        seeds(Path(sys.argv[2]))
        return 0
    vectors.mkdir(exist_ok=True)
    for name, content in files():
        json.loads(content)
        (vectors / name).write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
