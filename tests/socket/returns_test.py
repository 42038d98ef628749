"""socket/balancer/returns: do clients reach their server again? Each one that brought a pin is counted by what became of it, and the
hit rate is the share of those that did; and schedulers by what they do with clients that bring none."""

import collections
import re
import unittest
import urllib.request

from balancing_test import INSERT, BalancingTest, cookie_of
from programs import Connection, WebSocket, ask, poll, request, run, servers

ADMIN = '[admin]\nlisten = "127.0.0.1:0"\n'
QUICK = {"kind": "tcp", "every": "100ms", "fall": 1, "rise": 1}


class Returns(BalancingTest):
    def returns(self):
        """By outcome, of those that have happened."""
        with urllib.request.urlopen("http://{}:{}/metrics".format(*self.program.address("admin"))) as answer:
            text = answer.read().decode()
        found = re.findall(r'^rejoin_balancer_returns_total\{pool="pool",outcome="(\w+)"\} (\d+)$', text, re.M)
        return {outcome: int(count) for outcome, count in found if count != "0"}

    def operator(self, *order):
        done = run(["ctl", "server", *order, "--admin", "{}:{}".format(*self.program.address("admin"))])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_each_is_counted_by_what_became_of_it(self):
        pool = {"health": QUICK, "affinity": INSERT, "queue": {"size": 5, "timeout": "100ms"}}
        address = self.before(3, pool, keys_of={"b": {"max_connections": 1}}, head=ADMIN)
        pins = {name: self.pin_to(address, name) for name in "abc"}
        self.assertEqual(self.returns(), {}, "who brings nothing does not return")
        expected = collections.Counter()

        def comes(fields, outcome, server=None):
            response = ask(address, fields=[fields])
            self.assertEqual(response.status, 200)
            self.assertEqual(response.get("x-server") == server, outcome == "reached", outcome)
            self.assertEqual(bool(cookie_of(response)), outcome != "reached", "who is sent elsewhere is bound there")
            expected[outcome] += 1
            self.assertEqual(self.returns(), dict(expected))

        comes(pins["a"], "reached", "a")
        self.operator("drain", "pool/c")
        comes(pins["c"], "reached", "c")
        self.operator("maintenance", "pool/c")
        comes(pins["c"], "maintenance", "c")
        self.operator("ready", "pool/c")
        self.servers["a"].listener.die()
        self.program.wait_for("server pool/a is down")
        comes(pins["a"], "down", "a")
        with Connection(address) as running:
            self.servers["b"].gate.clear()
            running.send(request(target="/running", fields=[pins["b"]]))
            poll(lambda: "/running" in self.servers["b"].seen, "b is full")
            expected["reached"] += 1
            comes(pins["b"], "full", "b")
            self.servers["b"].gate.set()
            self.assertEqual(running.response().status, 200)
        name, value = pins["b"]
        last = "A" if value[-3] != "A" else "B"
        comes((name, value[:-3] + last + value[-2:]), "forged")
        comes((name, "SRV=b"), "malformed")
        comes((name, value[:6] + ("A" if value[6] != "A" else "B") + value[7:]), "unknown_key")
        self.operator("remove", "pool/c")
        comes(pins["c"], "unknown_server")

    def test_an_idle_pin_is_counted(self):
        address = self.before(2, {"affinity": [{**INSERT[0], "max_idle": "1s"}]}, head=ADMIN)
        pin = self.pin_to(address, "a")
        poll(lambda: ask(address, fields=[pin]) and self.returns().get("expired"), "it is too old")


class Newcomers(BalancingTest):
    def test_least_connections_goes_where_there_are_fewest(self):
        gateways = [self.gateway(name) for name in "ab"]
        listed = servers(*(gateway.address("websocket") for gateway in gateways))
        balancer = self.http_balancer(listed, pool={"scheduler": "least-connections"}, head=ADMIN)

        def come(count):
            links = [WebSocket(balancer.address()) for _ in range(count)]
            return [(link.greeting()["server"], link) for link in links]

        links = come(20)
        self.assertEqual(collections.Counter(name for name, _ in links), {"a": 10, "b": 10})
        for name, link in links:
            if name == "a":
                link.close()
        admin = "{}:{}".format(*balancer.address("admin"))
        poll(lambda: len(run(["ctl", "connections", "--json", "--admin", admin]).stdout.split('"id"')) == 11, "a's have left")
        self.assertEqual({name for name, _ in come(8)}, {"a"})

    def test_a_server_that_came_up_again_gets_its_share_slowly(self):
        address = self.before(2, {"health": QUICK, "slow_start": "1h"})
        self.servers["a"].listener.die()
        self.program.wait_for("server pool/a is down")
        self.servers["a"].listener.open()
        self.program.wait_for("server pool/a is up")
        counts = collections.Counter(self.names(address, 200))
        self.assertLess(counts["a"], 10, "a hundredth at first")
        self.assertGreater(counts["a"], 0)


if __name__ == "__main__":
    unittest.main()
