"""socket/haproxy/limits: Rejoin and Debian's HAProxy before servers of the same kind, put into the same straits: connection limits
and the queue before them, backups, weight 0, draining, servers that refuse. Each scenario tells what clients saw as a list, and
the two lists are the same, but for those in DIFFERENCES.
"""

import collections
import shutil
import signal
import socket
import subprocess
import unittest

from balancing_test import Server, cookie_of
from programs import Connection, ProgramsTest, ask, keys, poll, request

# What we do otherwise, and why.
DIFFERENCES = {
    "a pinned client waits in vain": "HAProxy answers 503; we send the client to another server that has room, unless `strict`",
}


class Rejoin:
    """`limits`, `weights`, `backups`: by server. `queue_ms`, and whether connects to dead servers or probes tell."""

    def __init__(self, test, servers, limits={}, weights={}, backups=(), queue_ms=None, checks=True, strict=False):
        self.servers = servers
        listed = []
        for name, server in servers.items():
            one = {"name": name, "address": "%s:%d" % server.address, "weight": weights.get(name, 1)}
            one["backup"] = name in backups
            one["max_connections"] = limits.get(name, 0)
            listed.append(one)
        health = {"kind": "http", "path": "/healthz", "every": "50ms", "fall": 1, "rise": 1} if checks else None
        queue = {"size": 100, "timeout": f"{queue_ms}ms"} if queue_ms else None
        affinity = [{"kind": "cookie-insert", "name": "SRV", "strict": strict}]
        self.test = test
        self.program = test.balancer(
            "[keys]\n" + keys(seal=[f"file:{test.folder}/seal.key"]) + "[[listener]]\n" + keys(listen="127.0.0.1:0", pool="p")
            + "[[pool]]\n" + keys(name="p", affinity=affinity, health=health, queue=queue, server=listed)
        )
        self.address = self.program.address()

    def wait_until(self, name, state):
        count = getattr(self, "count", collections.Counter())
        self.count = count
        count[name, state] += 1
        pattern = f"server p/{name} is {state}"
        poll(lambda: len(self.program.said(pattern)) >= count[name, state], pattern)

    def pin_of_a_colleague(self, name):
        """Another balancer with the same key and other weights has bound the client."""
        return self.test.pin_to(Rejoin(self.test, self.servers).address, name)

    def drain(self, name):
        self.servers[name].health = (503, [("Rejoin-State", "draining")])
        self.program.wait_for(f"server p/{name} drains")


class Haproxy:
    def __init__(self, test, servers, limits={}, weights={}, backups=(), queue_ms=None, checks=True, strict=False):
        binary = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
        if binary is None:
            raise AssertionError("haproxy is not installed, and this test compares with it: apt-get install haproxy")
        test.number = getattr(test, "number", 0) + 1
        self.stats = str(test.folder / f"haproxy-{test.number}.sock")
        inherited = socket.create_server(("127.0.0.1", 0), backlog=128)
        test.addCleanup(inherited.close)
        self.address = inherited.getsockname()
        config = f"global\n  maxconn 500\n  nbthread 1\n  stats socket {self.stats} level admin\n"
        config += "defaults\n  mode http\n  retries 3\n  option redispatch 1\n  option abortonclose\n"
        config += "  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
        config += f"  timeout queue {queue_ms or 1}ms\n"
        config += f"listen p\n  bind fd@{inherited.fileno()}\n  balance roundrobin\n  cookie SRV insert indirect nocache\n"
        if checks:
            config += "  option httpchk GET /healthz\n"
        for name, server in servers.items():
            config += "  server %s %s:%d cookie %s weight %d" % (name, *server.address, name, weights.get(name, 1))
            config += " check inter 50ms fall 1 rise 1" if checks else ""
            config += " maxconn %d" % limits[name] if name in limits else ""
            config += " backup\n" if name in backups else "\n"
        self.process = subprocess.Popen(
            [binary, "-db", "-q", "-f", str(test.file(config, ".cfg"))],
            pass_fds=[inherited.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        test.addCleanup(self.end)
        poll(lambda: self.process.poll() is not None or self.says("show info"), "haproxy is up")
        test.assertIsNone(self.process.poll(), f"haproxy does not take its configuration:\n{config}")

    def end(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def says(self, command):
        with socket.socket(socket.AF_UNIX) as stats:
            try:
                stats.connect(self.stats)
                stats.sendall(command.encode() + b"\n")
                return b"".join(iter(lambda: stats.recv(65536), b"")).decode()
            except OSError:  # it is not up yet
                return ""

    def wait_until(self, name, state):
        line = f"p,{name},"
        poll(lambda: any(one.startswith(line) and f",{state.upper()}" in one for one in self.says("show stat").splitlines()),
             f"haproxy sees {name} {state}")

    def pin_of_a_colleague(self, name):
        return [("Cookie", f"SRV={name}")]

    def drain(self, name):
        self.says(f"set server p/{name} state drain")


class LimitsLikeHaproxy(ProgramsTest):
    def both(self, scenario, names="ab", ours={}, **options):
        """What each gives. The servers are made anew for each, so that no limit is shared."""
        told = []
        for kind in (Rejoin, Haproxy):
            self.servers = {name: Server(self, name) for name in names}
            more = ours if kind is Rejoin else {}
            self.subject = kind(self, self.servers, **options, **more)
            told.append(scenario(self.subject.address))
        return told

    def same(self, scenario, expected, **options):
        ours, theirs = self.both(scenario, **options)
        self.assertEqual(ours, theirs, "first ours, second HAProxy's")
        self.assertEqual(ours, expected)

    # --- what scenarios are made of ---
    def pin_to(self, address, name):
        def found():
            response = ask(address)
            return response.get("x-server") == name and cookie_of(response)

        return [("Cookie", poll(found, f"{name} has its turn"))]

    def begin(self, address, target, fields=()):
        connection = Connection(address)
        self.addCleanup(connection.close)
        connection.send(request("GET", target, fields))
        return connection

    def heard(self, name, target):
        poll(lambda: target in self.servers[name].seen, f"{name} hears {target}")

    def where(self, response):
        return response.get("x-server") or response.status

    def settled(self, address):
        for _ in range(3):
            with Connection(address) as connection:
                connection.send(b"nonsense\r\n\r\n")
                connection.response()

    # --- scenarios ---
    def test_a_full_server_is_passed_over_by_new_clients(self):
        def scenario(address):
            self.servers["a"].gate.clear()
            running = [self.begin(address, "/1"), self.begin(address, "/2")]
            poll(lambda: self.servers["a"].seen, "one is at a")
            told = sorted(self.where(ask(address)) for _ in range(3))
            self.servers["a"].gate.set()
            return told + sorted(self.where(one.response()) for one in running)

        self.same(scenario, ["b", "b", "b", "a", "b"], limits={"a": 1, "b": 5}, queue_ms=5000)

    def test_who_finds_no_room_waits_in_order_and_is_served(self):
        def scenario(address):
            self.servers["a"].gate.clear()
            first = self.begin(address, "/first")
            self.heard("a", "/first")
            waiting = []
            for number in range(4):
                waiting.append(self.begin(address, f"/{number}"))
                self.settled(address)
            self.servers["a"].gate.set()
            told = [self.where(one.response()) for one in [first, *waiting]]
            return told + self.servers["a"].seen + [self.servers["a"].most]

        self.same(scenario, ["a"] * 5 + ["/first", "/0", "/1", "/2", "/3", 1], names="a", limits={"a": 1}, queue_ms=10000)

    def test_who_waits_too_long_gets_503(self):
        def scenario(address):
            self.servers["a"].gate.clear()
            running = self.begin(address, "/running")
            self.heard("a", "/running")
            told = [self.where(ask(address, target="/late"))]
            self.servers["a"].gate.set()
            return told + [self.where(running.response()), "/late" in self.servers["a"].seen]

        self.same(scenario, [503, "a", False], names="a", limits={"a": 1}, queue_ms=200)

    def test_who_leaves_while_it_waits_never_reaches_the_server(self):
        def scenario(address):
            self.servers["a"].gate.clear()
            running = self.begin(address, "/running")
            self.heard("a", "/running")
            self.begin(address, "/gone").close()
            stays = self.begin(address, "/stays")
            self.settled(address)
            self.servers["a"].gate.set()
            return [self.where(running.response()), self.where(stays.response()), "/gone" in self.servers["a"].seen]

        self.same(scenario, ["a", "a", False], names="a", limits={"a": 1}, queue_ms=10000)

    def test_a_pinned_client_waits_for_its_own_server(self):
        def scenario(address):
            pin = self.pin_to(address, "a")
            self.servers["a"].gate.clear()
            running = self.begin(address, "/running", pin)
            self.heard("a", "/running")
            waits = self.begin(address, "/waits", pin)
            self.settled(address)
            self.servers["a"].gate.set()
            return [self.where(one.response()) for one in (running, waits)]

        self.same(scenario, ["a", "a"], limits={"a": 1, "b": 5}, queue_ms=10000)

    def test_a_pinned_client_waits_in_vain(self):
        def scenario(address):
            pin = self.pin_to(address, "a")
            self.servers["a"].gate.clear()
            self.begin(address, "/running", pin)
            self.heard("a", "/running")
            told = self.where(ask(address, "GET", "/vain", pin))
            self.servers["a"].gate.set()
            return [told]

        options = {"limits": {"a": 1, "b": 5}, "queue_ms": 200}
        self.same(scenario, [503], ours={"strict": True}, **options)
        ours, theirs = self.both(scenario, **options)
        self.assertEqual((ours, theirs), (["b"], [503]), DIFFERENCES["a pinned client waits in vain"])

    def test_a_backup_takes_new_clients_only_while_nobody_else_could_and_keeps_them(self):
        def scenario(address):
            told = sorted({self.where(ask(address)) for _ in range(5)})
            self.servers["a"].listener.die()
            self.subject.wait_until("a", "down")
            moved = ask(address)
            told.append(self.where(moved))
            self.servers["a"].listener.open()
            self.subject.wait_until("a", "up")
            told += sorted({self.where(ask(address)) for _ in range(5)})
            return told + [self.where(ask(address, "GET", "/", [("Cookie", cookie_of(moved))]))]

        self.same(scenario, ["a", "b", "a", "b"], backups="b")

    def test_a_backup_does_not_step_in_for_a_full_server(self):
        def scenario(address):
            self.servers["a"].gate.clear()
            running = self.begin(address, "/running")
            self.heard("a", "/running")
            told = [self.where(ask(address))]
            self.servers["a"].gate.set()
            return told + [self.where(running.response())]

        self.same(scenario, [503, "a"], backups="b", limits={"a": 1}, queue_ms=200)

    def test_weight_0_takes_pinned_clients_only(self):
        def scenario(address):
            told = sorted({self.where(ask(address)) for _ in range(6)})
            response = ask(address, "GET", "/", self.subject.pin_of_a_colleague("a"))
            return told + [self.where(response), response.all("set-cookie")]

        self.same(scenario, ["b", "a", []], weights={"a": 0})

    def test_a_draining_server_keeps_its_own_clients(self):
        def scenario(address):
            pin = self.pin_to(address, "a")
            self.subject.drain("a")
            told = sorted({self.where(ask(address)) for _ in range(6)})
            response = ask(address, "GET", "/", pin)
            return told + [self.where(response), response.all("set-cookie")]

        self.same(scenario, ["b", "a", []])

    def test_a_server_that_refuses_is_left_for_another_and_the_client_bound_to_that(self):
        def scenario(address):
            pin = self.pin_to(address, "a")
            self.servers["a"].listener.die()
            moved = ask(address, "GET", "/", pin)
            again = ask(address, "GET", "/", [("Cookie", cookie_of(moved))])
            return [self.where(moved), self.where(again), again.all("set-cookie")]

        self.same(scenario, ["b", "b", []], checks=False)

    def test_when_all_are_down_it_is_503(self):
        def scenario(address):
            for name in "ab":
                self.servers[name].listener.die()
                self.subject.wait_until(name, "down")
            return [self.where(ask(address))]

        self.same(scenario, [503])


if __name__ == "__main__":
    unittest.main()
