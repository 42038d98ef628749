"""socket/http/harm: servers and clients that refuse, are silent, slow, or gone in the middle."""

import random
import select
import threading
import unittest

from programs import Connection, ProgramsTest, WebSocket, ask, poll, request, servers
from servers import Listener, response_bytes, told_by_requests

MIB = 1024 * 1024
INSERT = {"affinity": [{"kind": "cookie-insert", "name": "SRV"}]}


class HarmTest(ProgramsTest):
    def before(self, *handlers, listener=None, pool=None):
        self.servers = [Listener(self, handler) for handler in handlers]
        self.proxy = self.http_balancer(servers(*(server.address for server in self.servers)), listener=listener, pool=pool)
        return self.proxy.address()

    def three(self, **options):
        return self.before(*(told_by_requests(name) for name in "abc"), **options)


class Failover(HarmTest):
    def test_a_server_that_refuses_is_left_for_another_and_a_new_cookie(self):
        address = self.three(pool={**INSERT, "retries": 2})
        for how in (self.plain, self.websocket):
            first = how(address)
            cookie = first.get("set-cookie").split(";")[0]
            home = "abc".index(first.get("x-server"))
            self.assertEqual(how(address, cookie).get("x-server"), first.get("x-server"))
            self.servers[home].die()
            other = how(address, cookie)
            self.assertNotEqual(other.get("x-server"), first.get("x-server"))
            new_cookie = other.get("set-cookie").split(";")[0]
            self.assertNotEqual(new_cookie, cookie)
            self.assertEqual(other.get("x-saw"), "[]", "the server sees none of it")
            self.servers[home].open()
            for _ in range(3):
                again = how(address, new_cookie)
                self.assertEqual(again.get("x-server"), other.get("x-server"))
                self.assertIsNone(again.get("set-cookie"))

    def plain(self, address, cookie=None):
        return ask(address, fields=[("Cookie", cookie)] if cookie else [])

    def websocket(self, address, cookie=None):
        one = WebSocket(address, fields=[("Cookie", cookie)] if cookie else [])
        self.assertEqual(one.hear(), (1, b"hi"))
        one.close()
        return one.handshake

    def test_a_body_goes_to_the_server_that_takes_it(self):
        address = self.three(pool={"retries": 2})
        self.servers[0].shut()
        self.servers[1].shut()
        for _ in range(4):
            response = ask(address, "POST", body=b"x" * 100_000)
            self.assertEqual((response.get("x-server"), response.get("x-body")), ("c", "100000"))

    def test_all_refuse(self):
        address = self.three(pool=INSERT)
        for server in self.servers:
            server.die()
        for method in ("GET", "POST", "HEAD"):
            response = ask(address, method, body=b"x" if method == "POST" else None)
            self.assertEqual(response.status, 503)
            self.assertIsNone(response.get("set-cookie"))
        with Connection(address) as client:
            client.send(request(fields=WebSocket.upgrade_fields()))
            self.assertEqual(client.response().status, 503)
        self.servers[1].open()
        self.assertEqual(ask(address).get("x-server"), "b", "and it is over when one comes back")

    def test_no_more_servers_are_tried_than_retries_says(self):
        address = self.three(pool={"retries": 0})
        self.servers[0].die()
        self.servers[1].die()
        statuses = [ask(address).status for _ in range(6)]
        self.assertEqual(statuses.count(200), 2, statuses)
        self.assertEqual(statuses.count(503), 4, statuses)

    def test_health_checks_take_a_server_out_and_bring_it_back(self):
        health = {"kind": "http", "path": "/healthz", "every": "100ms", "timeout": "2s", "fall": 2, "rise": 2}
        address = self.three(pool={**INSERT, "health": health})
        cookie = next(
            found.get("set-cookie").split(";")[0] for found in iter(lambda: ask(address), None) if found.get("x-server") == "b"
        )
        self.servers[1].die()
        self.proxy.wait_for("server pool/b is down")
        self.assertEqual({ask(address).get("x-server") for _ in range(9)}, {"a", "c"})
        self.assertNotEqual(ask(address, fields=[("Cookie", cookie)]).get("x-server"), "b")
        self.servers[1].open()
        self.proxy.wait_for("server pool/b is up")
        self.assertEqual(ask(address, fields=[("Cookie", cookie)]).get("x-server"), "b", "the old cookie still names it")


class Silence(HarmTest):
    def test_a_server_that_does_not_answer(self):
        address = self.before(lambda peer: peer.rest(), listener={"idle_timeout": "1s"})
        for method, body in (("GET", None), ("POST", b"x" * 100)):
            self.assertEqual(ask(address, method, body=body).status, 504)
        poll(lambda: all(peer.done.is_set() for peer in self.servers[0].peers), "its connections are closed")

    def test_a_server_that_stops_in_the_middle_of_a_body(self):
        def tired(peer):
            peer.request()
            peer.send(response_bytes(200, [("Content-Length", "1000")], b"x" * 10))
            peer.rest()

        address = self.before(tired, listener={"idle_timeout": "1s"})
        with Connection(address) as client:
            client.send(request())
            self.assertEqual(client.head().status, 200)
            self.assertEqual(client.rest(), b"x" * 10, "what came is passed on, and then the connection is cut")

    def test_a_server_that_ends_too_early(self):
        def short(peer):
            peer.request()
            peer.send(response_bytes(200, [("Transfer-Encoding", "chunked")], b"5\r\nhello\r\n"))

        address = self.before(short)
        with Connection(address) as client:
            client.send(request())
            client.head()
            self.assertNotIn(b"0\r\n\r\n", client.rest(), "half a body is not made a whole one")

    def test_a_server_that_closes_without_an_answer(self):
        address = self.before(lambda peer: peer.request())
        self.assertEqual(ask(address).status, 502)

    def test_a_client_that_does_not_send_its_head(self):
        address = self.three(listener={"head_timeout": "1s", "idle_timeout": "1500ms"})
        with Connection(address) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\n")
            self.assertEqual(client.response().status, 408)
            self.assertEqual(client.rest(), b"")
        with Connection(address) as client:  # says nothing at all: it is told nothing
            self.assertEqual(client.rest(), b"")
        with Connection(address) as client:  # between two requests: the same
            self.assertEqual(client.ask().status, 200)
            self.assertEqual(client.rest(), b"")
        with Connection(address) as client:  # and in a body
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345")
            self.assertEqual(client.response().status, 408)
            self.assertEqual(client.rest(), b"")
        self.assertEqual(sum(len(server.peers) for server in self.servers), 2)

    def test_a_head_that_comes_byte_by_byte_has_no_longer_time(self):
        address = self.three(listener={"head_timeout": "1s"})
        with Connection(address) as client:
            said = 0
            head = b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"x" * 4000

            def drip():
                nonlocal said
                readable, _, _ = select.select([client.socket], [], [], 0.05)
                if not readable:
                    client.send(head[said : said + 1])
                    said += 1
                return readable

            poll(drip, "the slow head is ended")
            self.assertEqual(client.response().status, 408)

    def test_a_tunnel_that_is_silent(self):
        address = self.three(listener={"tunnel_timeout": "1s"})
        one = WebSocket(address)
        one.hear()
        one.say("still here")
        self.assertEqual(one.rest(), b"")
        poll(lambda: all(peer.done.is_set() for server in self.servers for peer in server.peers), "both sides were cut")


class Gone(HarmTest):
    def test_clients_that_go_in_the_middle(self):
        """At every point of an exchange, with FIN and with RST; the server's connection goes with it, and nothing stays behind."""
        body = b"x" * 300_000
        head = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body)

        def slow(peer):
            while (heard := peer.request()) is not None:
                peer.body_of(heard)
                peer.send(response_bytes(200, [("Content-Length", str(3 * MIB))], b"x" * MIB))
                peer.send(b"x" * 2 * MIB)

        address = self.before(slow)
        before = None
        for leave in ("close", "reset"):
            for sent in (head[:10], head, head + body[:1000], head + body[:-1], head + body):
                client = Connection(address)
                client.send(sent)
                getattr(client, leave)()
            with Connection(address) as client:  # in the middle of the response
                client.send(head + body)
                client.exactly(100_000)
                getattr(client, leave)()
            poll(lambda: self.all_done(), "the servers' sides end too")
            open_now = poll(lambda: self.proxy.descriptors(), "descriptors")
            before = before or open_now
        poll(lambda: self.proxy.descriptors() <= before, "no descriptor stays behind")
        self.assertEqual(len(ask(address, "POST", body=b"").body), 3 * MIB)

    def all_done(self):
        return all(peer.done.is_set() for server in self.servers for peer in server.peers)

    def test_a_client_that_has_said_all_still_hears_the_answer(self):
        """FIN behind the request (as `nc` sends it) is no wish to leave."""
        address = self.three()
        with Connection(address) as client:
            client.send(request())
            client.half_close()
            self.assertEqual(client.response().status, 200)
            self.assertEqual(client.rest(), b"")

    def test_a_player_that_is_gone_ends_the_tunnel(self):
        address = self.three()
        for leave in ("close", "reset"):
            one = WebSocket(address)
            one.hear()
            getattr(one, leave)()
        poll(self.all_done, "the servers are told")


class SlowReaders(HarmTest):
    SIZE = 48 * MIB  # more than all the buffers of the kernel on the way (about 20)
    MEMORY_KIB = 8 * 1024  # of a pause on either side; without one, all of SIZE would be held

    def grows_by(self, before):
        return self.proxy.memory_kib() - before

    def test_a_client_that_reads_slowly_pauses_the_server(self):
        sent = []
        body = random.Random(1).randbytes(MIB)

        def huge(peer):
            peer.request()
            peer.send(response_bytes(200, [("Content-Length", str(self.SIZE))]))
            for _ in range(self.SIZE // MIB):
                peer.send(body)
                sent.append(MIB)

        address = self.before(huge, told_by_requests("b"))
        before = self.proxy.memory_kib()
        with Connection(address, receive_buffer=16 * 1024) as client:
            client.send(request())
            client.head()
            self.stands_still(lambda: len(sent))
            self.assertLess(len(sent), self.SIZE // MIB, "the kernel's buffers took all of it: the test shows nothing")
            self.assertLess(self.grows_by(before), self.MEMORY_KIB)
            self.assertEqual(ask(address).get("x-server"), "b", "others are served meanwhile")
            for number in range(self.SIZE // MIB):
                self.assertEqual(client.exactly(MIB), body, f"MiB {number}")
                self.assertLess(self.grows_by(before), self.MEMORY_KIB)

    def test_a_server_that_reads_slowly_pauses_the_client(self):
        go_on = threading.Event()
        body = random.Random(2).randbytes(MIB)
        heard = []

        def slow(peer):
            asked = peer.request()
            go_on.wait(60)
            while sum(heard) < int(asked.get("content-length")):
                heard.append(len(peer.exactly(MIB)))
            peer.answer(200, body=b"heard")

        address = self.before(slow)
        before = self.proxy.memory_kib()
        sent = []

        def upload(client):
            for _ in range(self.SIZE // MIB):
                client.send(body)
                sent.append(MIB)

        with Connection(address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % self.SIZE)
            sender = threading.Thread(target=upload, args=(client,), daemon=True)
            sender.start()
            self.stands_still(lambda: len(sent))
            self.assertLess(len(sent), self.SIZE // MIB)
            self.assertLess(self.grows_by(before), self.MEMORY_KIB)
            go_on.set()
            self.assertEqual(client.response().body, b"heard")
            sender.join(30)
        self.assertEqual(sum(heard), self.SIZE)

    def test_a_tunnel_pauses_too(self):
        """An echoing server, and a player who says 48 MiB and does not listen: all of the path stands still, then all arrives."""

        def echoing(peer):
            peer.request()
            peer.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
            while peer.more():
                data, peer.arrived = peer.arrived, b""
                peer.heard = bytearray()
                peer.send(data)
            peer.half_close()

        address = self.before(echoing)
        before = self.proxy.memory_kib()
        body = random.Random(3).randbytes(MIB)
        sent = []

        def upload(client):
            for _ in range(self.SIZE // MIB):
                client.send(body)
                sent.append(MIB)
            client.half_close()

        with Connection(address, receive_buffer=16 * 1024) as client:
            client.send(request(fields=[("Connection", "Upgrade"), ("Upgrade", "raw")]))
            self.assertEqual(client.head().status, 101)
            sender = threading.Thread(target=upload, args=(client,), daemon=True)
            sender.start()
            self.stands_still(lambda: len(sent))
            self.assertLess(len(sent), self.SIZE // MIB)
            self.assertLess(self.grows_by(before), self.MEMORY_KIB)
            for number in range(self.SIZE // MIB):
                self.assertEqual(client.exactly(MIB), body, f"MiB {number}")
            self.assertEqual(client.rest(), b"")
            sender.join(30)

    def stands_still(self, amount):
        """Until nothing has moved for a second."""
        last, rounds = None, 0

        def still():
            nonlocal last, rounds
            now = amount()
            rounds = rounds + 1 if now == last else 0
            last = now
            return rounds > 100

        poll(still, "the sender is paused")


if __name__ == "__main__":
    unittest.main()
