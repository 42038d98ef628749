"""What a gateway does, told by hand from spec/resume.md. The reference gateway is held to it, and every other one."""

from script import (
    GAME_CLOSE, GAME_OPEN, ack, broke, close, closes, data, detach, do, game, gateway, got, hello, logged_in, out, ping,
    pong, raw, resume, resumed, text, ticket, to_game, told, waits, welcome,
)  # fmt: skip

WRAP = 2**32


def counts(epoch=1, sent=0, read=0):
    """A session that was there before: detached, all acknowledged and accepted, its game server connected."""
    return {"epoch": epoch, "sent": str(sent), "read": str(read)}


# --- the ordinary course ---
gateway(
    "login", "WELCOME; the game server is dialled when its answer came; the first messages of both kinds",
    got(1, hello(), out(1, welcome())),
    got(1, ack(0), GAME_OPEN),
    got(1, data(1, 0, "hi"), to_game(text="hi")),
    game(text("hello"), out(1, data(1, 1, "hello"))),
    got(1, data(2, 1, hex="00ff"), to_game(hex="00ff")),
    game({"hex": ""}, out(1, data(2, 2, hex=""))),
)  # fmt: skip
gateway(
    "login-unconfirmed", "a session whose WELCOME was not answered lives 10 s",
    got(1, hello(), out(1, welcome())),
    waits(9999),
    waits(1, told("ended"), out(1, detach(4401, "login")), closes(1)),
    got(2, resume(2, 0), out(2, detach(4401, "login"))),
)  # fmt: skip
gateway(
    "login-broken", "also when its link is gone",
    got(1, hello(), out(1, welcome())),
    broke(1),
    waits(9999),
    waits(1, told("ended")),
)  # fmt: skip
gateway(
    "version", "a client that speaks no version of ours",
    got(1, hello(version=0), out(1, detach(4406, "stop")), closes(1)),
)  # fmt: skip
gateway(
    "version-higher", "the highest that both speak",
    got(1, hello(version=9), out(1, welcome(version=1))),
)  # fmt: skip
gateway(
    "opening", "the first frame is HELLO or RESUME, whole within 5 s",
    got(1, data(1, 0, "hi"), out(1, detach(4400, "again")), closes(1)),
    got(2, ack(0), out(2, detach(4400, "again")), closes(2)),
    got(3, raw("03"), out(3, detach(4400, "again")), closes(3)),
    got(4, hello(), out(4, welcome())),
)  # fmt: skip
gateway(
    "ping", "a PING is answered with its number and the acknowledgement",
    *logged_in(),
    got(1, data(1, 0, "a"), to_game(text="a")),
    got(1, ping("18446744073709551615"), out(1, pong("18446744073709551615", 1))),
)  # fmt: skip

# --- break and resume ---
gateway(
    "resume", "each side sends again what the other has not read, and no more",
    *logged_in(),
    got(1, data(1, 0, "c1"), to_game(text="c1")),
    game(text("g1"), out(1, data(1, 1, "g1"))),
    game(text("g2"), out(1, data(2, 1, "g2"))),
    game(text("g3"), out(1, data(3, 1, "g3"))),
    got(1, data(2, 1, "c2"), to_game(text="c2")),
    broke(1),
    game(text("g4")),
    got(2, resume(2, 2), out(2, resumed(2, 3, 4, 2)), out(2, data(3, 2, "g3")), out(2, data(4, 2, "g4"))),
    got(2, ack(2)),
    got(2, data(3, 2, "c3"), to_game(text="c3")),
    game(text("g5"), out(2, data(5, 3, "g5"))),
)  # fmt: skip
gateway(
    "resumed-lost", "the same RESUME with a higher epoch gets the same answer",
    *logged_in(),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    broke(1),
    got(2, resume(2, 0), out(2, resumed(0, 1, 1, 0)), out(2, data(1, 0, "g1"))),
    broke(2),
    got(3, resume(3, 0), out(3, resumed(0, 1, 1, 0)), out(3, data(1, 0, "g1"))),
)  # fmt: skip
gateway(
    "received-frees-nothing", "`received` says where to go on; only an acknowledgement frees",
    *logged_in(),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    game(text("g2"), out(1, data(2, 0, "g2"))),
    game(text("g3"), out(1, data(3, 0, "g3"))),
    got(1, ack(1)),
    broke(1),
    got(2, resume(2, 3), out(2, resumed(0, 4, 3, 0))),
    broke(2),
    got(3, resume(3, 1), out(3, resumed(0, 2, 3, 0)), out(3, data(2, 0, "g2")), out(3, data(3, 0, "g3"))),
)  # fmt: skip
gateway(
    "memory-lost", "received 0 is answered from the highest acknowledgement on",
    *logged_in(),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    game(text("g2"), out(1, data(2, 0, "g2"))),
    game(text("g3"), out(1, data(3, 0, "g3"))),
    got(1, data(1, 2, "c1"), to_game(text="c1")),
    broke(1),
    got(2, resume(2, 0), out(2, resumed(1, 3, 3, 1)), out(2, data(3, 1, "g3"))),
)  # fmt: skip
gateway(
    "kept-for-the-game-server", "read is not accepted: what the game server has not taken stays queued over a break",
    *logged_in(),
    got(1, data(1, 0, "c1"), to_game(text="c1")),
    got(1, data(2, 0, "c2"), to_game(text="c2")),
    got(1, data(3, 0, "c3"), to_game(text="c3")),
    do("accept", count=1),
    broke(1),
    got(2, resume(2, 0), out(2, resumed(3, 1, 0, 1))),
    got(2, ack(0)),
    got(2, data(3, 0, "c3")),
    got(2, data(4, 0, "c4"), to_game(text="c4")),
    do("accept", count=3),
    waits(200, out(2, ack(4))),
    accept="by step",
)  # fmt: skip

# --- who may resume ---
gateway(
    "proof-wrong", "a wrong proof gets one answer and touches nothing; the right one may follow on the same link",
    *logged_in(),
    got(2, resume(2, 0, proof="wrong"), out(2, detach(4401, "login"))),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    got(2, resume(2, 0), out(1, detach(4409, "stop", epoch=2)), closes(1, 4409),
        out(2, resumed(0, 1, 1, 0)), out(2, data(1, 0, "g1"))),
)  # fmt: skip
gateway(
    "proof-wrong-twice", "one link takes two opening frames at the most",
    *logged_in(),
    got(2, resume(2, 0, proof="wrong"), out(2, detach(4401, "login"))),
    got(2, resume(2, 0, proof="wrong"), out(2, detach(4401, "login")), closes(2, 4401)),
)  # fmt: skip
gateway(
    "ticket-unknown", "nor does one learn whether the session is there",
    *logged_in(),
    got(2, resume(2, 0, ticket="no-ticket-of-ours"), out(2, detach(4401, "login"))),
    game(text("g1"), out(1, data(1, 0, "g1"))),
)  # fmt: skip
gateway(
    "received-beyond", "a client that has what was never sent: login, and the live link serves on",
    *logged_in(),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    got(2, resume(2, 2), out(2, detach(4401, "login"))),
    got(1, data(1, 1, "c1"), to_game(text="c1")),
)  # fmt: skip
gateway(
    "epoch-used", "an epoch that was taken is worth nothing: 4412 tells the epoch, the live link serves on",
    *logged_in(),
    got(2, resume(1, 0), out(2, detach(4412, "again", wait=0, address="", epoch=1))),
    got(1, data(1, 0, "c1"), to_game(text="c1")),
    got(2, resume(5, 0), out(1, detach(4409, "stop", epoch=5)), closes(1, 4409), out(2, resumed(1, 1, 0, 1))),
    got(3, resume(5, 0), out(3, detach(4412, "again", epoch=5))),
    got(4, resume(4, 0), out(4, detach(4412, "again", epoch=5))),
)  # fmt: skip
gateway(
    "take-over", "the older link gets 4409 with the new epoch, is closed, and nothing more is read from it",
    *logged_in(),
    got(1, data(1, 0, "c1"), to_game(text="c1")),
    got(2, resume(2, 0), out(1, detach(4409, "stop", epoch=2)), closes(1, 4409), out(2, resumed(1, 1, 0, 1))),
    got(1, data(2, 0, "c2, on its way when the link was replaced")),
    got(2, ack(0)),
    got(2, data(2, 0, "c2, sent again"), to_game(text="c2, sent again")),
)  # fmt: skip
gateway(
    "later-dial-first", "of two dials the later one wins, whichever arrives first",
    *logged_in(),
    broke(1),
    got(3, resume(3, 0), out(3, resumed(0, 1, 0, 0))),
    got(2, resume(2, 0), out(2, detach(4412, "again", epoch=3))),
    got(3, data(1, 0, "c1"), to_game(text="c1")),
)  # fmt: skip
gateway(
    "ticket-renewed", "TICKET brings a new one; the older stays good",
    *logged_in(),
    do("renew", out(1, ticket("ticket-2")), ticket="ticket-2"),
    broke(1),
    got(2, resume(2, 0, ticket="ticket-2"), out(2, resumed(0, 1, 0, 0))),
    broke(2),
    got(3, resume(3, 0, ticket="ticket-1"), out(3, resumed(0, 1, 0, 0))),
)  # fmt: skip

# --- sequence and acknowledgement ---
gateway(
    "duplicate", "DATA that was read before is dropped; its acknowledgement counts",
    *logged_in(),
    got(1, data(1, 0, "c1"), to_game(text="c1")),
    game(text("g1"), out(1, data(1, 1, "g1"))),
    got(1, data(1, 1, "c1")),
    broke(1),
    got(2, resume(2, 0), out(2, resumed(1, 2, 1, 1))),
)  # fmt: skip
gateway(
    "seq-ahead", "a gap is a bad frame: DETACH (4400), and nothing of the frame counts",
    *logged_in(),
    got(1, data(2, 0, "c2"), out(1, detach(4400, "again")), closes(1, 4400)),
    got(2, resume(2, 0), out(2, resumed(0, 1, 0, 0))),
    got(2, data(1, 0, "c1"), to_game(text="c1")),
)  # fmt: skip
gateway(
    "text-not-utf8", "so is text that is not UTF-8, and it was not read",
    *logged_in(),
    got(1, raw("10010000000100000000" "c328"), out(1, detach(4400, "again")), closes(1, 4400)),
    got(2, resume(2, 0), out(2, resumed(0, 1, 0, 0))),
    got(2, data(1, 0, "c1"), to_game(text="c1")),
)  # fmt: skip
gateway(
    "ack-beyond", "so is an acknowledgement of what was never sent; the frame's message does not count",
    *logged_in(),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    got(1, data(1, 2, "c1"), out(1, detach(4400, "again")), closes(1, 4400)),
    got(2, resume(2, 0), out(2, resumed(0, 1, 1, 0)), out(2, data(1, 0, "g1"))),
)  # fmt: skip
gateway(
    "ack-lower", "a lower acknowledgement than before is ignored",
    *logged_in(),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    game(text("g2"), out(1, data(2, 0, "g2"))),
    got(1, ack(2)),
    got(1, ack(1)),
    broke(1),
    got(2, resume(2, 0), out(2, resumed(0, 3, 2, 0))),
)  # fmt: skip
gateway(
    "wrap", "both counts pass 2^32",
    got(1, resume(2, WRAP - 2), out(1, resumed(WRAP - 3, WRAP - 1, WRAP - 2, WRAP - 3))),
    got(1, ack(WRAP - 2)),
    got(1, data(WRAP - 2, WRAP - 2, "a"), to_game(text="a")),
    game(text("b"), out(1, data(WRAP - 1, WRAP - 2, "b"))),
    got(1, data(WRAP - 1, WRAP - 2, "c"), to_game(text="c")),
    got(1, data(0, WRAP - 1, "d"), to_game(text="d")),
    game(text("e"), out(1, data(0, 0, "e"))),
    got(1, data(1, 0, "f"), to_game(text="f")),
    game(text("g"), out(1, data(1, 1, "g"))),
    got(1, data(0, 0, "d")),
    got(1, ack(WRAP - 1)),
    broke(1),
    got(2, resume(3, WRAP - 1), out(2, resumed(WRAP + 1, WRAP + 1, WRAP + 1, 1)), out(2, data(1, 1, "g"))),
    got(2, ack(2), out(2, detach(4400, "again")), closes(2, 4400)),
    session=counts(epoch=1, sent=WRAP - 2, read=WRAP - 3),
)  # fmt: skip
gateway(
    "skips-what-it-does-not-know", "flags, bytes behind the known fields, types from 0x20 on (whose ack counts)",
    *logged_in(),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    got(1, raw("2a070000000900000001" "abcdef")),
    got(1, raw("10fe0000000100000001" "00"), to_game(hex="00")),
    got(1, raw("12ff0000000900000001" "0000000000000005" "eeee"), out(1, pong("5", 1))),
    broke(1),
    got(2, resume(2, 0), out(2, resumed(1, 2, 1, 1))),
)  # fmt: skip
gateway(
    "frames-that-a-client-does-not-send", "are bad frames",
    *logged_in(),
    got(1, hello(), out(1, detach(4400, "again")), closes(1, 4400)),
    got(2, resume(2, 0), out(2, resumed(0, 1, 0, 0))),
    got(2, ticket("ticket-9"), out(2, detach(4400, "again")), closes(2, 4400)),
    got(3, resume(3, 0), out(3, resumed(0, 1, 0, 0))),
    got(3, raw("07000000000000000000"), out(3, detach(4400, "again")), closes(3, 4400)),
)  # fmt: skip

# --- acknowledging, windows ---
gateway(
    "ack-after-200-ms", "what no frame has borne leaves 200 ms after the first that is owed",
    *logged_in(),
    got(1, data(1, 0, "a"), to_game(text="a")),
    waits(150),
    got(1, data(2, 0, "b"), to_game(text="b")),
    waits(49),
    waits(1, out(1, ack(2))),
    waits(1000),
)  # fmt: skip
gateway(
    "ack-after-32", "or after 32 messages",
    *logged_in(),
    *[got(1, data(n, 0, hex="00"), to_game(hex="00")) for n in range(1, 32)],
    got(1, data(32, 0, hex="00"), to_game(hex="00"), out(1, ack(32))),
    got(1, data(33, 0, hex="00"), to_game(hex="00")),
)  # fmt: skip
gateway(
    "window-of-the-client", "more than the window is 4413; what was too much was not read",
    *logged_in(window_messages=2),
    got(1, data(1, 0, "c1"), to_game(text="c1")),
    got(1, data(2, 0, "c2"), to_game(text="c2")),
    got(1, data(3, 0, "c3"), out(1, detach(4413, "again"))),
    do("accept", count=2),
    got(2, resume(2, 0), out(2, resumed(2, 1, 0, 2))),
    got(2, data(3, 0, "c3"), to_game(text="c3")),
    accept="by step", window_messages=2,
)  # fmt: skip
gateway(
    "message-above-the-window", "so is a message that is larger than all of it",
    *logged_in(window_bytes=100),
    got(1, data(1, 0, zeros=100), to_game(zeros=100), out(1, ack(1))),
    got(1, data(2, 0, zeros=101), out(1, detach(4413, "again"))),
    got(2, resume(2, 0), out(2, resumed(1, 1, 0, 1))),
    window_bytes=100,
)  # fmt: skip
gateway(
    "window-full", "the game server waits for room, and goes on when an acknowledgement makes some",
    *logged_in(window_messages=2),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    game(text("g2"), out(1, data(2, 0, "g2"))),
    game(text("g3")),
    waits(4999),
    got(1, ack(1), out(1, data(3, 0, "g3"))),
    waits(4999),
    window_messages=2,
)  # fmt: skip
gateway(
    "window-stays-full", "after the pause the session ends (4413)",
    *logged_in(window_messages=2),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    game(text("g2"), out(1, data(2, 0, "g2"))),
    game(text("g3")),
    waits(5000, GAME_CLOSE, out(1, close(4413))),
    got(1, close(4413, ack=2), told("ended", code=4413)),
    window_messages=2,
)  # fmt: skip
gateway(
    "game-message-too-large", "a message that no window has room for ends the session (4413)",
    *logged_in(window_bytes=100),
    game({"zeros": 101}, GAME_CLOSE, out(1, close(4413))),
    window_bytes=100,
)  # fmt: skip

# --- life and end ---
gateway(
    "heartbeat", "PING when for `ping` it heard nothing; silent for `dead`: detached (4408), the session is kept",
    *logged_in(),
    waits(14999),
    waits(1, out(1, ping())),
    got(1, pong("last")),
    waits(15000, out(1, ping())),
    waits(24999),
    waits(1, out(1, detach(4408, "again"))),
    game(text("g1")),
    got(2, resume(2, 0), out(2, resumed(0, 1, 1, 0)), out(2, data(1, 0, "g1"))),
)  # fmt: skip
gateway(
    "heartbeat-sent", "or sent nothing",
    *logged_in(),
    waits(10000),
    got(1, ack(0)),
    waits(4999),
    waits(1, out(1, ping())),
)  # fmt: skip
gateway(
    "grace", "the session ends `grace` after it was detached; who comes later has to log in",
    *logged_in(),
    broke(1),
    waits(59999),
    got(2, resume(2, 0), out(2, resumed(0, 1, 0, 0))),
    broke(2),
    waits(59999),
    waits(1, GAME_CLOSE, told("ended")),
    got(3, resume(3, 0), out(3, detach(4401, "login"))),
    got(3, hello(), out(3, welcome())),
)  # fmt: skip
gateway(
    "closed", "the client's CLOSE is answered; how it ended is kept for `grace`, for who can prove",
    *logged_in(),
    got(1, data(1, 0, "c1"), to_game(text="c1")),
    got(1, close(1000, ack=0), out(1, close(1000, ack=1)), GAME_CLOSE, told("ended", code=1000)),
    got(2, resume(2, 0, proof="wrong"), out(2, detach(4401, "login"))),
    got(3, resume(2, 0), out(3, detach(1000, "login"))),
    waits(60000, closes(2), closes(3)),
    got(4, resume(3, 0), out(4, detach(4401, "login"))),
)  # fmt: skip
gateway(
    "game-ends", "its last messages, then CLOSE",
    *logged_in(),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    do("game_ends", out(1, close(4410, ack=0))),
    got(1, ack(1)),
    got(1, close(4410, ack=1), told("ended", code=4410)),
)  # fmt: skip
gateway(
    "game-ends-behind-the-window", "its last messages wait for room, and CLOSE for them",
    *logged_in(window_messages=1),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    game(text("g2")),
    do("game_ends"),
    got(1, ack(1), out(1, data(2, 0, "g2")), out(1, close(4410))),
    window_messages=1,
)  # fmt: skip
gateway(
    "game-ends-while-detached", "both wait out `grace` for the client",
    *logged_in(),
    broke(1),
    game(text("g1")),
    do("game_ends"),
    got(2, resume(2, 0), out(2, resumed(0, 1, 1, 0)), out(2, data(1, 0, "g1")), out(2, close(4410))),
    broke(2),
    got(3, resume(3, 1), out(3, resumed(0, 2, 1, 0)), out(3, close(4410))),
    got(3, close(4410, ack=1), told("ended", code=4410)),
)  # fmt: skip
gateway(
    "game-ends-and-nobody-comes", "and no longer",
    *logged_in(),
    broke(1),
    do("game_ends"),
    waits(60000, told("ended")),
    got(2, resume(2, 0), out(2, detach(4401, "login"))),
)  # fmt: skip
gateway(
    "game-breaks", "4411",
    *logged_in(),
    do("game_breaks", out(1, close(4411))),
    got(1, close(4411, ack=0), told("ended", code=4411)),
)  # fmt: skip
gateway(
    "end", "the operator ends the session of an attached client",
    *logged_in(),
    do("end", GAME_CLOSE, out(1, close(4410)), code=4410),
    got(1, close(4410, ack=0), told("ended", code=4410)),
)  # fmt: skip
gateway(
    "end-while-detached", "and of a detached one, who hears it when they ask",
    *logged_in(),
    broke(1),
    do("end", GAME_CLOSE, told("ended", code=4410), code=4410),
    got(2, resume(2, 0), out(2, detach(4410, "login"))),
)  # fmt: skip
gateway(
    "move", "DETACH move: the link serves on, and closes after the wait at the latest",
    *logged_in(),
    do("detach", out(1, detach(1012, "move", wait=5000, address="tcp://b.example:4000")),
       code=1012, action="move", wait=5000, address="tcp://b.example:4000"),
    game(text("g1"), out(1, data(1, 0, "g1"))),
    got(1, data(1, 1, "c1"), to_game(text="c1")),
    waits(4999, out(1, ack(1))),
    waits(1, closes(1, 1012)),
    got(2, resume(2, 1), out(2, resumed(1, 2, 1, 1))),
)  # fmt: skip
gateway(
    "again", "DETACH again: the link ends, the session waits",
    *logged_in(),
    do("detach", out(1, detach(1012, "again", wait=300, address="")), closes(1, 1012),
       code=1012, action="again", wait=300, address=""),
    game(text("g1")),
    got(2, resume(2, 0), out(2, resumed(0, 1, 1, 0)), out(2, data(1, 0, "g1"))),
)  # fmt: skip
