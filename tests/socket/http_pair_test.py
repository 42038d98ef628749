"""socket/haproxy/http: the same HTTP, well and badly formed, to Rejoin and to Debian's HAProxy, each before a server of its own
that does the same; the same answers, the same requests at the servers, the same ends of connections, but for what
docs/http.md ("Where HAProxy does otherwise") says. Of those differences each has to differ still.
"""

import dataclasses
import re
import shutil
import signal
import socket
import subprocess
import unittest
from pathlib import Path

from programs import Closed, Connection, ProgramsTest, WebSocket, ask, keys, poll, request
from servers import Listener, response_bytes, told_by_requests

PAGE = Path(__file__).resolve().parents[2] / "docs" / "http.md"
TIMEOUT_S = 2
INTERESTING = ("host", "connection", "content-length", "transfer-encoding", "te", "trailer", "expect", "upgrade", "x-forwarded-for",
               "x-mine", "x-yours", "keep-alive", "proxy-connection", "cookie")


def in_small_letters(fields):
    """HAProxy writes names so; their case means nothing."""
    return tuple((name.lower(), value) for name, value in fields)


class Server:
    """Does as the target says, and keeps what it saw."""

    def __init__(self, test):
        self.seen = []
        self.listener = Listener(test, self.serve)

    def serve(self, peer):
        while (heard := peer.request()) is not None:
            what = heard.target.rpartition("/")[2].partition("?")[0]
            if what == "continues":
                peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            if what == "at-once":
                self.note(heard)  # before who hears the answer asks what was seen
                peer.answer(413, [("Connection", "close")], b"no")
                peer.half_close()
                peer.rest()
                return
            heard.body = peer.body_of(heard)
            self.note(heard)
            if not self.answer(peer, heard, what):
                return

    def note(self, heard):
        picked = sorted((name.lower(), value) for name, value in heard.fields if name.lower() in INTERESTING)
        picked = [(name, value.lower() if name == "connection" else value) for name, value in picked]
        self.seen.append((heard.method, heard.target, heard.version, tuple(picked), heard.body, in_small_letters(heard.trailers)))

    def answer(self, peer, heard, what):
        """False: the connection ends."""
        if what == "chunked":
            peer.send(response_bytes(200, [("Transfer-Encoding", "chunked")], b"5;x=y\r\nhello\r\n0\r\n\r\n"))
        elif what == "trailers":
            peer.send(response_bytes(200, [("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")], b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"))
        elif what == "until-close":
            peer.send(response_bytes(200, [], b"hello"))
            return False
        elif what == "closes":
            peer.answer(200, [("Connection", "close")], b"hello")
            return False
        elif what == "old":
            peer.send(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            return False
        elif what == "empty":
            peer.send(response_bytes(204, reason="None"))
        elif what == "same":
            peer.send(response_bytes(304, [("ETag", '"1"')], reason="Same"))
        elif what == "same-with-length":
            peer.send(response_bytes(304, [("Content-Length", "5")], reason="Same"))
        elif what == "hints":
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            peer.answer(200, body=b"hello")
        elif what == "fields":
            peer.answer(200, [("Connection", "X-Mine"), ("X-Mine", "1"), ("X-Yours", "2"), ("Keep-Alive", "timeout=9")], b"hello")
        elif what == "up" and heard.get("upgrade"):
            peer.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
            while peer.more():
                data, peer.arrived = peer.arrived, b""
                peer.send(data.upper())
            return False
        elif what == "cut":
            return False
        elif what == "silent":
            peer.rest()
            return False
        elif what.startswith("bad-"):
            peer.send(BAD[what])
            return False
        elif heard.method == "HEAD":
            peer.send(response_bytes(200, [("Content-Length", "5")]))
        else:
            peer.answer(int(what) if re.fullmatch("[2-5][0-9][0-9]", what) else 200, body=b"hello")
        return True


BAD = {
    "bad-status": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "bad-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi",
    "bad-both": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad-name": b"HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 0\r\n\r\n",
    "bad-half": b"HTTP/1.1 200 OK\r\nContent-Le",
    "bad-ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n",
}


@dataclasses.dataclass
class Scenario:
    name: str
    data: object  # bytes, or pieces of which each is sent after the next response (interim or not) has come
    methods: tuple = ("GET",)  # of the requests, in order: how their responses end


def get(target, *fields, method="GET", version="1.1"):
    return f"{method} {target} HTTP/{version}\r\nHost: t\r\n".encode() + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def post(target, *fields, body=b"hello", version="1.1"):
    return get(target, *fields, b"Content-Length: %d" % len(body), method="POST", version=version) + body


def chunks(target, *fields, body=b"2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n"):
    return get(target, *fields, b"Transfer-Encoding: chunked", method="POST") + body


EXPECT = b"Expect: 100-continue"
UPGRADE = (b"Connection: Upgrade", b"Upgrade: raw")
SCENARIOS = [
    Scenario("GET", get("/")),
    Scenario("two GETs at once", get("/1") + get("/2"), ("GET", "GET")),
    Scenario("ten GETs at once", b"".join(get(f"/{i}") for i in range(10)), ("GET",) * 10),
    Scenario("POST and GET at once", post("/1") + get("/2"), ("POST", "GET")),
    Scenario("close", get("/", b"Connection: close")),
    Scenario("close, then another", get("/1", b"Connection: close") + get("/2")),
    Scenario("HTTP/1.0", get("/", version="1.0")),
    Scenario("HTTP/1.0, keep-alive", get("/", b"Connection: keep-alive", version="1.0")),
    Scenario("HTTP/1.0, POST", post("/", version="1.0")),
    Scenario("HTTP/1.0, chunked answer", get("/chunked", version="1.0")),
    Scenario("HTTP/1.0, answer until close", get("/until-close", version="1.0")),
    *(Scenario(f"{method}", get("/", method=method), (method,)) for method in ("HEAD", "OPTIONS", "DELETE", "PURGE")),
    Scenario("PUT", post("/").replace(b"POST", b"PUT"), ("PUT",)),
    Scenario("POST", post("/"), ("POST",)),
    Scenario("POST without a body", get("/", b"Content-Length: 0", method="POST"), ("POST",)),
    Scenario("GET with a body", get("/", b"Content-Length: 5") + b"hello"),
    Scenario("chunks", chunks("/"), ("POST",)),
    Scenario("chunks with trailers", chunks("/", b"Trailer: X-Sum", body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), ("POST",)),
    Scenario("chunked answer", get("/chunked")),
    Scenario("chunked answer with trailers", get("/trailers", b"Connection: TE", b"TE: trailers")),
    Scenario("chunked answer to HEAD", get("/chunked-head", method="HEAD"), ("HEAD",)),
    Scenario("answer until close", get("/until-close")),
    Scenario("answer with close", get("/closes")),
    Scenario("answer of HTTP/1.0", get("/old")),
    Scenario("204", get("/empty")),
    Scenario("304", get("/same")),
    Scenario("304 with a length", get("/same-with-length")),
    Scenario("204, then another", get("/empty") + get("/2"), ("GET", "GET")),
    Scenario("304 with a length, then another", get("/same-with-length") + get("/2"), ("GET", "GET")),
    *(Scenario(f"{status}", get(f"/{status}")) for status in (201, 301, 401, 404, 429, 500, 502, 503)),
    Scenario("100-continue", [get("/continues", EXPECT, b"Content-Length: 5", method="POST"), b"hello"], ("POST",)),
    Scenario("100-continue, body at once", post("/continues", EXPECT), ("POST",)),
    Scenario("100-continue, refused", [get("/at-once", EXPECT, b"Content-Length: 5", method="POST")], ("POST",)),
    Scenario("103", get("/hints")),
    Scenario("upgrade", [get("/up", *UPGRADE), b"ping"], ("UPGRADE",)),
    Scenario("upgrade, more at once", get("/up", *UPGRADE) + b"ping", ("UPGRADE",)),
    Scenario("upgrade that is refused", get("/", *UPGRADE) + get("/2"), ("GET", "GET")),
    Scenario("fields of one hop", get("/fields", b"Connection: X-Mine", b"X-Mine: 1", b"X-Yours: 2", b"Keep-Alive: 5", b"Proxy-Connection: x")),
    Scenario("TE", get("/", b"Connection: TE", b"TE: trailers")),
    Scenario("absolute target", get("http://t/x?y")),
    Scenario("OPTIONS *", get("*", method="OPTIONS"), ("OPTIONS",)),
    Scenario("X-Forwarded-For of the client", get("/", b"X-Forwarded-For: 1.2.3.4")),
    Scenario("cookies pass", get("/", b"Cookie: a=b; c=d", b"Cookie: e=f")),
    Scenario("an empty line before", b"\r\n" + get("/")),
    Scenario("the server cuts", get("/cut")),
    Scenario("the server cuts a POST", post("/cut"), ("POST",)),
    Scenario("the server is silent", get("/silent")),
    *(Scenario(f"answer {name}", get(f"/{name}")) for name in BAD),
    *(
        Scenario(f"refused: {name}", data)
        for name, data in (
            ("no Host", b"GET / HTTP/1.1\r\n\r\n"),
            ("two lengths", get("/", b"Content-Length: 1", b"Content-Length: 2", method="POST") + b"hi"),
            ("a list of equal lengths", get("/", b"Content-Length: 2, 2", method="POST") + b"hi"),
            ("length and chunks", get("/", b"Content-Length: 5", b"Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n"),
            ("gzip", get("/", b"Transfer-Encoding: gzip", method="POST") + b"hi"),
            ("a space before the colon", get("/", b"X : y")),
            ("obs-fold", get("/", b"X: y", b" z")),
            ("LF", b"GET / HTTP/1.1\nHost: t\n\n"),
            ("NUL", get("/", b"X: \x00")),
            ("a bad size", get("/", b"Transfer-Encoding: chunked", method="POST") + b"x\r\nhello\r\n0\r\n\r\n"),
            ("HTTP/2.0", get("/", version="2.0")),
            ("no version", b"GET /\r\n\r\n"),
            ("two Hosts", get("/", b"Host: u")),
            ("a byte above 0x7f in the target", b"GET /\xe9 HTTP/1.1\r\nHost: t\r\n\r\n"),
            ("CONNECT", b"CONNECT t:80 HTTP/1.1\r\nHost: t:80\r\n\r\n"),
            ("TRACE", get("/", method="TRACE")),
            ("half a head", b"GET / HTTP/1.1\r\nHost: t\r\n"),
        )
    ),
]


@dataclasses.dataclass
class Outcome:
    """`statuses`: final ones. `frame`: version, Connection, length, coding of each. `stays`: another request can follow."""

    statuses: tuple = ()
    interim: tuple = ()
    bodies: tuple = ()
    trailers: tuple = ()
    frame: tuple = ()
    stays: bool = False
    saw: tuple = ()


KEYS = [field.name for field in dataclasses.fields(Outcome)]
OWN = (400, 408, 413, 414, 431, 501, 502, 503, 504, 505)  # whose words are the balancer's, unless the server's


class Subject:
    def __init__(self, test):
        self.server = Server(test)

    def outcome(self, scenario):
        del self.server.seen[:]
        pieces = [scenario.data] if isinstance(scenario.data, bytes) else list(scenario.data)
        outcome = Outcome()
        with Connection(self.address) as client:
            client.send(pieces.pop(0))
            for method in scenario.methods:
                try:
                    self.hear(client, method, pieces, outcome)
                except Closed:
                    break
            outcome.stays = self.stays(client, scenario)
        outcome.saw = tuple(one for one in self.server.seen if not one[1].startswith("/after"))
        return outcome

    def hear(self, client, method, pieces, outcome):
        response = client.head()
        while 100 <= response.status < 200 and response.status != 101:
            outcome.interim += (response.status,)
            if response.status == 100 and pieces:
                client.send(pieces.pop(0))
            response = client.head()
        outcome.statuses += (response.status,)
        if response.status == 101:
            for piece in pieces:
                client.send(piece)
            outcome.bodies += (client.exactly(4),)
            return
        frame = (response.version, (response.get("connection") or "").lower(), response.get("content-length"),
                 response.get("transfer-encoding"), response.get("keep-alive"), response.get("x-mine"), response.get("x-yours"))
        if method == "HEAD" or response.status in (204, 304):
            body = b""
        elif (response.get("transfer-encoding") or "").lower() == "chunked":
            body = client.chunked(response)
        elif response.get("content-length") is not None:
            body = client.exactly(int(response.get("content-length")))
        else:
            body = client.rest()
        own = response.status in OWN and body != b"hello" and body != b"no"
        outcome.bodies += ("our own words" if own else body,)
        outcome.frame += (("our own",) if own else frame,)
        outcome.trailers += in_small_letters(response.trailers)

    def stays(self, client, scenario):
        if scenario.methods == ("UPGRADE",):
            return True
        try:
            client.send(get("/after"))
            return client.head().status == 200
        except (Closed, OSError):
            return False


class Rejoin(Subject):
    def __init__(self, test):
        super().__init__(test)
        where = [{"name": "a", "address": "%s:%d" % self.server.listener.address}]
        short = f"{TIMEOUT_S}s"
        self.address = test.http_balancer(where, listener={"head_timeout": short, "idle_timeout": short}, pool={"retries": 0}).address()


def haproxy_binary():
    binary = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        raise AssertionError("haproxy is not installed, and this test compares with it: apt-get install haproxy")
    return binary


def start_haproxy(test, defaults, sections):
    """`sections`: name to the lines of a `listen`. Their addresses."""
    config = "global\n  maxconn 500\ndefaults\n  mode http\n" + defaults
    addresses, listening = {}, []
    for name, lines in sections.items():
        inherited = socket.create_server(("127.0.0.1", 0), backlog=128)  # it knows no port 0
        test.addCleanup(inherited.close)
        listening.append(inherited)
        addresses[name] = inherited.getsockname()
        config += f"listen {name}\n  bind fd@{inherited.fileno()}\n" + "".join(f"  {line}\n" for line in lines)
    process = subprocess.Popen(
        [haproxy_binary(), "-db", "-q", "-f", str(test.file(config, ".cfg"))],
        pass_fds=[one.fileno() for one in listening],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def end():
        process.send_signal(signal.SIGKILL)
        process.wait()

    test.addCleanup(end)
    return addresses


class Haproxy(Subject):
    def __init__(self, test):
        super().__init__(test)
        defaults = f"  option forwardfor\n  retries 0\n  timeout connect 5s\n  timeout client {TIMEOUT_S}s\n  timeout server {TIMEOUT_S}s\n"
        defaults += f"  timeout http-request {TIMEOUT_S}s\n"
        server = "server a %s:%d" % self.server.listener.address
        self.address = start_haproxy(test, defaults, {"play": [server]})["play"]


ALL = ("statuses", "bodies", "frame", "stays", "saw")
VERSIONS = "Each side gets our own version"
FRAMES = "What can be cut in two ways is refused"
HOPS = "What `Connection` names ends here"
# Pattern of scenarios' names, keys that may differ in them (one at least has to), and why: words of the page.
DIFFERENCES = [
    ("HTTP/1.0.*", ("saw",), VERSIONS),
    ("answer of HTTP/1.0", ("frame",), VERSIONS),
    ("HTTP/1.0, chunked answer", ("frame",), "A client of HTTP/1.0 gets no chunks"),
    ("100-continue, refused", ("frame",), "A connection that will end says so"),
    ("fields of one hop", ("frame", "saw"), HOPS),
    ("absolute target", ("saw",), "An absolute target becomes a path"),
    ("X-Forwarded-For of the client", ("saw",), "What a client says of itself is dropped"),
    ("the server cuts", ("saw",), "A kept connection that turns out closed costs nothing"),
    ("answer bad-both", ("statuses", "bodies", "frame"), FRAMES),
    ("refused: (a list of equal lengths|length and chunks|obs-fold|LF|NUL)", ALL, FRAMES),
    ("refused: no Host", ALL, "HTTP/1.1 needs a Host"),
    ("refused: gzip", ("statuses",), "A coding that we do not speak is 501"),
    ("refused: HTTP/2.0", ALL, "Other versions are 505"),
    ("refused: (CONNECT|TRACE)", ALL, "CONNECT and TRACE are refused"),
]


class Behaviours(ProgramsTest):
    maxDiff = None

    def test_the_same_behaviour(self):
        rejoin, haproxy = Rejoin(self), Haproxy(self)
        shown = set()
        for scenario in SCENARIOS:
            ours, theirs = rejoin.outcome(scenario), haproxy.outcome(scenario)
            for key in KEYS:
                with self.subTest(scenario.name, key=key):
                    deliberate = [one for one in DIFFERENCES if re.fullmatch(one[0], scenario.name) and key in one[1]]
                    a, b = getattr(ours, key), getattr(theirs, key)
                    if deliberate:
                        if a != b:
                            shown.update(deliberate)
                    else:
                        self.assertEqual(a, b, "first ours, second HAProxy's")
        for one in DIFFERENCES:
            self.assertIn(one, shown, "no scenario shows this difference any more")

    def test_the_page_knows_every_difference(self):
        page = PAGE.read_text()
        for _, _, why in DIFFERENCES:
            self.assertIn(why, page)


class Pinning(ProgramsTest):
    """What cookies, weights and dead servers do; both balancers are asked the same."""

    def pair(self, servers, affinity=None, cookie="", weights=(1, 1), head=""):
        listed = [{"name": n, "address": "%s:%d" % one.address, "weight": w} for n, one, w in zip("ab", servers, weights)]
        more = {"affinity": [{"kind": "cookie-insert", "name": "SRV", **(affinity or {})}]}
        ours = self.http_balancer(listed, pool=more, head=head).address()
        lines = ["balance roundrobin", f"cookie SRV insert indirect nocache {cookie}".strip()]
        lines += ["server %s %s:%d cookie %s weight %d" % (n, *one.address, n, w) for n, one, w in zip("ab", servers, weights)]
        defaults = "  retries 2\n  option redispatch 1\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
        return ours, start_haproxy(self, defaults, {"play": lines})["play"]

    def two(self):
        return [Listener(self, told_by_requests(name)) for name in "ab"]

    @staticmethod
    def cookie(address, server):
        """The cookie that leads to this server."""

        def given():
            response = ask(address)
            return response.get("x-server") == server and response.get("set-cookie").partition(";")[0]

        return poll(given, f"a cookie for {server}")

    def test_a_cookie_that_is_idle_or_old_is_none(self):
        for ours_says, theirs_says in (({"max_idle": "1s"}, "maxidle 1s"), ({"max_life": "1s"}, "maxlife 1s")):
            for address in self.pair(self.two(), ours_says, theirs_says):
                cookie = self.cookie(address, "a")
                self.assertEqual(ask(address, fields=[("Cookie", cookie)]).get("x-server"), "a")

                def is_forgotten():
                    response = ask(address, fields=[("Cookie", cookie)])
                    return response.get("x-server") == "b" and response.get("set-cookie")

                poll(is_forgotten, "the old cookie pins no more, and a new one is given")

    def test_weight_0_takes_those_that_belong_there(self):
        servers = self.two()
        key = self.file("ab" * 32, ".key")
        key.chmod(0o600)
        head = f'[keys]\nseal = ["file:{key}"]\n'
        cookies = [self.cookie(address, "a") for address in self.pair(servers, head=head)]
        for address, cookie in zip(self.pair(servers, weights=(0, 1), head=head), cookies):
            self.assertEqual({ask(address).get("x-server") for _ in range(6)}, {"b"}, "nobody new")
            self.assertEqual(ask(address, fields=[("Cookie", cookie)]).get("x-server"), "a")

    def test_redispatch(self):
        """The pinned server refuses: another one answers, and its cookie is given; a WebSocket and a POST likewise."""
        for method in ("GET", "POST", "WebSocket"):
            servers = self.two()
            for address in self.pair(servers):
                cookie = self.cookie(address, "a")
                servers[0].die()
                fields = [("Cookie", cookie)]
                with Connection(address) as client:
                    if method == "WebSocket":
                        client.send(request(fields=[*WebSocket.upgrade_fields(), *fields]))
                        response = client.response()
                    else:
                        response = client.ask(method, fields=fields, body=b"x" if method == "POST" else None)
                self.assertEqual((response.status, response.get("x-server")), (101 if method == "WebSocket" else 200, "b"))
                self.assertTrue(response.get("set-cookie"))
                servers[0].open()

    def test_nobody_is_left(self):
        servers = self.two()
        addresses = self.pair(servers)
        for one in servers:
            one.die()
        for address in addresses:
            response = ask(address)
            self.assertEqual((response.status, response.get("set-cookie")), (503, None))


if __name__ == "__main__":
    unittest.main()
