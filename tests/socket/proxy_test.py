"""socket/http/proxy: what a reverse proxy does with good messages: connections, bodies, fields, interim answers, tunnels."""

import hashlib
import random
import threading
import unittest

from programs import Closed, Connection, ProgramsTest, WebSocket, ask, poll, request, servers, websocket_accept
from servers import Listener, response_bytes

MIB = 1024 * 1024


def seeded(size, seed=7):
    return random.Random(seed).randbytes(size)


def echo(peer):
    """Answers every request with what it saw: the method, target and body, and its fields as X-Saw-Name."""
    while (heard := peer.request()) is not None:
        if heard.get("expect"):
            peer.send(b"HTTP/1.1 100 Continue\r\nX-Interim: yes\r\n\r\n")
        heard.body = peer.body_of(heard)
        fields = [("X-Line", f"{heard.method} {heard.target}"), ("X-Trailers", repr(heard.trailers))]
        fields += [("X-Saw-" + name, value) for name, value in heard.fields]
        fields.append(("X-Hash", hashlib.sha256(heard.body).hexdigest()))
        if heard.method == "HEAD":
            peer.send(response_bytes(200, [*fields, ("Content-Length", "12345")]))
        elif heard.target.startswith("/status/"):
            peer.send(response_bytes(int(heard.target[8:]), fields, reason="None"))
        elif heard.target == "/chunked":
            peer.send(response_bytes(200, [*fields, ("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")]))
            for at in range(0, len(heard.body), 70_000):
                piece = heard.body[at : at + 70_000]
                peer.send(b"%x;piece=%d\r\n" % (len(piece), at) + piece + b"\r\n")
            peer.send(b"0\r\nX-Sum: 42\r\n\r\n")
        elif heard.target == "/until-close":
            peer.send(response_bytes(200, [*fields, ("Connection", "close")], heard.body))
            return
        else:
            peer.answer(200, fields, heard.body)


class ProxyTest(ProgramsTest):
    def before(self, *handlers, listener=None, pool=None):
        """A balancer before a server for each handler; the servers are self.servers."""
        self.servers = [Listener(self, handler) for handler in handlers]
        addresses = [server.address for server in self.servers]
        self.proxy = self.http_balancer(servers(*addresses), listener=listener, pool=pool)
        return self.proxy.address()


class KeepAlive(ProxyTest):
    def test_servers_see_fewer_connections_than_requests(self):
        address = self.before(echo)
        with Connection(address) as client:
            for number in range(20):
                response = client.ask(target=f"/{number}")
                self.assertEqual((response.status, response.get("x-line")), (200, f"GET /{number}"))
                self.assertIsNone(response.get("connection"), "HTTP/1.1 stays without saying so")
        for _ in range(5):
            self.assertEqual(ask(address).status, 200)
        self.assertEqual(len(self.servers[0].peers), 1, "25 requests of 6 clients")

    def test_pipelined_requests_are_answered_in_order(self):
        address = self.before(echo)
        with Connection(address) as client:
            client.send(b"".join(request("POST", f"/{i}", body=b"x" * (i * 100)) for i in range(30)))
            for i in range(30):
                response = client.response()
                self.assertEqual((response.get("x-line"), len(response.body)), (f"POST /{i}", i * 100))

    def test_who_speaks_http_1_0(self):
        address = self.before(echo)
        with Connection(address) as client:
            client.send(b"GET /old HTTP/1.0\r\nHost: old\r\n\r\n")
            response = client.response()
            self.assertEqual((response.status, response.get("connection")), (200, "close"))
            self.assertEqual(client.rest(), b"")
        with Connection(address) as client:
            for _ in range(2):
                client.send(b"GET /old HTTP/1.0\r\nHost: old\r\nConnection: keep-alive\r\n\r\n")
                self.assertEqual(client.response().get("connection").lower(), "keep-alive")
        with Connection(address) as client:  # knows no chunks: the end of the connection ends the body
            body = seeded(200_000)
            client.send(b"POST /chunked HTTP/1.0\r\nHost: old\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            response = client.response()
            self.assertIsNone(response.get("transfer-encoding"))
            self.assertIsNone(response.get("content-length"))
            self.assertEqual(response.body, body)

    def test_a_client_that_says_close(self):
        address = self.before(echo)
        with Connection(address) as client:
            response = client.ask(fields=[("Connection", "close")])
            self.assertEqual((response.status, response.get("connection")), (200, "close"))
            self.assertEqual(client.rest(), b"")
        self.assertEqual(ask(address).status, 200)
        self.assertEqual(len(self.servers[0].peers), 1, "which is between the client and us")

    def test_a_server_that_says_close(self):
        def closing(peer):
            peer.request()
            peer.answer(200, [("Connection", "close")], b"bye")

        address = self.before(closing)
        with Connection(address) as client:
            for _ in range(3):
                response = client.ask()
                self.assertEqual((response.status, response.body, response.get("connection")), (200, b"bye", None))
        self.assertEqual(len(self.servers[0].peers), 3)

    def test_a_server_that_closes_as_the_next_request_comes(self):
        """It has answered one request, and closes when it has read (or not read) the next: a GET is sent again. A POST is
        not, since nobody knows whether it was heard: its client sees what we see, and decides."""

        def forgetful(peer):
            heard = peer.request()
            heard.body = peer.body_of(heard)
            peer.answer(200, [("X-Number", str(len(listener.peers)))], heard.body)
            peer.more()  # the next request, which is not answered

        listener = Listener(self, forgetful)
        self.servers = [listener]
        address = self.http_balancer(servers(listener.address)).address()
        with Connection(address) as client:
            for number in range(1, 6):
                response = client.ask(target=f"/{number}")
                self.assertEqual((response.status, response.get("x-number")), (200, str(number)))
            with self.assertRaises(Closed):
                client.ask("POST", body=b"once")
        self.assertEqual(sum(peer.heard.count(b"once") for peer in listener.peers), 1, "what may not be repeated is sent once")
        self.assertEqual(ask(address, "POST", body=b"first").body, b"first", "a client's first has a connection of its own")

    def test_a_post_that_may_have_been_heard_is_not_sent_again(self):
        def deaf(peer):
            heard = peer.request()
            peer.body_of(heard)

        address = self.before(deaf, deaf)
        response = ask(address, "POST", body=b"pay 5")
        self.assertEqual(response.status, 502)
        self.assertEqual(sum(b"pay 5" in server.heard() for server in self.servers), 1)


class Bodies(ProxyTest):
    SIZES = [0, 1, 100, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 300_000, 5 * MIB]

    def test_lengths_both_ways(self):
        address = self.before(echo)
        with Connection(address) as client:
            for size in self.SIZES:
                body = seeded(size)
                for target in ("/", "/chunked"):
                    response = client.ask("POST", target, body=body)
                    self.assertEqual(response.get("x-hash"), hashlib.sha256(body).hexdigest(), f"{size} up")
                    self.assertEqual(response.body, body, f"{size} down from {target}")
        self.assertEqual(ask(address, "POST", "/until-close", body=seeded(300_000)).body, seeded(300_000))

    def test_chunks_with_trailers_both_ways(self):
        address = self.before(echo)
        with Connection(address) as client:
            for size in self.SIZES:
                body = seeded(size)
                client.send(b"POST /chunked HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTrailer: X-Last\r\n\r\n")
                for at in range(0, size, 50_001):
                    piece = body[at : at + 50_001]
                    client.send(b'%X;name="q\\"uoted"\r\n' % len(piece) + piece + b"\r\n")
                client.send(b"0\r\nX-Last: 1\r\nX-More: 2\r\n\r\n")
                response = client.response()
                self.assertEqual(response.get("x-trailers"), "[('X-Last', '1'), ('X-More', '2')]")
                self.assertEqual(response.body, body)
                self.assertEqual(response.trailers, [("X-Sum", "42")])

    def test_chunks_byte_by_byte(self):
        address = self.before(echo)
        with Connection(address) as client:
            whole = b"POST /chunked HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n"
            for i in range(len(whole)):
                client.send(whole[i : i + 1])
            self.assertEqual(client.response().body, b"hello!")

    def test_answers_without_a_body(self):
        address = self.before(echo)
        with Connection(address) as client:
            response = client.ask("HEAD")
            self.assertEqual((response.status, response.get("content-length")), (200, "12345"))
            for status in (204, 304):
                response = client.ask(target=f"/status/{status}")
                self.assertEqual((response.status, response.body), (status, b""))
            self.assertEqual(client.ask().get("x-line"), "GET /", "and the connection goes on")

    def test_100_continue(self):
        address = self.before(echo)
        with Connection(address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            interim = client.head()
            self.assertEqual((interim.status, interim.get("x-interim")), (100, "yes"), "the server's, before the body was sent")
            client.send(b"hello")
            self.assertEqual(client.response().body, b"hello")

    def test_an_answer_while_the_upload_goes_on(self):
        """The server has heard enough. The client gets the answer while it sends, and the connection ends."""

        def impatient(peer):
            peer.request()
            peer.exactly(1000)
            peer.answer(413, [("Connection", "close")], b"too much")
            peer.half_close()
            peer.rest()

        address = self.before(impatient)
        with Connection(address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 2000)
            response = client.response()
            self.assertEqual((response.status, response.body), (413, b"too much"))
            sender = threading.Thread(target=self.send_until_cut, args=(client,), daemon=True)
            sender.start()
            sender.join(30)
            self.assertFalse(sender.is_alive(), "the client is told to stop")

    def send_until_cut(self, client):
        try:
            for _ in range(10_000):
                client.send(b"x" * 10_000)
        except OSError:
            pass

    def test_an_early_answer_of_a_server_that_hears_on(self):
        def early(peer):
            while (heard := peer.request()) is not None:
                if heard.method == "POST":
                    peer.answer(200, body=b"early")
                    peer.body_of(heard)
                else:
                    peer.answer(200, body=b"next")

        address = self.before(early)
        with Connection(address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n")
            self.assertEqual(client.response().body, b"early")
            client.send(b"x" * 1000)
            self.assertEqual(client.ask().body, b"next", "what was sent of the body is not taken for a request")


class Fields(ProxyTest):
    def saw(self, response, name):
        return response.all("x-saw-" + name)

    def test_forwarded(self):
        address = self.before(echo)
        plain = ask(address, bind="127.0.0.77", host="play.example:81")
        self.assertEqual(self.saw(plain, "x-forwarded-for"), ["127.0.0.77"])
        self.assertEqual(self.saw(plain, "x-forwarded-host"), ["play.example:81"])
        self.assertEqual(self.saw(plain, "x-forwarded-proto"), ["http"])
        self.assertEqual(self.saw(plain, "host"), ["play.example:81"])
        lying = ask(
            address,
            bind="127.0.0.78",
            fields=[
                ("X-Forwarded-For", "1.2.3.4"),
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-For", "5.6.7.8, 9.9.9.9"),
                ("X-Forwarded-Host", "evil"),
            ],
        )
        self.assertEqual(self.saw(lying, "x-forwarded-for"), ["127.0.0.78"])
        self.assertEqual(self.saw(lying, "x-forwarded-proto"), ["http"])
        self.assertEqual(self.saw(lying, "x-forwarded-host"), ["test"])

    def test_hop_by_hop_fields_end_here(self):
        def chatty(peer):
            while (heard := peer.request()) is not None:
                fields = [("X-Saw-" + name, value) for name, value in heard.fields]
                fields += [("Connection", "X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "timeout=5"), ("X-Yours", "2")]
                peer.answer(200, fields + [("Proxy-Connection", "keep-alive"), ("Upgrade", "h2c")])

        address = self.before(chatty)
        response = ask(
            address,
            fields=[
                ("Connection", "X-One, x-two"),
                ("X-One", "1"),
                ("X-TWO", "2"),
                ("X-Three", "3"),
                ("Keep-Alive", "300"),
                ("Proxy-Connection", "keep-alive"),
                ("TE", "trailers"),
                ("Upgrade", "h2c"),
                ("Proxy-Authorization", "Basic eDp5"),
            ],
        )
        for name in ("x-one", "x-two", "keep-alive", "proxy-connection", "upgrade", "te"):
            self.assertEqual(self.saw(response, name), [], name)
        self.assertEqual(self.saw(response, "x-three"), ["3"])
        for name in ("x-mine", "keep-alive", "proxy-connection", "upgrade"):
            self.assertIsNone(response.get(name), name)
        self.assertEqual(response.get("x-yours"), "2")

    def test_an_absolute_target_becomes_a_path(self):
        address = self.before(echo)
        self.assertEqual(ask(address, target="http://test/a?b=c").get("x-line"), "GET /a?b=c")
        self.assertEqual(ask(address, "OPTIONS", "*").get("x-line"), "OPTIONS *")

    def test_fields_that_are_not_ours_pass_as_they_came(self):
        address = self.before(echo)
        fields = [("X-Odd", 'a "b" ; c=\t d'), ("Accept", "*/*"), ("X-Empty", ""), ("X-Latin", "caf\xe9")]
        response = ask(address, fields=fields)
        for name, value in fields:
            self.assertEqual(self.saw(response, name), [value])


class Tunnels(ProxyTest):
    def test_leftovers_behind_the_101_on_both_sides(self):
        """Bytes that came together with the request's head go to the server, those behind the 101 to the client."""

        def upgrading(peer):
            heard = peer.request()
            fields = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
            fields.append(("Sec-WebSocket-Accept", websocket_accept(heard.get("sec-websocket-key"))))
            peer.send(response_bytes(101, fields, b"server first" + b"s" * 100_000, "Switching Protocols"))
            peer.send(b"heard:" + peer.exactly(12 + 20_000))
            peer.half_close()
            peer.rest()

        address = self.before(upgrading)
        for cut in (False, True):
            with Connection(address) as client:
                head = request(fields=WebSocket.upgrade_fields())
                behind = b"client first" + b"c" * 20_000
                for piece in (head + behind,) if not cut else (head[:-1], head[-1:] + behind[:1], behind[1:]):
                    client.send(piece)
                self.assertEqual(client.response().status, 101)
                self.assertEqual(client.exactly(12 + 100_000), b"server first" + b"s" * 100_000)
                self.assertEqual(client.exactly(6 + 12 + 20_000), b"heard:" + behind)
                self.assertEqual(client.rest(), b"", "its FIN comes through")
                client.half_close()

    def test_an_upgrade_to_anything_is_passed_on(self):
        def shout(peer):
            asked = peer.request()
            peer.send(response_bytes(101, [("Connection", "Upgrade"), ("Upgrade", asked.get("upgrade"))], b"hello"))
            while peer.more():
                heard, peer.arrived = peer.arrived, b""
                peer.send(heard.upper())
            peer.send(b"bye")

        server = Listener(self, shout)
        address = self.http_balancer(servers(server.address)).address()
        for protocol in ("TLS/1.0", "mqtt", "foo/2, bar"):
            with Connection(address) as client:
                response = client.ask(fields=[("Connection", "Upgrade"), ("Upgrade", protocol)])
                self.assertEqual((response.status, response.get("upgrade")), (101, protocol))
                self.assertEqual(client.exactly(5), b"hello")
                client.send(b"\x00\xff loud\n")
                self.assertEqual(client.exactly(8), b"\x00\xff LOUD\n")
                client.half_close()
                self.assertEqual(client.rest(), b"bye", "each direction has an end of its own")

    def test_a_refused_upgrade_is_an_ordinary_answer(self):
        def refusing(peer):
            while peer.request() is not None:
                peer.answer(403, body=b"no")

        address = self.before(refusing)
        with Connection(address) as client:
            for _ in range(2):
                self.assertEqual(client.ask(fields=WebSocket.upgrade_fields()).status, 403)

    def test_a_101_that_nobody_asked_for(self):
        def eager(peer):
            peer.request()
            peer.send(response_bytes(101, [("Connection", "Upgrade"), ("Upgrade", "websocket")], reason="Switching Protocols"))
            peer.rest()

        self.assertEqual(ask(self.before(eager)).status, 502)

    def test_h2c_is_not_passed_on(self):
        address = self.before(echo)
        fields = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]
        response = ask(address, fields=fields)
        self.assertEqual(response.status, 200)
        for name in ("x-saw-upgrade", "x-saw-http2-settings"):
            self.assertIsNone(response.get(name), name)

    def test_both_ends_see_a_reset(self):
        address = self.before(lambda peer: (peer.request(), peer.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), peer.rest()))
        client = Connection(address)
        client.send(request(fields=[("Connection", "Upgrade"), ("Upgrade", "x")]))
        self.assertEqual(client.response().status, 101)
        client.reset()
        poll(lambda: self.servers[0].peers[0].done.is_set(), "the server is told that the client is gone")


if __name__ == "__main__":
    unittest.main()
