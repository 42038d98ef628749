"""Words for writing conversations: a step is a dictionary, spec/README.md says what each means."""

SECRET = bytes(range(0x40, 0x60)).hex()
TERMS = {"grace": 60000, "ping": 15000, "dead": 40000, "window_bytes": 262144, "window_messages": 2048, "spread": 0}
ANY = "any"


# --- steps ---
def got(link, frame, *expect):
    return {"do": "receive", "link": link, "frame": frame, "expect": list(expect)}


def dial(link, *expect, after=0):
    return {"do": "dial", "link": link, "after": after, "expect": list(expect)}


def broke(link, *expect):
    return {"do": "broke", "link": link, "expect": list(expect)}


def send(message, *expect):
    """The application's message, of a client."""
    return {"do": "send", "message": message, "expect": list(expect)}


def game(message, *expect):
    """The game server's message, to a gateway."""
    return {"do": "game", "message": message, "expect": list(expect)}


def waits(ms, *expect):
    return {"do": "pass", "ms": ms, "expect": list(expect)}


def do(what, *expect, **more):
    return {"do": what, **more, "expect": list(expect)}


# --- what is expected ---
def out(link, frame):
    return {"link": link, "frame": frame}


def closes(link, code=None):
    return {"close": link} if code is None else {"close": link, "code": code}


def told(what, **more):
    return {"told": what, **more}


def to_game(**message):
    return {"game": "message", **message}


GAME_OPEN, GAME_CLOSE = {"game": "open"}, {"game": "close"}


# --- frames ---
def hello(**more):
    return {"type": "HELLO", "version": 1, "identity": b"player-7".hex(), "application": b"lobby".hex(), **more}


def welcome(**more):
    fields = {"version": 1, "secret": SECRET, "ticket": "ticket-1", **TERMS, "addresses": []}
    return {"type": "WELCOME", "ack": 0, **fields, **more}


def resume(epoch, received, ticket="ticket-1", **more):
    return {"type": "RESUME", "ticket": ticket, "epoch": epoch, "received": str(received), **more}


def resumed(received, following, last, ack):
    return {"type": "RESUMED", "ack": ack, "received": str(received), "next": str(following), "last": str(last)}


def data(seq, ack, text=None, **message):
    return {"type": "DATA", "seq": seq, "ack": ack, **({"text": text} if text is not None else message)}


def ack(count):
    return {"type": "ACK", "ack": count}


def ping(number=ANY, ack=0):
    return {"type": "PING", "ack": ack, "number": number}


def pong(number, ack=0):
    return {"type": "PONG", "ack": ack, "number": number}


def ticket(text, ack=0):
    return {"type": "TICKET", "ack": ack, "ticket": text}


def detach(code, action, **more):
    return {"type": "DETACH", "code": code, "action": action, **more}


def close(code, **more):
    return {"type": "CLOSE", "code": code, **more}


def raw(hex_text):
    """Bytes that no encoder makes."""
    return {"raw": hex_text}


def text(words):
    return {"text": words}


# --- conversations ---
CONVERSATIONS = []


def conversation(role, name, about, *steps, **given):
    if role == "client":
        base = {"identity": b"player-7".hex(), "application": b"lobby".hex(), "session": None}
    else:
        base = {"secret": SECRET, "tickets": ["ticket-1"], **TERMS, "addresses": [], "pause": 5000, "accept": "at once",
                "session": None}  # fmt: skip
    flat = []
    for step in steps:
        flat += step if isinstance(step, list) else [step]
    CONVERSATIONS.append({"name": f"{role}/{name}", "role": role, "about": about, "given": {**base, **given}, "steps": flat})


def client(name, about, *steps, **given):
    conversation("client", name, about, *steps, **given)


def gateway(name, about, *steps, **given):
    conversation("gateway", name, about, *steps, **given)


def opened(**terms):
    """A client that has a session on link 1."""
    return [dial(1, out(1, hello())), got(1, welcome(**terms), told("opened"), out(1, ack(0)))]


def logged_in(**terms):
    """A gateway that has a session on link 1, whose game server is there."""
    return [got(1, hello(), out(1, welcome(**terms))), got(1, ack(0), GAME_OPEN)]


def light(epoch=1, **more):
    """What a client kept that lost everything else: a page that was loaded again."""
    return {"ticket": "ticket-1", "secret": SECRET, "epoch": epoch, **TERMS, **more}
