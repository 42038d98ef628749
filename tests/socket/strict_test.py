"""socket/http/strict: what two programs could read in two ways reaches no server, and no client.

The parser's own tables (src/proto) are longer; here it is proved from socket to socket: the answer, the end of the connection,
and the bytes that the server has heard.
"""

import unittest

from programs import Closed, Connection, ProgramsTest, WebSocket, ask, poll, request, servers
from servers import Listener, response_bytes

SECOND = b"GET /second HTTP/1.1\r\nHost: t\r\n\r\n"


def get(*lines, line=b"GET /first HTTP/1.1", host=b"Host: t"):
    """A head of these field lines, which end in CRLF."""
    return b"\r\n".join([line, *([host] if host else []), *lines, b"", b""])


def post(*lines, body=b""):
    return get(*lines, line=b"POST /first HTTP/1.1") + body


LENGTH, CHUNKED = b"Content-Length: 5", b"Transfer-Encoding: chunked"

# name, bytes, status. Nothing of them reaches a server, nor does what stands behind them.
HEADS = [
    # two readings of where the body ends
    ("length and chunked", post(LENGTH, CHUNKED, body=b"0\r\n\r\n"), 400),
    ("chunked and length", post(CHUNKED, LENGTH, body=b"0\r\n\r\n"), 400),
    ("two lengths that differ", post(LENGTH, b"Content-Length: 6", body=b"hello"), 400),
    ("two lengths that agree", post(LENGTH, LENGTH, body=b"hello"), 400),
    ("a list of lengths", post(b"Content-Length: 5, 5", body=b"hello"), 400),
    ("signed length", post(b"Content-Length: +5", body=b"hello"), 400),
    ("negative length", post(b"Content-Length: -5", body=b"hello"), 400),
    ("hexadecimal length", post(b"Content-Length: 0x5", body=b"hello"), 400),
    ("empty length", post(b"Content-Length:", body=b"hello"), 400),
    ("length with a space inside", post(b"Content-Length: 1 0", body=b"hello"), 400),
    ("length of 2^64 + 5", post(b"Content-Length: 18446744073709551621", body=b"hello"), 400),
    ("Content_Length", post(b"Content_Length: 5", body=b"hello"), 400),
    ("Transfer_Encoding", post(b"Transfer_Encoding: chunked", body=b"0\r\n\r\n"), 400),
    ("chunked, identity", post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), (400, 501)),
    ("identity", post(b"Transfer-Encoding: identity", body=b"hello"), (400, 501)),
    ("gzip, chunked", post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    ("gzip", post(b"Transfer-Encoding: gzip", body=b"0\r\n\r\n"), (400, 501)),
    ("xchunked", post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), (400, 501)),
    ("quoted chunked", post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), (400, 501)),
    ("chunked twice in one line", post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    ("chunked in two lines", post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    ("chunked with a parameter", post(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), (400, 501)),
    ("chunked with an empty item", post(b"Transfer-Encoding: ,chunked", body=b"0\r\n\r\n"), (400, 501)),
    ("empty Transfer-Encoding", post(b"Transfer-Encoding:", body=b"0\r\n\r\n"), (400, 501)),
    ("chunked behind a vertical tab", post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    ("chunked in HTTP/1.0", get(CHUNKED, line=b"POST /first HTTP/1.0") + b"0\r\n\r\n", 400),
    # two readings of where a line ends
    ("bare LF behind the request line", b"GET /first HTTP/1.1\nHost: t\r\n\r\n", 400),
    ("bare LF behind a field", b"GET /first HTTP/1.1\r\nHost: t\nX: y\r\n\r\n", 400),
    ("bare LF at the end", b"GET /first HTTP/1.1\r\nHost: t\r\n\n", 400),
    ("bare CR in a value", get(b"X: a\rContent-Length: 5"), 400),
    ("CR CR LF", b"GET /first HTTP/1.1\r\nHost: t\r\r\n\r\n", 400),
    ("NUL in a value", get(b"X: a\0b"), 400),
    ("NUL in a name", get(b"X\0: a"), 400),
    ("DEL in a value", get(b"X: a\x7fb"), 400),
    ("obs-fold", get(b"X: a", b" b"), 400),
    ("obs-fold with a tab", get(b"X: a", b"\tb"), 400),
    ("obs-fold of the length", post(b"Content-Length:", b" 5", body=b"hello"), 400),
    ("obs-fold before the first field", get(b" X: a", host=None) + b"Host: t\r\n\r\n", 400),
    # two readings of a field's name
    ("space before the colon", post(b"Content-Length : 5", body=b"hello"), 400),
    ("tab before the colon", post(b"Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"), 400),
    ("no colon", get(b"Content-Length 5"), 400),
    ("no name", get(b": a"), 400),
    ("a byte above 0x7f in a name", get(b"X\xc3: a"), 400),
    ("a comma in a name", get(b"X,Y: a"), 400),
    # two readings of who is asked
    ("no Host", get(host=None), 400),
    ("two Hosts", get(b"Host: u"), 400),
    ("two Hosts that agree", get(b"Host: t"), 400),
    ("an empty Host", get(host=b"Host:"), 400),
    ("Host with a user", get(host=b"Host: a@t"), 400),
    ("Host with a path", get(host=b"Host: t/x"), 400),
    ("Host and target differ", get(line=b"GET http://u/first HTTP/1.1"), 400),
    ("Connection names Host", get(b"Connection: host"), 400),
    ("Connection names the length", post(b"Connection: content-length", LENGTH, body=b"hello"), 400),
    ("Connection names Cookie", get(b"Connection: cookie", b"Cookie: SRV=x"), 400),
    ("Connection is no list of tokens", get(b'Connection: "close"'), 400),
    # the request line
    ("two spaces", get(line=b"GET  /first HTTP/1.1"), 400),
    ("a space behind the version", get(line=b"GET /first HTTP/1.1 "), 400),
    ("a space in the target", get(line=b"GET /first x HTTP/1.1"), 400),
    ("a tab for a space", get(line=b"GET\t/first HTTP/1.1"), 400),
    ("no target", get(line=b"GET HTTP/1.1"), 400),
    ("no version", get(line=b"GET /first"), 400),
    ("a fragment", get(line=b"GET /first#x HTTP/1.1"), 400),
    ("a byte above 0x7f in the target", get(line=b"GET /\xc3\xa9 HTTP/1.1"), 400),
    ("a method that is no token", get(line=b"G(T /first HTTP/1.1"), 400),
    ("target * for GET", get(line=b"GET * HTTP/1.1"), 400),
    ("a relative target", get(line=b"GET first HTTP/1.1"), 400),
    ("ftp target", get(line=b"GET ftp://t/first HTTP/1.1"), 400),
    ("a method in small letters", get(line=b"get /first HTTP/1.1"), 400),
    ("http/1.1", get(line=b"GET /first http/1.1"), (400, 505)),
    ("HTTP/1.10", get(line=b"GET /first HTTP/1.10"), (400, 505)),
    ("HTTP/2.0", get(line=b"GET /first HTTP/2.0"), 505),
    ("HTTP/0.9", get(line=b"GET /first HTTP/0.9"), (400, 505)),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    ("two empty lines before", b"\r\n\r\n" + get(), 400),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100, 400),
    # too much
    ("a long target", get(line=b"GET /" + b"a" * 9000 + b" HTTP/1.1"), 414),
    ("a long field", get(b"X: " + b"a" * 17000), 431),
    ("many fields", get(*(b"X%d: a" % i for i in range(200))), 431),
    ("many long fields", get(*(b"X%d: " % i + b"a" * 400 for i in range(60))), 431),
    # what we do not do
    ("CONNECT", get(line=b"CONNECT t:80 HTTP/1.1", host=b"Host: t:80"), 501),
    ("TRACE", get(line=b"TRACE /first HTTP/1.1"), 501),
]

# name, the body behind a chunked POST's head. The head is sent on before the fault can be seen; what is faulty is not.
BODIES = [
    ("no size", b"\r\nhello\r\n0\r\n\r\n"),
    ("a size with 0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("a size with a sign", b"+5\r\nhello\r\n0\r\n\r\n"),
    ("a negative size", b"-5\r\nhello\r\n0\r\n\r\n"),
    ("a space before the size", b" 5\r\nhello\r\n0\r\n\r\n"),
    ("a space behind the size", b"5 \r\nhello\r\n0\r\n\r\n"),
    ("a size of 17 digits", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("a size with _", b"1_0\r\nhello\r\n0\r\n\r\n"),
    ("a size that ends in LF", b"5\nhello\r\n0\r\n\r\n"),
    ("a size that ends in CR", b"5\rhello\r\n0\r\n\r\n"),
    ("data longer than its size", b"5\r\nhelloo\r\n0\r\n\r\n"),
    ("data without CRLF", b"5\r\nhello0\r\n\r\n"),
    ("data that ends in LF", b"5\r\nhello\n0\r\n\r\n"),
    ("an extension with LF", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ("an extension with NUL", b"5;a\0\r\nhello\r\n0\r\n\r\n"),
    ("an extension without end", b"5;" + b"a" * 2000 + b"\r\nhello\r\n0\r\n\r\n"),
    ("a quoted extension with LF", b'5;a="\n"\r\nhello\r\n0\r\n\r\n'),
    ("a length in the trailers", b"0\r\nContent-Length: 5\r\n\r\n"),
    ("Transfer-Encoding in the trailers", b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("Host in the trailers", b"0\r\nHost: u\r\n\r\n"),
    ("Cookie in the trailers", b"0\r\nCookie: SRV=x\r\n\r\n"),
    ("a trailer that ends in LF", b"0\r\nA: b\n\r\n"),
    ("a trailer without colon", b"0\r\nA\r\n\r\n"),
    ("a folded trailer", b"0\r\nA: b\r\n c\r\n\r\n"),
    ("trailers without end", b"0\r\n" + b"A: " + b"a" * 9000 + b"\r\n\r\n"),
    ("LF behind the last chunk", b"0\n\r\n"),
]

OK = b"HTTP/1.1 200 OK\r\n"

# name, what a server answers. The client is told 502, and the server is not asked again on that connection.
RESPONSES = [
    ("two lengths that differ", OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhello"),
    ("length and chunked", OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("chunked and length", OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n"),
    ("chunked, identity", OK + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    ("gzip", OK + b"Transfer-Encoding: gzip\r\n\r\n"),
    ("a signed length", OK + b"Content-Length: +2\r\n\r\nhi"),
    ("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"),
    ("bare LF in a field", OK + b"X: y\nContent-Length: 2\r\n\r\nhi"),
    ("obs-fold", OK + b"X: y\r\n z\r\nContent-Length: 2\r\n\r\nhi"),
    ("space before the colon", OK + b"Content-Length : 2\r\n\r\nhi"),
    ("no colon", OK + b"Content-Length 2\r\n\r\nhi"),
    ("NUL", OK + b"X: \0\r\nContent-Length: 2\r\n\r\nhi"),
    ("no status", b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nhi"),
    ("status 99", b"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nhi"),
    ("status 999", b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nhi"),
    ("HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    ("no HTTP", b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n"),
    ("a body on 204", b"HTTP/1.1 204 None\r\nContent-Length: 2\r\n\r\nhi"),
    ("chunks on 204", b"HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a length on 101", b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nhi"),
    ("a head without end", OK + b"X: " + b"a" * 20000),
    ("many fields", OK + b"".join(b"X%d: a\r\n" % i for i in range(200)) + b"\r\n"),
]

# name, a chunked body of a server. Its head is at the client before the fault can be seen: it is never told that all is well.
RESPONSE_BODIES = [
    ("a size with 0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("data longer than its size", b"5\r\nhelloo\r\n0\r\n\r\n"),
    ("a size that ends in LF", b"5\nhello\r\n0\r\n\r\n"),
    ("a size of 17 digits", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("a length in the trailers", b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
]


class StrictTest(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.says = None
        self.server = Listener(self, self.serve)
        self.address = self.http_balancer(servers(self.server.address)).address()

    def serve(self, peer):
        """Good answers, or what the test has put into `says`."""
        while (heard := peer.request()) is not None:
            peer.body_of(heard)
            if self.says is None:
                peer.answer(200, [("X-Line", f"{heard.method} {heard.target}")])
            else:
                peer.send(self.says)

    def silence(self):
        """Forgets what the server has heard so far."""
        for peer in self.server.peers:
            peer.heard = bytearray()

    def outcome(self, data):
        """Sends it, in one piece or as the kernel likes; (status, what came behind the response). The connection has ended."""
        with Connection(self.address) as client:
            try:
                client.send(data)
            except ConnectionError:
                pass  # it has answered already, and ended
            response = client.response()
            return response, client.rest()


class Requests(StrictTest):
    def test_nothing_of_a_faulty_head_reaches_a_server(self):
        self.assertGreaterEqual(len(HEADS), 40)
        for name, data, wanted in HEADS:
            for behind in (SECOND, b""):
                with self.subTest(name, pipelined=bool(behind)):
                    self.silence()
                    response, rest = self.outcome(data + behind)
                    self.assertIn(response.status, wanted if isinstance(wanted, tuple) else (wanted,))
                    self.assertEqual(response.get("connection"), "close")
                    self.assertEqual(rest, b"", "the connection ends, and the second request is not served")
                    self.assertEqual(self.server.heard(), b"")

    def test_the_same_behind_a_good_request(self):
        """The good one is answered; the faulty one is refused; the server has heard the good one alone."""
        for name, data, wanted in HEADS:
            if data.startswith(b"\r\n"):
                continue
            with self.subTest(name), Connection(self.address) as client:
                self.silence()
                client.send(request(target="/good") + data + SECOND)
                self.assertEqual(client.response().status, 200)
                self.assertIn(client.response().status, wanted if isinstance(wanted, tuple) else (wanted,))
                self.assertEqual(client.rest(), b"")
                self.assertEqual(self.server.heard().count(b"HTTP/1.1\r\n"), 1)

    def test_faulty_chunks_end_the_request_everywhere(self):
        head = post(CHUNKED)
        for name, body in BODIES:
            for cut in (False, True):
                with self.subTest(name, cut=cut), Connection(self.address) as client:
                    self.silence()
                    before = len(self.server.peers)
                    if cut:
                        client.send(head)
                        poll(lambda: b"/first" in self.server.heard(), "the head is at the server")
                        client.send(body + SECOND)
                    else:
                        client.send(head + body + SECOND)
                    response = client.response()
                    self.assertEqual(response.status, 400)
                    self.assertEqual(client.rest(), b"")
                    client.close()
                    poll(lambda: all(peer.done.is_set() for peer in self.server.peers[before:]), "the server's connection ends")
                    heard = self.server.heard()
                    self.assertNotIn(b"/second", heard)
                    self.assertFalse(heard.endswith(b"0\r\n\r\n"), f"the server takes this for a whole request: {heard!r}")

    def test_smuggling_probes(self):
        """Whatever a server might take for a second request is one only when we have taken it for one, too."""
        probes = [
            post(b"Content-Length: %d" % len(SECOND), body=SECOND),
            post(CHUNKED, body=b"%x\r\n" % len(SECOND) + SECOND + b"\r\n0\r\n\r\n"),
            post(b"Content-Length: 0") + b"",
        ]
        for probe in probes:
            with self.subTest(probe=probe[:80]), Connection(self.address) as client:
                client.send(probe + request(target="/third"))
                self.assertEqual(client.response().get("x-line"), "POST /first")
                self.assertEqual(client.response().get("x-line"), "GET /third")
        with Connection(self.address) as client:  # an upgrade that the server refuses is not blind forwarding
            client.send(request(target="/up", fields=WebSocket.upgrade_fields()) + SECOND)
            self.assertEqual(client.response().get("x-line"), "GET /up")
            self.assertEqual(client.response().get("x-line"), "GET /second")

    def test_what_looks_odd_and_is_right(self):
        """So that the tables above show strictness and not deafness."""
        good = [
            b"\r\n" + get(),
            get(host=b"host:t"),
            get(host=b"HOST: \t t \t "),
            get(b"X:"),
            get(b"Connection: , close ,"),
            get(line=b"GET /first?a=/../%00&b=http://x HTTP/1.1"),
            get(line=b"GET http://t/first HTTP/1.1"),
            post(b"Content-Length: 5", body=b"hello"),
            post(b"transfer-encoding:CHUNKED", body=b'5;a=b;c="d;\\""\r\nhello\r\n000\r\nX: y\r\n\r\n'),
            get(line=b"PURGE-IT /first HTTP/1.1"),
        ]
        for data in good:
            with self.subTest(data=data[:100]), Connection(self.address) as client:
                client.send(data)
                self.assertEqual(client.response(method="GET").status, 200)


class Responses(StrictTest):
    def test_a_response_that_can_be_read_in_two_ways_is_a_502(self):
        for name, data in RESPONSES:
            with self.subTest(name):
                self.says, before = data, len(self.server.peers)
                response, rest = self.outcome(request(fields=[("Connection", "Upgrade"), ("Upgrade", "x")]))
                self.assertEqual(response.status, 502)
                self.assertNotIn(b"hello", response.body)
                self.assertEqual(rest, b"")
                poll(lambda: all(peer.done.is_set() for peer in self.server.peers[before:]), "that connection is not kept")
        self.says = None
        self.assertEqual(ask(self.address).status, 200)

    def test_faulty_chunks_of_a_server_cut_the_client(self):
        for name, body in RESPONSE_BODIES:
            with self.subTest(name), Connection(self.address) as client:
                self.says = response_bytes(200, [("Transfer-Encoding", "chunked")], body)
                client.send(request())
                try:
                    response = client.response()
                    self.fail(f"taken for a whole response: {response}")
                except (Closed, ValueError, AssertionError) as cut:
                    self.assertNotIn("taken for", str(cut))
                self.says = None
                self.assertEqual(ask(self.address).status, 200)

    def test_what_comes_behind_a_response_is_given_to_nobody(self):
        """A server that says more than it was asked: the next client must not get it for an answer."""
        self.says = response_bytes(200, [("Content-Length", "2")], b"hi" + response_bytes(200, [("Content-Length", "4")], b"evil"))
        for _ in range(5):
            self.assertEqual(ask(self.address).body, b"hi")
        self.says = None
        self.assertEqual(ask(self.address).body, b"")

    def test_what_comes_behind_a_head_answer_is_given_to_nobody(self):
        self.says = response_bytes(200, [("Content-Length", "4")], b"evil")
        self.assertEqual(ask(self.address, "HEAD").status, 200)
        self.says = None
        self.assertEqual(ask(self.address).body, b"")


if __name__ == "__main__":
    unittest.main()
