"""socket/balancer/silence: tunnels of which one side says nothing, has ended, or takes nothing; each has a bound of its own, none by
default."""

import threading
import time
import unittest
import urllib.request

import scrape
from programs import DEADLINE_S, Connection, ProgramsTest, poll, servers
from servers import Listener

HEAD = '[admin]\nlisten = "127.0.0.1:0"\n'
SHORT, SHORT_S = "300ms", 0.3
LONG = "60s"  # beyond any deadline of a test
PACE_S = 0.02


class Tunnels(ProgramsTest):
    def tunnel(self, handler, **listener):
        """A balancer at layer 4 before a server that does `handler(peer)`."""
        self.server = Listener(self, handler)
        self.program = self.http_balancer(servers(self.server.address), listener={"mode": "tcp", **listener}, head=HEAD)
        return self.program.address()

    def cut(self, reason):
        with urllib.request.urlopen("http://{}:{}/metrics".format(*self.program.address("admin"))) as answer:
            families = scrape.read(answer.read().decode())
        return families["rejoin_balancer_tunnels_cut_total"].value(reason=reason)

    def both_sides_are_ended(self, client, reason):
        client.rest()
        poll(lambda: self.server.peers[0].done.is_set(), "the server's side has ended")
        self.assertEqual(poll(lambda: self.cut(reason), "it is counted"), 1)

    def test_what_is_left_to_a_server_whose_client_has_ended(self):
        """By default as long as it likes; and a client that has ended hears all that comes in time."""
        for bound in (None, LONG):
            with self.subTest(half_closed_timeout=bound):
                address = self.tunnel(lambda peer: peer.send(b"heard " + peer.rest()), half_closed_timeout=bound)
                with Connection(address) as client:
                    client.send(b"my last words").half_close()
                    self.assertEqual(client.rest(), b"heard my last words")
                self.assertEqual(self.cut("silent"), 0)

    def test_a_server_that_does_not_end_after_its_client(self):
        ended = threading.Event()

        def stays(peer):
            peer.rest()
            ended.set()
            while True:  # what is said into a tunnel that was cut is refused sooner or later
                peer.send(b"still here")
                peer.done.wait(PACE_S)

        address = self.tunnel(stays, half_closed_timeout=SHORT)
        with Connection(address) as client:
            client.half_close()
            self.assertTrue(ended.wait(DEADLINE_S), "the FIN is passed on")
            begun = time.monotonic()
            self.both_sides_are_ended(client, "silent")
        self.assertGreater(time.monotonic() - begun, SHORT_S / 2, "not before its time")

    def test_a_client_that_does_not_end_after_its_server(self):
        def ends_first(peer):
            peer.send(b"goodbye").half_close()
            peer.rest()

        address = self.tunnel(ends_first, half_closed_timeout=SHORT)
        begun = time.monotonic()
        with Connection(address) as client:
            self.assertEqual(client.until(b"goodbye"), b"goodbye")
            client.rest()
            poll(lambda: self.refuses(client), "the tunnel is cut though the client has not ended")
        self.assertGreater(time.monotonic() - begun, SHORT_S / 2, "not before its time")
        self.assertEqual(self.cut("silent"), 1)

    @staticmethod
    def refuses(client):
        try:
            client.send(b"?")
        except OSError:
            return True
        return False

    def test_a_client_that_says_nothing_while_its_server_speaks(self):
        def ticks(peer):
            while True:
                peer.send(b"tick ")
                peer.done.wait(PACE_S)

        address = self.tunnel(ticks, client_timeout=SHORT, server_timeout=LONG)
        with Connection(address) as client:
            begun = time.monotonic()
            self.both_sides_are_ended(client, "silent")
            self.assertGreater(time.monotonic() - begun, SHORT_S / 2, "not before its time")

    def test_a_server_that_says_nothing_while_its_client_speaks(self):
        address = self.tunnel(lambda peer: peer.rest(), server_timeout=SHORT, client_timeout=LONG)
        with Connection(address) as client:
            begun = time.monotonic()
            poll(lambda: self.refuses(client), "the tunnel is cut though the client speaks")
            self.assertGreater(time.monotonic() - begun, SHORT_S / 2, "not before its time")
        poll(lambda: self.server.peers[0].done.is_set(), "the server's side has ended")
        self.assertEqual(self.cut("silent"), 1)

    def test_a_side_that_takes_nothing(self):
        def floods(peer):
            while True:
                peer.send(b"x" * 65536)

        address = self.tunnel(floods, write_timeout=SHORT)
        with Connection(address, receive_buffer=4096) as client:
            poll(lambda: self.cut("stalled"), "a client that reads nothing is given up")
            self.both_sides_are_ended(client, "stalled")


if __name__ == "__main__":
    unittest.main(verbosity=2)
