"""socket/balancer/workers: two workers share what they must (leases, health), drain, and survive a gateway that dies."""

import collections
import os
import signal
import subprocess
import threading
import time
import unittest
from pathlib import Path

from programs import Connection, ProgramsTest, WebSocket, ask, poll, rejoin_binary, request, servers
from servers import Listener

COOKIE = {"affinity": [{"kind": "cookie-insert"}]}
TWO = "[balancer]\nworkers = 2\n"
CLIENTS = 300


def tsan_binary():
    """The ThreadSanitizer build beside the one under test, if somebody has built it."""
    path = Path(rejoin_binary()).parents[2] / "tsan" / "apps" / "rejoin"
    return str(path) if path.is_file() and path.stat().st_mode & 0o100 else None


def setUpModule():
    binary = tsan_binary()
    if binary:
        os.environ["REJOIN"] = binary
        os.environ.setdefault("TSAN_OPTIONS", "halt_on_error=1:second_deadlock_stack=1")


def cookie_of(response):
    return response.get("set-cookie").split(";")[0]


class TwoWorkers(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.gateways = [self.gateway(name) for name in ("a", "b", "c")]

    def wrap(self):
        """ThreadSanitizer of GCC 12 cannot start where the kernel randomises addresses by more than 28 bits."""
        return ("setarch", "-R") if tsan_binary() and subprocess.run(["setarch", "-R", "true"]).returncode == 0 else ()

    def start(self, *arguments, **popen):
        return super().start(*arguments, wrap=self.wrap(), **popen)

    def pool(self, listener="websocket"):
        return servers(*(gateway.address(listener) for gateway in self.gateways))

    def threads(self, program):
        return len(os.listdir(f"/proc/{program.pid}/task"))

    def test_cookies_hold_whichever_worker_takes_the_connection(self):
        balancer = self.http_balancer(self.pool(), pool=COOKIE, head=TWO)
        self.assertGreaterEqual(self.threads(balancer), 2)
        counts = collections.Counter()
        sockets, belongs = [], []
        for _ in range(CLIENTS // 3):
            first = WebSocket(balancer.address())
            server = first.greeting()["server"]
            belongs.append((cookie_of(first.handshake), server))
            counts[server] += 1
            sockets.append(first)
        for name in "abc":  # each worker takes its own turns, so the shares are equal but for one turn each
            self.assertAlmostEqual(counts[name], CLIENTS / 9, delta=4, msg=str(counts))
        for cookie, server in belongs * 2:
            again = WebSocket(balancer.address(), fields=[("Cookie", cookie)])
            self.assertEqual(again.greeting()["server"], server)
            self.assertIsNone(again.handshake.get("set-cookie"))
            sockets.append(again)
        for number, one in enumerate(sockets):
            self.assertTrue(one.echoes(f"message of {number}"))
        for one in sockets:
            one.close()

    def test_leases_are_shared_by_the_workers(self):
        balancer = self.http_balancer(self.pool(), listener={"mode": "tcp"}, head=TWO, pool={"affinity": [{"kind": "source-ip"}]})
        home = {}
        for round_ in range(3):
            opened = []
            for host in range(1, 61):
                address = f"127.0.9.{host}"
                one = WebSocket(balancer.address(), bind=address)
                server = one.greeting()["server"]
                self.assertEqual(home.setdefault(address, server), server, f"{address} in round {round_}")
                opened.append(one)
            for one in opened:
                one.close()
        self.assertEqual(set(home.values()), {"a", "b", "c"})

    def test_drain_ends_with_0_and_cuts_tunnels_at_its_time(self):
        balancer = self.http_balancer(self.pool(), pool=COOKIE, head='[balancer]\nworkers = 2\ndrain_timeout = "3s"\n')
        sockets = [WebSocket(balancer.address()) for _ in range(40)]
        for one in sockets:
            one.greeting()
        began = time.monotonic()
        balancer.signal(signal.SIGTERM)
        balancer.wait_for("SIGTERM: draining")
        poll(lambda: self.refuses(balancer.address()), "nobody new is taken")
        self.assertTrue(sockets[0].echoes("still here"))
        self.assertEqual(balancer.wait(), 0, balancer.log())
        self.assertGreater(time.monotonic() - began, 2.9)
        for one in sockets:
            self.assertEqual(one.rest(), b"")

    def test_drain_ends_at_once_when_nobody_is_there_and_at_a_second_signal(self):
        balancer = self.http_balancer(self.pool(), head='[balancer]\nworkers = 2\ndrain_timeout = "1h"\n')
        with Connection(balancer.address()) as idle:  # keep-alive, between requests: a drain need not wait for it
            self.assertEqual(idle.ask(target="/healthz").status, 200)
            balancer.signal(signal.SIGTERM)
            self.assertEqual(idle.rest(), b"")
            self.assertEqual(balancer.wait(), 0, balancer.log())

        balancer = self.http_balancer(self.pool(), head='[balancer]\nworkers = 2\ndrain_timeout = "1h"\n')
        sockets = [WebSocket(balancer.address()) for _ in range(10)]
        balancer.signal(signal.SIGTERM)
        balancer.wait_for("SIGTERM: draining")
        self.assertTrue(balancer.running())
        balancer.signal(signal.SIGTERM)
        self.assertEqual(balancer.wait(), 0, balancer.log())
        for one in sockets:
            one.close()

    def test_a_request_in_progress_is_answered_during_a_drain(self):
        go_on = threading.Event()

        def slow(peer):
            peer.request()
            go_on.wait(30)
            peer.answer(200, body=b"late")

        server = Listener(self, slow)
        balancer = self.http_balancer(servers(server.address), head='[balancer]\nworkers = 2\ndrain_timeout = "1h"\n')
        with Connection(balancer.address()) as client:
            client.send(request())
            poll(lambda: server.heard(), "the request is at the server")
            balancer.signal(signal.SIGTERM)
            balancer.wait_for("SIGTERM: draining")
            go_on.set()
            response = client.response()
            self.assertEqual((response.body, response.get("connection")), (b"late", "close"))
            self.assertEqual(client.rest(), b"")
        self.assertEqual(balancer.wait(), 0, balancer.log())

    def test_length_framed_clients_come_back_by_their_address(self):
        tcp = {"mode": "tcp"}
        balancer = self.http_balancer(self.pool("tcp"), listener=tcp, head=TWO, pool={"affinity": [{"kind": "source-ip"}]})
        url = "tcp://%s:%d" % balancer.address()
        options = [word for host in (1, 2, 3, 1, 2, 3) for word in ("--bind", f"127.0.8.{host}")]
        accounts = self.connect(url, "--times", 6, "--message", "hello", *options)
        reached = [account["server"] for account in accounts]
        self.assertEqual(reached[:3], reached[3:])
        self.assertGreater(len(set(reached)), 1)
        self.assertEqual({account["messages"][1] for account in accounts}, {"hello"})

    def test_a_gateway_drains_too(self):
        one = WebSocket(self.gateways[0].address("websocket"))
        one.greeting()
        self.gateways[0].signal(signal.SIGTERM)
        opcode, payload = one.hear()
        self.assertEqual((opcode, payload[:2]), (8, b"\x03\xe9"), "a close frame that says 1001, going away")
        one.say(payload[:2], opcode=8)
        self.assertEqual(self.gateways[0].wait(), 0, self.gateways[0].log())

    def test_a_gateway_dies_under_load(self):
        """Its clients are told by the end of their connection, come again, and are given another server and cookie."""
        health = {"kind": "http", "path": "/healthz", "every": "200ms", "timeout": "2s", "fall": 2, "rise": 1}
        pool = {**COOKIE, "health": health, "connect_timeout": "1s"}
        balancer = self.http_balancer(self.pool(), pool=pool, head=TWO)
        players = []
        for _ in range(CLIENTS // 3):
            one = WebSocket(balancer.address())
            players.append((one, one.greeting()["server"], cookie_of(one.handshake)))
        self.gateways[1].kill()
        lost = 0
        for number, (one, server, cookie) in enumerate(players):
            if server != "b":
                self.assertTrue(one.echoes(f"{number} has lost nothing"))
                continue
            lost += 1
            self.assertEqual(one.rest(), b"", "cut, and nothing invented")
            again = WebSocket(balancer.address(), fields=[("Cookie", cookie)])
            self.assertIn(again.greeting()["server"], ("a", "c"))
            self.assertNotEqual(cookie_of(again.handshake), cookie)
            again.close()
        self.assertGreater(lost, 20)
        balancer.wait_for(r"server pool/b is down")
        self.assertEqual({ask(balancer.address(), target="/healthz").status for _ in range(20)}, {200})
        for one, _, _ in players:
            one.close()

    def refuses(self, address):
        try:
            Connection(address).close()
        except ConnectionRefusedError:
            return True
        return False


if __name__ == "__main__":
    unittest.main()
