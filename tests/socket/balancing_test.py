"""socket/balancer/balancing: which server a client gets, and why not its own: schedulers, keys, limits and the queue before them,
backups, strictness, cross-site cookies, logouts, bursts, what servers say in probes, and servers that fail."""

import collections
import re
import signal
import threading
import time
import unittest
from pathlib import Path

from programs import Connection, ProgramsTest, WebSocket, ask, poll, request, servers
from servers import Listener, told_by_requests

INSERT = [{"kind": "cookie-insert", "name": "SRV"}]


def cookie_of(response, name="SRV"):
    """NAME=VALUE as the client keeps it; None when the response does not set it."""
    for line in response.all("set-cookie"):
        pair = line.split(";")[0]
        if pair.startswith(name + "="):
            return pair
    return None


class Server:
    """One that says its name (X-Server), what it saw, and in /healthz what `health` holds; other requests pass `gate` first, and
    are answered with `status`."""

    def __init__(self, test, name):
        self.name = name
        self.gate = threading.Event()
        self.gate.set()
        self.status = 200
        self.fields = []
        self.health = (200, [])
        self.seen = []
        self.now, self.most = 0, 0
        self.lock = threading.Lock()
        self.listener = Listener(test, self.handle)
        self.address = self.listener.address
        test.addCleanup(self.gate.set)

    def handle(self, peer):
        while (heard := peer.request()) is not None:
            peer.body_of(heard)
            if heard.target == "/healthz":
                status, fields = self.health
                peer.answer(status, fields, b"")
                continue
            with self.lock:
                self.seen.append(heard.target)
                self.now += 1
                self.most = max(self.most, self.now)
            self.gate.wait(30)
            with self.lock:
                self.now -= 1
            peer.answer(self.status, [("X-Server", self.name), *self.fields], b"ok")


class BalancingTest(ProgramsTest):
    def before(self, count=2, pool=None, listener=None, keys_of=None, head=""):
        """`keys_of`: more keys of single servers, by name."""
        self.servers = {name: Server(self, name) for name in "abcdefgh"[:count]}
        listed = servers(*(server.address for server in self.servers.values()))
        for one in listed:
            one.update((keys_of or {}).get(one["name"], {}))
        self.program = self.http_balancer(listed, pool=pool, listener=listener, head=head)
        return self.program.address()

    def names(self, address, times, fields=(), target="/", **options):
        return [ask(address, "GET", target, fields, **options).get("x-server") for _ in range(times)]

    def pin_to(self, address, name, cookie="SRV"):
        """A Cookie field of a client that was at that server."""
        def found():
            response = ask(address)
            return response.get("x-server") == name and cookie_of(response, cookie)

        return ("Cookie", poll(found, f"{name} has its turn"))


class Schedulers(BalancingTest):
    def test_source_hash_keeps_an_address_at_its_server_in_every_worker(self):
        address = self.before(4, {"scheduler": "source-hash"}, head="[balancer]\nworkers = 2\n")
        found = {}
        for host in range(1, 31):
            ip = f"127.0.1.{host}"
            found[ip] = set(self.names(address, 6, bind=ip))
            self.assertEqual(len(found[ip]), 1, ip)
        self.assertEqual(len(set().union(*found.values())), 4)

    def test_key_hash_takes_a_room_from_the_query(self):
        address = self.before(4, {"scheduler": "key-hash", "hash_key": {"query": "room"}})
        rooms = {}
        for room in range(30):
            found = {ask(address, "GET", f"/play?v=1&room={room}", bind=f"127.0.1.{i}").get("x-server") for i in range(1, 5)}
            self.assertEqual(len(found), 1, "all players of a room meet, wherever they are")
            rooms[room] = found.pop()
        self.assertEqual(len(set(rooms.values())), 4)

    def test_random_two_spreads_and_heeds_weights(self):
        address = self.before(3, {"scheduler": "random-two"}, keys_of={"a": {"weight": 0}, "b": {"weight": 9}, "c": {"weight": 1}})
        counts = collections.Counter(self.names(address, 200))
        self.assertEqual(counts["a"], 0)
        self.assertGreater(counts["b"], 150)
        self.assertGreater(counts["c"], 0)

    def test_backups_step_in_only_when_nobody_else_could(self):
        health = {"kind": "tcp", "every": "100ms", "fall": 1, "rise": 1}
        address = self.before(2, {"health": health, "affinity": INSERT}, keys_of={"b": {"backup": True}})
        self.assertEqual(set(self.names(address, 10)), {"a"})
        self.servers["a"].listener.die()
        self.program.wait_for("server pool/a is down")
        moved = ask(address)
        self.assertEqual(moved.get("x-server"), "b")
        self.servers["a"].listener.open()
        self.program.wait_for("server pool/a is up")
        self.assertEqual(set(self.names(address, 10)), {"a"})
        self.assertEqual(self.names(address, 3, [("Cookie", cookie_of(moved))]), ["b"] * 3, "who is there stays there")


class Keys(BalancingTest):
    def test_a_key_goes_to_the_next_server_while_its_own_is_away_and_comes_back(self):
        health = {"kind": "tcp", "every": "100ms", "fall": 1, "rise": 1}
        affinity = [{"kind": "key", "header": "X-Room"}]
        address = self.before(4, {"affinity": affinity, "health": health})

        def all_rooms():
            return {room: ask(address, "GET", "/", [("X-Room", str(room))]).get("x-server") for room in range(40)}

        before = all_rooms()
        self.assertEqual(len(set(before.values())), 4)
        self.assertEqual(before, all_rooms())
        self.servers["b"].listener.die()
        self.program.wait_for("server pool/b is down")
        during = all_rooms()
        for room, name in before.items():
            if name == "b":
                self.assertNotEqual(during[room], "b")
            else:
                self.assertEqual(during[room], name, "no other room moves")
        self.servers["b"].listener.open()
        self.program.wait_for("server pool/b is up")
        self.assertEqual(all_rooms(), before)

    def test_a_key_may_be_a_cookie_of_the_application_and_reaches_the_server(self):
        address = self.before(4, {"affinity": [{"kind": "key", "cookie": "ROOM"}]})
        for room in range(10):
            self.assertEqual(len(set(self.names(address, 4, [("Cookie", f"x=1; ROOM={room}")]))), 1)
        self.assertEqual(len(set(self.names(address, 8))), 4, "who brings none is scheduled")


class Limits(BalancingTest):
    def in_background(self, address, target, fields=()):
        """A request that is sent now; its answer when it is asked for."""
        connection = Connection(address)
        self.addCleanup(connection.close)
        connection.send(request("GET", target, fields))
        return connection

    def waits_for(self, server, count):
        poll(lambda: len(self.servers[server].seen) == count, f"{server} has heard {count} requests")

    def test_pinned_clients_come_first_in_the_queue(self):
        pool = {"affinity": INSERT, "queue": {"size": 50, "timeout": "30s"}}
        address = self.before(1, pool, keys_of={"a": {"max_connections": 1}}, head="[balancer]\nworkers = 1\n")
        pin = self.pin_to(address, "a")
        self.servers["a"].seen.clear()
        self.servers["a"].gate.clear()
        running = self.in_background(address, "/running")
        self.waits_for("a", 1)
        # Each on the same worker, and heard in this order: an answer to a later one comes after that was queued.
        waiting = [self.in_background(address, f"/new-{i}") for i in range(3)]
        waiting += [self.in_background(address, f"/pinned-{i}", [pin]) for i in range(2)]
        self.settled(address)
        self.servers["a"].gate.set()
        for one in [running, *waiting]:
            self.assertEqual(one.response().status, 200)
        order = self.servers["a"].seen
        self.assertEqual(order[0], "/running")
        self.assertEqual(sorted(order[1:3]), ["/pinned-0", "/pinned-1"], order)
        self.assertEqual(self.servers["a"].most, 1)

    def settled(self, address):
        """Everything that was sent before has been heard: a request without Host is refused at once."""
        for _ in range(3):
            with Connection(address) as connection:
                connection.send(b"GET / HTTP/1.1\r\n\r\n")
                self.assertEqual(connection.response().status, 400)

    def test_no_server_ever_has_more_than_its_limit_over_all_workers(self):
        pool = {"queue": {"size": 100, "timeout": "30s"}}
        limit = {"max_connections": 3}
        address = self.before(2, pool, keys_of={"a": limit, "b": limit}, head="[balancer]\nworkers = 2\n")
        statuses = []

        def client():
            with Connection(address) as connection:
                for _ in range(20):
                    statuses.append(connection.ask().status)

        threads = [threading.Thread(target=client) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(collections.Counter(statuses), {200: 320})
        for server in self.servers.values():
            self.assertLessEqual(server.most, 3)
            self.assertGreater(len(server.seen), 50)

    def test_a_full_queue_and_a_wait_in_vain_are_503_and_a_client_that_leaves_is_forgotten(self):
        pool = {"queue": {"size": 2, "timeout": "1s"}}
        address = self.before(1, pool, keys_of={"a": {"max_connections": 1}})
        self.servers["a"].gate.clear()
        running = self.in_background(address, "/running")
        self.waits_for("a", 1)
        gone = self.in_background(address, "/gone")
        vain = self.in_background(address, "/vain")
        self.settled(address)
        self.assertEqual(ask(address, target="/too-many").status, 503)
        gone.close()

        def place_is_free():
            one = self.in_background(address, "/late")
            one.socket.settimeout(0.3)
            try:
                one.response()
                return False  # answered at once: the queue is full
            except (AssertionError, TimeoutError):
                return True

        poll(place_is_free, "the place of the client that left")
        response = vain.response()
        self.assertEqual((response.status, response.body), (503, b"503 Service Unavailable\nno server had room in time\n"))
        self.servers["a"].gate.set()
        self.assertEqual(running.response().status, 200)
        self.assertNotIn("/gone", self.servers["a"].seen)
        self.assertNotIn("/too-many", self.servers["a"].seen)

    def test_layer_4_waits_too(self):
        address = self.before(1, {"queue": {"size": 5, "timeout": "30s"}}, {"mode": "tcp"}, {"a": {"max_connections": 1}})
        with Connection(address) as first:
            self.assertEqual(first.ask().get("x-server"), "a")
            second = Connection(address)
            self.addCleanup(second.close)
            second.send(request("GET", "/second"))
            self.assertEqual(first.ask(target="/again").status, 200)
            self.assertNotIn("/second", self.servers["a"].seen)
        self.assertEqual(second.response().status, 200, "what it said while it waited was kept")

    def test_a_pinned_client_is_sent_elsewhere_after_its_wait_or_refused_where_strict(self):
        for strict in (False, True):
            affinity = [{"kind": "cookie-insert", "name": "SRV", "strict": strict}]
            limit = {"max_connections": 1}
            pool = {"affinity": affinity, "queue": {"size": 5, "timeout": "200ms"}}
            address = self.before(2, pool, keys_of={"a": limit, "b": limit})
            pin = self.pin_to(address, "a")
            self.servers["a"].gate.clear()
            count = len(self.servers["a"].seen)
            running = self.in_background(address, "/running", [pin])
            self.waits_for("a", count + 1)
            response = ask(address, "GET", "/", [pin])
            self.assertEqual((response.status, response.get("x-server")), (503, None) if strict else (200, "b"))
            self.servers["a"].gate.set()
            self.assertEqual(running.response().status, 200)


class Strict(BalancingTest):
    def test_a_client_whose_server_is_down_gets_503_and_its_server_again_when_it_is_back(self):
        health = {"kind": "tcp", "every": "100ms", "fall": 1, "rise": 1}
        affinity = [{"kind": "cookie-insert", "name": "SRV", "strict": True}]
        address = self.before(2, {"affinity": affinity, "health": health})
        pin = self.pin_to(address, "a")
        self.servers["a"].listener.die()
        response = ask(address, "GET", "/", [pin])
        self.assertEqual(response.status, 503)
        self.assertIn(b"the server of this client does not take it now", response.body)
        self.assertEqual(set(self.names(address, 4)), {"b"})
        self.program.wait_for("server pool/a is down")
        self.servers["a"].listener.open()
        self.program.wait_for("server pool/a is up")
        self.assertEqual(self.names(address, 1, [pin]), ["a"])


class Cookies(BalancingTest):
    def test_a_second_cookie_for_pages_of_other_sites(self):
        affinity = [{"kind": "cookie-insert", "name": "SRV", "cross_site": "SRVCORS"}]
        address = self.before(3, {"affinity": affinity})
        first = ask(address)
        lines = first.all("set-cookie")
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], r"^SRV=[\w-]+; Path=/; HttpOnly; SameSite=Lax$")
        self.assertRegex(lines[1], r"^SRVCORS=[\w-]+; ")
        self.assertLessEqual({"Secure", "SameSite=None", "Partitioned"}, set(lines[1].split("; ")))
        for name in ("SRV", "SRVCORS"):
            back = ask(address, "GET", "/", [("Cookie", cookie_of(first, name))])
            self.assertEqual((back.get("x-server"), back.all("set-cookie")), (first.get("x-server"), []))
        swapped = "SRVCORS=" + cookie_of(first).removeprefix("SRV=")
        self.assertEqual(len(set(self.names(address, 3, [("Cookie", swapped)]))), 3, "each is sealed for its own name")

    def test_keys_are_rotated_by_reloads_and_no_pin_is_lost(self):
        for number in (1, 2):
            key = self.folder / f"{number}.key"
            key.write_text(f"{number}d" * 32)
            key.chmod(0o600)
        head = '[keys]\nseal = ["file:1.key"]\n'
        address = self.before(4, {"affinity": INSERT}, head=head)
        pin = self.pin_to(address, "c")
        file = Path(self.program.arguments[-1])

        def reload(*keys):
            before = len(self.program.said("reload: done"))
            listed = ", ".join(f'"file:{key}.key"' for key in keys)
            file.write_text(re.sub("seal = .*", f"seal = [{listed}]", file.read_text()))
            self.program.signal(signal.SIGHUP)
            poll(lambda: len(self.program.said("reload: done")) > before, "the file was read again")

        reload(1, 2)
        self.assertIsNone(ask(address, fields=[pin]).get("set-cookie"), "the same key seals")
        reload(2, 1)
        renewed = ask(address, fields=[pin])
        self.assertEqual(renewed.get("x-server"), "c")
        anew = ("Cookie", cookie_of(renewed))
        self.assertNotIn(anew, (pin, ("Cookie", None)), "who shows the old key gets the new one")
        self.assertIsNone(ask(address, fields=[anew]).get("set-cookie"), "once")
        reload(2)
        self.assertEqual(self.names(address, 6, [anew]), ["c"] * 6)
        self.assertIsNotNone(ask(address, fields=[pin]).get("set-cookie"), "the old key is gone")

    def test_a_logout_ends_the_pin(self):
        address = self.before(3, {"affinity": [*INSERT, {"kind": "source-ip"}]})
        with Connection(address) as client:
            first = client.ask()
            pin = cookie_of(first)
            home = first.get("x-server")
            self.servers[home].fields = [("Rejoin-Unpin", "1")]
            out = client.ask(target="/logout", fields=[("Cookie", pin)])
            self.servers[home].fields = []
            self.assertIsNone(out.get("rejoin-unpin"), "which is not the client's business")
            self.assertRegex(out.get("set-cookie"), r"^SRV=; .*Max-Age=0")
            new = self.names(address, 1)[0]  # scheduled, so the next one in turn; bound by address before
            self.assertNotEqual(new, home, "nor is the address bound, though the connection is open")

    def test_a_server_that_deletes_its_own_cookie_ends_the_pin(self):
        address = self.before(2, {"affinity": [{"kind": "cookie-prefix", "name": "SESSION"}, {"kind": "source-ip"}]})
        with Connection(address) as client:
            home = client.ask().get("x-server")
            self.assertEqual(set(self.names(address, 3)), {home}, "by address")
            self.servers[home].fields = [("Set-Cookie", "SESSION=; Max-Age=0; Path=/")]
            self.assertRegex(client.ask(target="/logout").get("set-cookie"), r"^SESSION=[\w-]+~; Max-Age=0; Path=/$")
            self.servers[home].fields = []
            self.assertNotEqual(self.names(address, 1), [home])

    def test_the_first_sockets_of_a_page_stay_together(self):
        address = self.before(4, {"affinity": INSERT, "burst": "1s"}, head="[balancer]\nworkers = 2\n")
        page = [("User-Agent", "Firefox"), ("Accept-Language", "de")]
        sockets = [Connection(address) for _ in range(8)]
        for one in sockets:
            self.addCleanup(one.close)
            one.send(request("GET", "/", page))
        self.assertEqual(len({one.response().get("x-server") for one in sockets}), 1)
        others = {self.names(address, 1, [("User-Agent", f"browser {number}")])[0] for number in range(20)}
        self.assertGreater(len(others), 1, "other browsers are other clients")
        later = set()
        poll(lambda: later.update(self.names(address, 1, page)) or len(later) > 1, "the burst ends")

    def test_a_cookie_does_not_grow_too_old_under_an_open_websocket(self):
        servers_ = [Listener(self, told_by_requests(name)) for name in "ab"]
        affinity = [{"kind": "cookie-insert", "name": "SRV", "max_idle": "2s"}]
        address = self.http_balancer(servers(*(one.address for one in servers_)), pool={"affinity": affinity}).address()
        with WebSocket(address) as player:
            pin = cookie_of(player.handshake)
            home = player.handshake.get("x-server")
            idle = cookie_of(ask(address))  # of a client that is not connected, and younger

            def too_old():
                return ask(address, fields=[("Cookie", idle)]).get("set-cookie") is not None

            # A client that asks is not idle: each asks once, a moment later than the one before.
            begun = time.monotonic()
            poll(lambda: time.monotonic() - begun > 4, "more than the idle time has passed")
            self.assertTrue(too_old(), "which is what max_idle is for")
            for _ in range(3):
                back = ask(address, fields=[("Cookie", pin)])
                self.assertEqual(back.get("x-server"), home)
                self.assertEqual(len(back.all("set-cookie")), 1, "and it gets a new date")


class Health(BalancingTest):
    def test_a_server_asks_for_a_share_of_its_weight(self):
        health = {"kind": "http", "path": "/healthz", "every": "50ms"}
        address = self.before(2, {"health": health})
        self.servers["a"].health = (200, [("Rejoin-Weight", "25%")])
        self.program.wait_for("server pool/a asks for 25% of its weight")
        self.assertEqual(collections.Counter(self.names(address, 50))["a"], 10)
        self.servers["a"].health = (200, [("Rejoin-Weight", "0%")])
        self.program.wait_for("server pool/a asks for 0% of its weight")
        self.assertEqual(set(self.names(address, 10)), {"b"})
        self.servers["a"].health = (200, [])
        self.program.wait_for("server pool/a asks for 100% of its weight")
        self.assertEqual(collections.Counter(self.names(address, 10))["a"], 5)

    def test_expected_statuses_may_be_a_range(self):
        health = {"kind": "http", "path": "/healthz", "every": "50ms", "expect": ["200-299", 418], "fall": 1, "rise": 1}
        self.before(2, {"health": health})
        self.servers["a"].health = (404, [])
        self.program.wait_for(r"server pool/a is down: .*status 404, expected 200-299 or 418")
        for status in (418, 204):
            self.servers["a"].health = (status, [])
            self.program.wait_for("server pool/a is up")
        self.assertEqual(self.program.said("server pool/b is down"), [])

    def test_probes_are_spread_over_time(self):
        """Twenty servers whose balancer starts are not asked all at once: within a second, each at a moment by chance."""
        first = []
        listeners = [Listener(self, lambda peer: first.append(time.monotonic()) or peer.rest()) for _ in range(20)]
        listed = [{"name": f"s{n}", "address": "{}:{}".format(*one.address)} for n, one in enumerate(listeners)]
        self.http_balancer(listed, pool={"health": {"kind": "tcp", "every": "60s"}})
        poll(lambda: len(first) == len(listed), "each was asked")
        self.assertGreater(max(first) - min(first), 0.25)

    def test_a_server_that_drains_keeps_its_own_clients_until_the_deadline(self):
        health = {"kind": "http", "path": "/healthz", "every": "50ms", "drain_time": "1s"}
        address = self.before(2, {"health": health, "affinity": INSERT})
        pin = self.pin_to(address, "a")
        self.servers["a"].health = (503, [("Rejoin-State", "draining")])
        self.program.wait_for("server pool/a drains")
        self.assertEqual(self.names(address, 1, [pin]), ["a"])
        self.assertEqual(set(self.names(address, 6)), {"b"})
        poll(lambda: self.names(address, 1, [pin]) == ["b"], "the deadline is over")
        self.servers["a"].health = (200, [])
        self.program.wait_for("server pool/a takes new clients again")
        self.assertEqual(self.names(address, 1, [pin]), ["a"])

    def test_a_server_that_answers_badly_is_put_out_for_a_while(self):
        health = {"passive": {"failures": 3, "within": "10s", "out": "1s"}}
        address = self.before(2, {"health": health})
        self.servers["a"].status = 500
        statuses = collections.Counter(ask(address).status for _ in range(30))
        self.program.wait_for("server pool/a is out, it failed too often: HTTP/1.1 500")
        self.assertEqual(statuses, {500: 3, 200: 27})
        self.servers["a"].status = 200
        poll(lambda: "a" in self.names(address, 2), "it is tried again")

    def test_connections_of_a_server_that_is_down_are_closed(self):
        health = {"kind": "http", "path": "/healthz", "every": "50ms", "fall": 1, "on_down": "close"}
        address = self.before(2, {"health": health}, {"mode": "tcp"}, head="[balancer]\nworkers = 2\n")
        clients = [Connection(address) for _ in range(8)]
        for client in clients:
            self.addCleanup(client.close)
        homes = [client.ask().get("x-server") for client in clients]
        self.assertEqual(set(homes), {"a", "b"})
        self.servers["a"].health = (500, [])  # it hangs, say: its connections are open
        self.program.wait_for("server pool/a is down")
        for client, home in zip(clients, homes):
            if home == "a":
                self.assertEqual(client.rest(), b"")
            else:
                self.assertEqual(client.ask().get("x-server"), "b", "others go on")


if __name__ == "__main__":
    unittest.main()
