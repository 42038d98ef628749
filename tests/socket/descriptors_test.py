"""socket/balancer/descriptors: a balancer that runs out of file descriptors pauses accepting, says so, and goes on later."""

import resource
import time
import unittest

from programs import Connection, ProgramsTest, WebSocket, poll, servers

DESCRIPTORS = 40  # of the balancer; it needs about ten for itself, and two for each tunnel
CLIENTS = 60
SAID = r"accepting on .* pauses"


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


class Descriptors(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.g1 = self.gateway("g1", tcp="")
        self.clients = []
        self.addCleanup(lambda: [client.close() for client in self.clients])

    def crowd(self, address, count=CLIENTS):
        """So many clients whose handshake is on its way; the kernel has taken all of them."""
        for _ in range(count):
            client = Connection(address)
            client.send(
                b"GET /play HTTP/1.1\r\nHost: t\r\n"
                + "".join(f"{name}: {value}\r\n" for name, value in WebSocket.upgrade_fields()).encode()
                + b"\r\n"
            )
            self.clients.append(client)

    def answered(self):
        """Clients that have got their 101 by now."""
        count = 0
        for client in self.clients:
            client.socket.setblocking(False)
            try:
                client.arrived += client.socket.recv(4096)
            except (BlockingIOError, ConnectionResetError):
                pass
            client.socket.settimeout(30)
            count += client.arrived.startswith(b"HTTP/1.1 101")
        return count

    def refused(self):
        return [client.arrived for client in self.clients if client.arrived and not client.arrived.startswith(b"HTTP/1.1 101")]

    def test_accepting_pauses_and_goes_on(self):
        balancer = self.http_balancer(servers(self.g1.address("websocket")), preexec_fn=few_descriptors)
        address = balancer.address()
        early = WebSocket(address)
        self.assertEqual(early.greeting()["server"], "g1")
        self.clients.append(early)
        early.arrived = b"HTTP/1.1 101"

        self.crowd(address)
        balancer.wait_for(SAID)
        self.assertGreaterEqual(balancer.descriptors(), DESCRIPTORS - 2)

        # It waits rather than spins. While it does, tunnels go on, and those who wait are not thrown away.
        began, cpu = time.monotonic(), balancer.cpu_seconds()
        rounds = 0
        early.arrived = b""
        while time.monotonic() < began + 2:
            self.assertTrue(early.echoes(f"round {rounds}"))
            poll(lambda: self.pass_time(began, rounds), "a tenth of a second")
            rounds += 1
        spent = balancer.cpu_seconds() - cpu
        self.assertLess(spent, 0.4, f"{spent:.2f} s of CPU in 2 s in which nothing could be accepted")
        self.assertGreater(rounds, 10)
        early.arrived = b"HTTP/1.1 101"
        served = self.answered()
        self.assertLess(served, CLIENTS, "there are not descriptors for all")
        self.assertGreater(served, 5)
        self.assertLessEqual(len(balancer.said(SAID)), 4, "said at most once a second")
        self.assertTrue(balancer.running())

        # Those who were served leave; those who wait are served, all of them in the end.
        seen = 0
        while seen < CLIENTS:
            poll(lambda: self.answered() > 0 or not self.clients, "one of those who wait is served")
            stay = []
            for client in self.clients:
                if client.arrived.startswith(b"HTTP/1.1 101"):
                    client.close()
                    seen += 1
                else:
                    stay.append(client)
            self.clients = stay
        poll(lambda: balancer.descriptors() < 20, "descriptors come back")
        after = WebSocket(address)
        self.assertEqual(after.greeting()["server"], "g1")
        after.close()

    def pass_time(self, began, rounds):
        return time.monotonic() >= began + 0.1 * (rounds + 1)

    def test_no_descriptor_for_the_server_is_answered(self):
        """A client was accepted with the last descriptor: it is told 503 at once, and the server is not blamed."""
        balancer = self.http_balancer(
            servers(self.g1.address("websocket")),
            pool={"health": {"kind": "tcp", "every": "1h", "fall": 1}},
            preexec_fn=few_descriptors,
        )
        poll(lambda: len(self.g1.lines) > 0, "the gateway is up")
        self.crowd(balancer.address())
        balancer.wait_for(SAID)
        self.answered()
        for said in self.refused():
            self.assertRegex(said, rb"^HTTP/1\.1 503 ")
        self.assertEqual(balancer.said("is down"), [], "ours is the fault")


if __name__ == "__main__":
    unittest.main()
