"""What a client does, told by hand from spec/resume.md. The reference client is held to it, and every other one."""

from script import (
    ack, client, close, closes, data, detach, dial, do, broke, got, hello, light, opened, out, ping, pong, raw, resume,
    resumed, send, text, ticket, told, waits, welcome,
)  # fmt: skip

WRAP = 2**32

# --- the ordinary course ---
client(
    "login", "HELLO, WELCOME, an ACK at once, and the first messages of both kinds",
    *opened(),
    send(text("hi"), out(1, data(1, 0, "hi"))),
    got(1, data(1, 1, "hello"), told("message", text="hello")),
    send({"hex": "00ff"}, out(1, data(2, 1, hex="00ff"))),
    send(text(""), out(1, data(3, 1, ""))),
    got(1, data(2, 3, hex=""), told("message", hex="")),
)  # fmt: skip
client(
    "login-lost", "a HELLO that nothing answered is said again",
    dial(1, out(1, hello())),
    broke(1),
    dial(2, out(2, hello())),
    got(2, welcome(), told("opened"), out(2, ack(0))),
)  # fmt: skip
client(
    "login-later", "a HELLO that came too fast is said again after the wait, on a new link",
    dial(1, out(1, hello())),
    got(1, detach(4429, "again", wait=1000), told("sent_away", code=4429, wait=1000, address=""), closes(1)),
    dial(2, out(2, hello()), after=1000),
)  # fmt: skip
client(
    "version", "a gateway that speaks none of the client's versions",
    dial(1, out(1, hello())),
    got(1, detach(4406, "stop"), told("ended", code=4406), closes(1)),
)  # fmt: skip
client(
    "ping", "a PING is answered with its number and the acknowledgement",
    *opened(),
    got(1, data(1, 0, "a"), told("message", text="a")),
    got(1, ping("18446744073709551615", 0), out(1, pong("18446744073709551615", 1))),
)  # fmt: skip

# --- break and resume ---
client(
    "resume", "each side sends again what the other has not read, and no more",
    *opened(),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    send(text("c2"), out(1, data(2, 0, "c2"))),
    send(text("c3"), out(1, data(3, 0, "c3"))),
    got(1, data(1, 1, "g1"), told("message", text="g1")),
    got(1, data(2, 1, "g2"), told("message", text="g2")),
    broke(1),
    send(text("c4")),
    dial(2, out(2, resume(2, 2))),
    got(2, resumed(2, 3, 4, 1), told("resumed", whole=True, to_come=2),
        out(2, ack(2)), out(2, data(3, 2, "c3")), out(2, data(4, 2, "c4"))),
    got(2, data(3, 2, "g3"), told("message", text="g3")),
    got(2, data(4, 4, "g4"), told("message", text="g4")),
    send(text("c5"), out(2, data(5, 4, "c5"))),
)  # fmt: skip
client(
    "received-frees-nothing", "what the gateway read and has not acknowledged is not sent again, and stays held",
    *opened(window_messages=4),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    send(text("c2"), out(1, data(2, 0, "c2"))),
    send(text("c3"), out(1, data(3, 0, "c3"))),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, resumed(2, 1, 0, 1), told("resumed", whole=True, to_come=0), out(2, ack(0)), out(2, data(3, 0, "c3"))),
    send(text("c4"), out(2, data(4, 0, "c4"))),
    send(text("c5"), out(2, data(5, 0, "c5"))),
    send(text("c6"), out(2, ping())),
    got(2, ack(2), out(2, data(6, 0, "c6"))),
    broke(2),
    dial(3, out(3, resume(3, 0))),
    got(3, resumed(4, 1, 0, 2), told("resumed", whole=True, to_come=0),
        out(3, ack(0)), out(3, data(5, 0, "c5")), out(3, data(6, 0, "c6"))),
)  # fmt: skip
client(
    "resumed-lost", "a lost answer costs another dial and needs no rule",
    *opened(),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    broke(2),
    dial(3, out(3, resume(3, 0))),
    got(3, resumed(0, 1, 1, 0), told("resumed", whole=True, to_come=1), out(3, ack(0)), out(3, data(1, 0, "c1"))),
    got(3, data(1, 1, "g1"), told("message", text="g1")),
)  # fmt: skip
client(
    "dial-unanswered", "a dial that nothing answered is given up after 5 s",
    *opened(),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    waits(4999),
    dial(3, closes(2), out(3, resume(3, 0)), after=1),
)  # fmt: skip
client(
    "resumed-twice", "replay goes on where the second link broke",
    *opened(),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, resumed(0, 1, 3, 0), told("resumed", whole=True, to_come=3), out(2, ack(0))),
    got(2, data(1, 0, "g1"), told("message", text="g1")),
    broke(2),
    dial(3, out(3, resume(3, 1))),
    got(3, resumed(0, 2, 3, 0), told("resumed", whole=True, to_come=2), out(3, ack(1))),
    got(3, data(2, 0, "g2"), told("message", text="g2")),
)  # fmt: skip

# --- sequence and acknowledgement ---
client(
    "duplicate", "DATA that was read before is dropped; its acknowledgement counts",
    *opened(window_messages=4),
    got(1, data(1, 0, "g1"), told("message", text="g1"), out(1, ack(1))),
    send(text("c1"), out(1, data(1, 1, "c1"))),
    got(1, data(1, 1, "g1")),
    got(1, data(2, 1, "g2"), told("message", text="g2"), out(1, ack(2))),
)  # fmt: skip
client(
    "seq-ahead", "a gap is a bad frame: the link is closed (4400), and nothing of the frame counts",
    *opened(),
    got(1, data(2, 0, "g2"), told("bad_frame"), closes(1, 4400)),
    dial(2, out(2, resume(2, 0))),
    got(2, resumed(0, 1, 2, 0), told("resumed", whole=True, to_come=2), out(2, ack(0))),
    got(2, data(1, 0, "g1"), told("message", text="g1")),
    got(2, data(2, 0, "g2"), told("message", text="g2")),
)  # fmt: skip
client(
    "text-not-utf8", "so is text that is not UTF-8, and it was not read",
    *opened(),
    got(1, raw("10010000000100000000" "c328"), told("bad_frame"), closes(1, 4400)),
    dial(2, out(2, resume(2, 0))),
)  # fmt: skip
client(
    "ack-beyond", "so is an acknowledgement of what was never sent",
    *opened(),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    got(1, ack(2), told("bad_frame"), closes(1, 4400)),
    dial(2, out(2, resume(2, 0))),
    got(2, resumed(0, 1, 0, 0), told("resumed", whole=True, to_come=0), out(2, ack(0)), out(2, data(1, 0, "c1"))),
)  # fmt: skip
client(
    "ack-lower", "a lower acknowledgement than before is ignored",
    *opened(window_messages=2),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    send(text("c2"), out(1, data(2, 0, "c2"))),
    got(1, ack(2)),
    got(1, ack(1)),
    send(text("c3"), out(1, data(3, 0, "c3"))),
    send(text("c4"), out(1, data(4, 0, "c4"))),
)  # fmt: skip
client(
    "wrap", "both counts pass 2^32; the client lost its memory, so RESUMED brings them",
    dial(1, out(1, resume(2, 0))),
    got(1, resumed(WRAP - 2, WRAP - 2, WRAP, WRAP - 2), told("resumed", whole=False, to_come=3), out(1, ack(WRAP - 3))),
    got(1, data(WRAP - 2, WRAP - 2, "a"), told("message", text="a")),
    got(1, data(WRAP - 1, WRAP - 2, "b"), told("message", text="b")),
    send(text("c"), out(1, data(WRAP - 1, WRAP - 1, "c"))),
    got(1, data(0, WRAP - 1, "d"), told("message", text="d")),
    send(text("e"), out(1, data(0, 0, "e"))),
    got(1, data(1, WRAP - 1, "f"), told("message", text="f")),
    send(text("g"), out(1, data(1, 1, "g"))),
    got(1, data(0, 0, "d")),
    got(1, ack(0)),
    got(1, ack(WRAP - 1)),
    broke(1),
    dial(2, out(2, resume(3, WRAP + 1))),
    got(2, resumed(WRAP, WRAP + 2, WRAP + 1, 0), told("resumed", whole=True, to_come=0),
        out(2, ack(1)), out(2, data(1, 1, "g"))),
    got(2, ack(2), told("bad_frame"), closes(2, 4400)),
    session=light(),
)  # fmt: skip
client(
    "skips-what-it-does-not-know", "flags, bytes behind the known fields, types from 0x20 on (whose ack counts)",
    *opened(window_messages=1),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    got(1, raw("2a070000000900000001" "abcdef")),
    send(text("c2"), out(1, data(2, 0, "c2"))),
    got(1, raw("10fe0000000100000001" "00"), told("message", hex="00"), out(1, ack(1))),
    got(1, raw("12ff0000000900000001" "0000000000000005" "eeee"), out(1, pong("5", 1))),
)  # fmt: skip
client(
    "unknown-type", "a type below 0x20 that it does not know is a bad frame",
    *opened(),
    got(1, raw("15000000000000000000"), told("bad_frame"), closes(1, 4400)),
    dial(2, out(2, resume(2, 0))),
)  # fmt: skip

# --- acknowledging ---
client(
    "ack-after-200-ms", "what no frame has borne leaves 200 ms after the first that is owed",
    *opened(),
    got(1, data(1, 0, "a"), told("message", text="a")),
    waits(150),
    got(1, data(2, 0, "b"), told("message", text="b")),
    waits(49),
    waits(1, out(1, ack(2))),
    waits(1000),
    got(1, data(3, 0, "c"), told("message", text="c")),
    waits(100),
    send(text("x"), out(1, data(1, 3, "x"))),
    waits(1000),
)  # fmt: skip
client(
    "ack-after-32", "or after 32 messages",
    *opened(),
    *[got(1, data(n, 0, hex="00"), told("message", hex="00")) for n in range(1, 32)],
    got(1, data(32, 0, hex="00"), told("message", hex="00"), out(1, ack(32))),
    got(1, data(33, 0, hex="00"), told("message", hex="00")),
)  # fmt: skip
client(
    "ack-after-16-kib", "or after 16 KiB",
    *opened(),
    got(1, data(1, 0, zeros=8192), told("message", zeros=8192)),
    got(1, data(2, 0, zeros=8191), told("message", zeros=8191)),
    got(1, data(3, 0, hex="00"), told("message", hex="00"), out(1, ack(3))),
)  # fmt: skip
client(
    "ack-after-a-quarter", "or after a quarter of the window, in bytes or in messages",
    *opened(window_messages=12, window_bytes=400),
    got(1, data(1, 0, "a"), told("message", text="a")),
    got(1, data(2, 0, "b"), told("message", text="b")),
    got(1, data(3, 0, "c"), told("message", text="c"), out(1, ack(3))),
    got(1, data(4, 0, zeros=99), told("message", zeros=99)),
    got(1, data(5, 0, "d"), told("message", text="d"), out(1, ack(5))),
)  # fmt: skip
client(
    "window", "who waits for window sends one PING, and goes on when there is room",
    *opened(window_messages=2),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    send(text("c2"), out(1, data(2, 0, "c2"))),
    send(text("c3"), out(1, ping())),
    send(text("c4")),
    got(1, pong("last", 0)),
    got(1, ack(1), out(1, data(3, 0, "c3")), out(1, ping())),
    got(1, pong("last", 3), out(1, data(4, 0, "c4"))),
)  # fmt: skip
client(
    "window-bytes", "the window counts bytes as well",
    *opened(window_bytes=100),
    send({"zeros": 100}, out(1, data(1, 0, zeros=100))),
    got(1, ack(1)),
    send({"zeros": 70}, out(1, data(2, 0, zeros=70))),
    send(text("these thirty bytes fit exactly"), out(1, data(3, 0, "these thirty bytes fit exactly"))),
    send(text("!"), out(1, ping())),
    got(1, pong("last", 2), out(1, data(4, 0, "!"))),
)  # fmt: skip

# --- epochs and take-over ---
client(
    "epoch-used", "4412 tells the epoch: the client counts on from there, on the same link",
    *opened(),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, detach(4412, "again", epoch=7), told("sent_away", code=4412, wait=0, address=""), out(2, resume(8, 0))),
    got(2, resumed(0, 1, 0, 0), told("resumed", whole=True, to_come=0), out(2, ack(0))),
)  # fmt: skip
client(
    "epoch-used-twice", "one link takes two opening frames at the most",
    *opened(),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, detach(4412, "again", epoch=7), told("sent_away", code=4412, wait=0, address=""), out(2, resume(8, 0))),
    got(2, detach(4412, "again", epoch=9), told("sent_away", code=4412, wait=0, address=""), closes(2)),
    dial(3, out(3, resume(10, 0))),
)  # fmt: skip
client(
    "dial-beside", "after a hint: PING, 2 s, a dial beside the link, which serves on until RESUMED",
    *opened(),
    do("hint", out(1, ping())),
    dial(2, out(2, resume(2, 0)), after=2000),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    got(1, data(1, 0, "g1"), told("message", text="g1")),
    got(2, resumed(0, 1, 2, 0), told("resumed", whole=True, to_come=2), closes(1),
        out(2, ack(1)), out(2, data(1, 1, "c1"))),
    got(2, data(1, 0, "g1")),
    got(2, data(2, 0, "g2"), told("message", text="g2")),
)  # fmt: skip
client(
    "hint-answered", "a PONG within 2 s, and nothing is dialled",
    *opened(),
    do("hint", out(1, ping())),
    waits(1999),
    got(1, pong("last")),
    waits(10000),
    send(text("c1"), out(1, data(1, 0, "c1"))),
)  # fmt: skip
client(
    "owes-a-resume", "who has sent a RESUME dials on until one is answered, even if the older link lives",
    *opened(),
    do("hint", out(1, ping())),
    dial(2, out(2, resume(2, 0)), after=2000),
    got(1, pong("last")),
    broke(2),
    dial(3, out(3, resume(3, 0))),
    got(3, resumed(0, 1, 0, 0), told("resumed", whole=True, to_come=0), closes(1), out(3, ack(0))),
)  # fmt: skip
client(
    "login-beside", "`login` on a dial beside a link that lives is a failed dial",
    *opened(),
    do("hint", out(1, ping())),
    dial(2, out(2, resume(2, 0)), after=2000),
    got(2, detach(4401, "login"), told("sent_away", code=4401, wait=0, address=""), closes(2)),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    dial(3, out(3, resume(3, 0))),
)  # fmt: skip
client(
    "replaced-by-itself", "4409 with an epoch that it has itself reached: its own dial did it",
    *opened(),
    do("hint", out(1, ping())),
    dial(2, out(2, resume(2, 0)), after=2000),
    got(1, detach(4409, "stop", epoch=2), closes(1)),
    send(text("c1")),
    got(2, resumed(0, 1, 0, 0), told("resumed", whole=True, to_come=0), out(2, ack(0)), out(2, data(1, 0, "c1"))),
)  # fmt: skip
client(
    "replaced-by-itself-and-lost", "and when that dial was lost, it dials on",
    *opened(),
    do("hint", out(1, ping())),
    dial(2, out(2, resume(2, 0)), after=2000),
    got(1, detach(4409, "stop", epoch=2), closes(1)),
    broke(2),
    dial(3, out(3, resume(3, 0))),
)  # fmt: skip
client(
    "replaced-by-a-copy", "4409 with a higher epoch: a copy of it plays on; it stops and says so",
    *opened(),
    got(1, detach(4409, "stop", epoch=2), told("ended", code=4409), closes(1)),
    waits(60000),
)  # fmt: skip

# --- a client that lost its memory ---
client(
    "kept-not-whole", "received 0, nothing numbered before RESUMED; counts from it; the application hears `not whole`",
    send(text("c1")),
    dial(1, out(1, resume(2, 0))),
    got(1, resumed(5, 8, 9, 5), told("resumed", whole=False, to_come=2), out(1, ack(7)), out(1, data(6, 7, "c1"))),
    got(1, data(8, 5, "g8"), told("message", text="g8")),
    got(1, data(9, 6, "g9"), told("message", text="g9")),
    broke(1),
    dial(2, out(2, resume(3, 9))),
    got(2, resumed(6, 10, 9, 6), told("resumed", whole=True, to_come=0), out(2, ack(9))),
    session=light(),
)  # fmt: skip
client(
    "window-of-the-forgotten", "what it does not remember may fill the window: nothing is sent until all of it is accepted",
    send(text("c1")),
    dial(1, out(1, resume(2, 0))),
    got(1, resumed(5, 1, 0, 3), told("resumed", whole=False, to_come=0), out(1, ack(0)), out(1, ping())),
    got(1, ack(4)),
    got(1, pong("last", 5), out(1, data(6, 0, "c1"))),
    session=light(),
)  # fmt: skip
client(
    "memory-lost-and-link-too", "until a RESUMED came it knows no counts, over any number of dials",
    dial(1, out(1, resume(42, 0))),
    broke(1),
    dial(2, out(2, resume(43, 0))),
    got(2, resumed(0, 3, 2, 0), told("resumed", whole=False, to_come=0), out(2, ack(2))),
    got(2, data(3, 0, "g3"), told("message", text="g3")),
    session=light(epoch=41),
)  # fmt: skip
client(
    "counts-do-not-fit", "in any other client: received above what it sent, and the session is given up",
    *opened(),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, resumed(2, 1, 0, 0), told("lost", code=4401), closes(2)),
    dial(3, out(3, hello())),
)  # fmt: skip
client(
    "counts-below-acked", "or below what was acknowledged",
    *opened(),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    got(1, ack(1)),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, resumed(0, 1, 0, 0), told("lost", code=4401), closes(2)),
    dial(3, out(3, hello())),
)  # fmt: skip
client(
    "counts-with-a-gap", "or next above its own + 1",
    *opened(),
    got(1, data(1, 0, "g1"), told("message", text="g1")),
    broke(1),
    dial(2, out(2, resume(2, 1))),
    got(2, resumed(0, 3, 3, 0), told("lost", code=4401), closes(2)),
    dial(3, out(3, hello())),
)  # fmt: skip

client(
    "counts-acked-and-not-received", "or acknowledged what was not received",
    *opened(),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, resumed(0, 1, 0, 1), told("lost", code=4401), closes(2)),
    dial(3, out(3, hello())),
)  # fmt: skip

# --- DETACH ---
client(
    "detach-move", "the link serves on; the client dials beside it, at the address that was told",
    *opened(),
    got(1, detach(1012, "move", wait=5000, address="tcp://b.example:4000"),
        told("move", code=1012, wait=5000, address="tcp://b.example:4000")),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    dial(2, out(2, resume(2, 0))),
    got(1, data(1, 1, "g1"), told("message", text="g1")),
    got(2, resumed(1, 2, 1, 1), told("resumed", whole=True, to_come=0), closes(1), out(2, ack(1))),
)  # fmt: skip
client(
    "detach-again", "RESUME after the wait, at the address",
    *opened(),
    got(1, detach(1012, "again", wait=300, address="tcp://b.example:4000"),
        told("sent_away", code=1012, wait=300, address="tcp://b.example:4000"), closes(1)),
    dial(2, out(2, resume(2, 0)), after=300),
)  # fmt: skip
client(
    "owner-not-reachable", "4404 in answer to a RESUME: the session may come back, so it comes again",
    *opened(),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, detach(4404, "again", wait=500), told("sent_away", code=4404, wait=500, address=""), closes(2)),
    dial(3, out(3, resume(3, 0)), after=500),
)  # fmt: skip
client(
    "detach-login", "4401: the session is gone, HELLO follows on the same link",
    *opened(),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, detach(4401, "login"), told("lost", code=4401), out(2, hello())),
    got(2, welcome(ticket="ticket-2"), told("opened"), out(2, ack(0))),
    send(text("new"), out(2, data(1, 0, "new"))),
    broke(2),
    dial(3, out(3, resume(2, 0, ticket="ticket-2"))),
)  # fmt: skip
client(
    "detach-login-again", "a second refusal on that link: a new one is dialled",
    *opened(),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, detach(4412, "again", epoch=3), told("sent_away", code=4412, wait=0, address=""), out(2, resume(4, 0))),
    got(2, detach(4401, "login"), told("lost", code=4401), closes(2)),
    dial(3, out(3, hello())),
)  # fmt: skip
client(
    "ended-while-away", "`login` with another code tells how the session ended, to who could prove",
    *opened(),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, detach(4410, "login"), told("ended", code=4410), closes(2)),
)  # fmt: skip
client(
    "detach-stop", "it does not come back of itself",
    *opened(),
    got(1, detach(1001, "stop"), told("ended", code=1001), closes(1)),
    waits(60000),
)  # fmt: skip
client(
    "three-bad-frames", "after three in a row, given or taken, HELLO",
    *opened(),
    got(1, data(7, 0, "?"), told("bad_frame"), closes(1, 4400)),
    dial(2, out(2, resume(2, 0))),
    got(2, resumed(0, 1, 0, 0), told("resumed", whole=True, to_come=0), out(2, ack(0))),
    got(2, detach(4400, "again"), told("sent_away", code=4400, wait=0, address=""), closes(2)),
    dial(3, out(3, resume(3, 0))),
    got(3, detach(4400, "again"), told("lost", code=4400), closes(3)),
    dial(4, out(4, hello())),
)  # fmt: skip
client(
    "bad-frames-apart", "a message that was taken in between breaks the row",
    *opened(),
    got(1, data(7, 0, "?"), told("bad_frame"), closes(1, 4400)),
    dial(2, out(2, resume(2, 0))),
    got(2, data(1, 0, "?"), told("bad_frame"), closes(2, 4400)),
    dial(3, out(3, resume(3, 0))),
    got(3, resumed(0, 1, 1, 0), told("resumed", whole=True, to_come=1), out(3, ack(0))),
    got(3, data(1, 0, "g1"), told("message", text="g1")),
    got(3, data(7, 0, "?"), told("bad_frame"), closes(3, 4400)),
    dial(4, out(4, resume(4, 1))),
)  # fmt: skip
client(
    "bad-frames-apart-by-an-ack", "so does an acknowledgement that freed something",
    *opened(),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    got(1, data(7, 0, "?"), told("bad_frame"), closes(1, 4400)),
    dial(2, out(2, resume(2, 0))),
    got(2, ack(0), told("bad_frame"), closes(2, 4400)),
    dial(3, out(3, resume(3, 0))),
    got(3, resumed(1, 1, 0, 0), told("resumed", whole=True, to_come=0), out(3, ack(0))),
    got(3, ack(1)),
    got(3, data(7, 1, "?"), told("bad_frame"), closes(3, 4400)),
    dial(4, out(4, resume(4, 0))),
)  # fmt: skip

# --- life and end ---
client(
    "ticket", "a newer ticket is stored, and the next RESUME bears it",
    *opened(),
    got(1, ticket("ticket-2"), told("renewed")),
    broke(1),
    dial(2, out(2, resume(2, 0, ticket="ticket-2"))),
)  # fmt: skip
client(
    "close", "the application ends the session: CLOSE behind the last message, answered by CLOSE",
    *opened(),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    do("close", out(1, close(1000, reason="bye", ack=0)), code=1000, reason="bye"),
    got(1, ack(1)),
    got(1, close(1000, ack=1), told("ended", code=1000)),
)  # fmt: skip
client(
    "closed", "the gateway ends it: CLOSE is answered",
    *opened(),
    got(1, data(1, 0, "last words"), told("message", text="last words")),
    got(1, close(4411, ack=0), told("ended", code=4411), out(1, close(4411))),
    waits(60000),
)  # fmt: skip
client(
    "close-while-away", "a closing client whose link is gone dials once more to say it",
    *opened(),
    send(text("c1"), out(1, data(1, 0, "c1"))),
    broke(1),
    do("close", code=1000, reason=""),
    dial(2, out(2, resume(2, 0))),
    got(2, resumed(0, 1, 0, 0), told("resumed", whole=True, to_come=0),
        out(2, ack(0)), out(2, data(1, 0, "c1")), out(2, close(1000))),
    got(2, close(1000, ack=1), told("ended", code=1000)),
)  # fmt: skip
client(
    "close-answer-lost", "its answer was lost: the gateway knows how the session ended",
    *opened(),
    do("close", out(1, close(1000)), code=1000, reason=""),
    broke(1),
    dial(2, out(2, resume(2, 0))),
    got(2, detach(1000, "login"), told("ended", code=1000), closes(2)),
)  # fmt: skip
client(
    "close-and-session-gone", "or nothing any more",
    *opened(),
    broke(1),
    do("close", code=1000, reason=""),
    dial(2, out(2, resume(2, 0))),
    got(2, detach(4401, "login"), told("ended", code=1000), closes(2)),
)  # fmt: skip
