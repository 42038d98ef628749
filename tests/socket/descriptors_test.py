"""socket/balancer/descriptors: a balancer that runs out of file descriptors pauses accepting, says so, and goes on later."""

import resource
import time
import unittest

from programs import Connection, ProgramsTest, WebSocket, poll, servers

DESCRIPTORS = 40  # of the balancer; it needs about ten for itself, and two for each tunnel
CLIENTS = 60
SAID = r"accepting on .* pauses"
UPGRADED = b"HTTP/1.1 101"
HANDSHAKE = b"GET /play HTTP/1.1\r\nHost: t\r\n%s\r\n" % b"".join(
    f"{name}: {value}\r\n".encode() for name, value in WebSocket.upgrade_fields()
)


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


class Descriptors(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.gateway_1 = self.gateway("g1", tcp="")
        self.balancer_1 = self.http_balancer(servers(self.gateway_1.address("websocket")), preexec_fn=few_descriptors)
        self.clients = []
        self.addCleanup(lambda: [client.close() for client in self.clients])

    def crowd(self):
        """So many clients whose handshake is on its way; the kernel has taken all of them."""
        for _ in range(CLIENTS):
            self.clients.append(Connection(self.balancer_1.address()).send(HANDSHAKE))
        self.balancer_1.wait_for(SAID)

    def listen_to_all(self):
        """What has come for each client by now is in its `arrived`."""
        for client in self.clients:
            client.socket.setblocking(False)
            try:
                client.arrived += client.socket.recv(4096)
            except (BlockingIOError, ConnectionResetError):
                pass
            client.socket.setblocking(True)

    def served(self):
        self.listen_to_all()
        return [client for client in self.clients if client.arrived.startswith(UPGRADED)]

    def refused(self):
        self.listen_to_all()
        return [client for client in self.clients if client.arrived and not client.arrived.startswith(UPGRADED)]

    def test_while_there_are_none_it_waits_and_tunnels_go_on(self):
        early = WebSocket(self.balancer_1.address())
        self.assertEqual(early.greeting()["server"], "g1")
        self.crowd()
        began, cpu, rounds = time.monotonic(), self.balancer_1.cpu_seconds(), 0
        while time.monotonic() < began + 2:
            self.assertTrue(early.echoes(f"round {rounds}"))
            rounds += 1
            poll(lambda: time.monotonic() >= began + 0.1 * rounds, "a tenth of a second")
        spent = self.balancer_1.cpu_seconds() - cpu
        self.assertGreater(rounds, 10)
        self.assertLess(spent, 0.4, f"{spent:.2f} s of CPU in 2 s in which nothing could be accepted")
        self.assertIn(len(self.balancer_1.said(SAID)), (1, 2, 3, 4), "said, and at most once a second")
        self.assertLess(len(self.served()), CLIENTS, "there are not descriptors for all: the test shows nothing")
        self.assertGreater(len(self.served()), 5)
        early.close()

    def test_those_who_wait_are_served_when_others_leave(self):
        """One client leaves at a time, and the next one has its place. Nobody is refused: waiting is no fault of theirs."""
        self.crowd()
        while self.clients:
            client = poll(lambda: self.served() or self.refused(), f"one of {len(self.clients)} clients that wait is answered")[0]
            self.assertTrue(client.arrived.startswith(UPGRADED), f"with {len(self.clients)} left: {client.arrived[:80]!r}")
            client.close()
            self.clients.remove(client)
        poll(lambda: self.balancer_1.descriptors() < 20, "descriptors come back")
        late = WebSocket(self.balancer_1.address())
        self.assertEqual(late.greeting()["server"], "g1")
        late.close()


if __name__ == "__main__":
    unittest.main()
