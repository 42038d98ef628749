"""socket/own-tables: descriptors = "per_worker". More sockets than the limit of open files, counted rightly; nothing of a worker is
open in another's table: not its listener when it has ended, not a link that was handed over."""

import os
import re
import resource
import signal
import socket
import time
import unittest
from pathlib import Path

import scrape
from descriptors_test import Descriptors as DescriptorsScene, few_descriptors as very_few
from programs import Connection, ProgramsTest, WebSocket, ask, keys, poll, servers
from servers import Listener
from upgrade_test import Upgrade as UpgradeScene

LIMIT = 256  # descriptors, here of each worker
WORKERS = 3
CLIENTS = 420  # more than LIMIT, and so few that no worker's share of them comes near it
KEY = {"REJOIN_TEST_KEY": "5f" * 32}
SAID = rf"descriptors: per_worker, each of {WORKERS} may have {LIMIT}"


def process(kind="per_worker"):
    return "[process]\n" + keys(descriptors=kind)


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))


def tables(program):
    """Of each thread: the files of its table, as the kernel names them."""
    found = []
    for thread in Path(f"/proc/{program.pid}/task").iterdir():
        names = []
        for one in (thread / "fd").iterdir():
            try:
                names.append(os.readlink(one))
            except FileNotFoundError:
                continue
        found.append(sorted(names))
    return found


def listens(address):
    """How many sockets listen there, in whichever process."""
    ip, port = address
    key = "%08X:%04X" % (int.from_bytes(socket.inet_aton(ip), "little"), port)
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1] == key and line.split()[3] == "0A" for line in lines)


class Counted(ProgramsTest):
    def metrics(self, program):
        return scrape.read(ask(program.address("admin"), target="/metrics", host="127.0.0.1").body.decode())

    def open_descriptors(self, program):
        return self.metrics(program)["process_open_fds"].value()

    def crowd(self, program, listener):
        clients = []
        for number in range(CLIENTS):
            clients.append(WebSocket(program.address(listener)))
            self.addCleanup(clients[-1].close)
            clients[-1].greeting()
        for number, one in enumerate(clients):
            self.assertTrue(one.echoes(f"message of {number}"))
        return clients

    def all_are_counted(self, program, at_rest, sockets):
        self.assertTrue(program.said(SAID), program.log())
        families = self.metrics(program)
        self.assertEqual(families["process_max_fds"].value(), WORKERS * LIMIT)
        # The threads that share a table are the main one and those of the log: each table once.
        distinct = {tuple(one) for one in tables(program)}
        self.assertEqual(len(distinct), WORKERS)
        for one in distinct:
            self.assertLess(len(one), LIMIT)
        self.assertGreater(max(map(len, distinct)), sockets // WORKERS)
        self.assertAlmostEqual(families["process_open_fds"].value(), at_rest + sockets, delta=3)  # those of the question itself

    def test_a_gateway_holds_more_links_than_a_table(self):
        head = process() + "[admin]\n" + keys(listen="127.0.0.1:0") + "[gateway]\n"
        head += keys(name="g1", workers=WORKERS, listener=[{"listen": "127.0.0.1:0"}])
        gateway = self.start("gateway", "-c", self.file(head), preexec_fn=few_descriptors).wait_ready()
        at_rest = self.open_descriptors(gateway)
        clients = self.crowd(gateway, "websocket")
        self.all_are_counted(gateway, at_rest, CLIENTS)
        for one in clients:
            one.close()
        poll(lambda: self.open_descriptors(gateway) <= at_rest + 1, "all come back")

    def test_a_balancer_holds_more_connections_than_a_table(self):
        backs = [self.gateway(name) for name in ("a", "b")]
        head = process() + "[admin]\n" + keys(listen="127.0.0.1:0") + "[balancer]\n" + keys(workers=WORKERS)
        balancer = self.http_balancer(
            servers(*(one.address("websocket") for one in backs)), head=head, preexec_fn=few_descriptors
        )
        at_rest = self.open_descriptors(balancer)
        clients = [WebSocket(balancer.address("play")) for _ in range(CLIENTS // 2)]
        for number, one in enumerate(clients):
            self.addCleanup(one.close)
            one.greeting()
            self.assertTrue(one.echoes(f"message of {number}"))
        self.all_are_counted(balancer, at_rest, CLIENTS // 2 * 2)
        for one in clients:
            one.close()
        poll(lambda: self.open_descriptors(balancer) <= at_rest + 1, "all come back")


class Between(ProgramsTest):
    def test_links_that_arrive_at_the_wrong_worker_are_handed_over_and_none_is_left_behind(self):
        head = process() + '[keys]\nseal = ["env:REJOIN_TEST_KEY"]\n[admin]\n' + keys(listen="127.0.0.1:0") + "[gateway]\n"
        listeners = [{"listen": "127.0.0.1:0"}, {"listen": "127.0.0.1:0", "kind": "tcp", "protocol": "rejoin"}]
        head += keys(name="g1", workers=WORKERS, listener=listeners, session={"spread": "50ms"})
        gateway = self.start("gateway", "-c", self.file(head), env={**os.environ, **KEY}).wait_ready()
        before = sorted(map(len, tables(gateway)))
        saved = self.folder / "me.session"
        for kind, scheme in (("websocket", "ws"), ("tcp", "tcp")):
            url = "{}://{}:{}".format(scheme, *gateway.address(kind))
            for account in self.connect(url, "--resume", saved, "--times", 20, "--message", "hello"):
                self.assertEqual(account["messages"][-1], "hello")
                self.assertIn(account["links"][0]["kind"], ("open", "resumed"))
        told = scrape.read(ask(gateway.address("admin"), target="/metrics", host="127.0.0.1").body.decode())
        self.assertGreater(told["rejoin_gateway_links_handed_over_total"].value(), 5)
        self.assertEqual(told["rejoin_gateway_sessions_opened_total"].value(), 1)
        poll(lambda: sorted(map(len, tables(gateway))) == before, f"no table has more than at rest: {before}, {tables(gateway)}")

    def test_tables_hold_what_is_their_worker_s_alone(self):
        gateway = self.gateway("g1", extra=f"workers = {WORKERS}\n" + process())
        found = {tuple(one) for one in tables(gateway)}
        sockets = [name for one in found for name in set(one) if name.startswith("socket:")]
        # What all have: one end of each worker's carrier, and the sockets that were our parent's.
        shared = {name for name in sockets if sockets.count(name) == WORKERS}
        alone = [name for name in sockets if sockets.count(name) == 1]
        self.assertEqual(len(sockets), len(shared) * WORKERS + len(alone), found)
        self.assertGreaterEqual(len(alone), 2 * WORKERS + WORKERS, "two listeners, and the other end of the carrier")


class Listeners(UpgradeScene):
    """The scene of upgrade_test.py, and none of its tests."""

    def take_part(self, **more):
        self.web = Listener(self, self.serve)
        return self.begin(head=process() + '[balancer]\nworkers = 2\ndrain_timeout = "1h"\n', **more)

    def ends_with_nobody_listening(self, log, address, pid, tunnels):
        os.kill(pid, signal.SIGTERM)
        poll(lambda: listens(address) == 0, f"nobody listens on {address} any more:\n{log()}")
        with self.assertRaises(ConnectionRefusedError):
            Connection(address)
        for one in tunnels:
            self.assertTrue(one.echoes("still here"))
            one.close()

    def ready_tunnels(self, address):
        """So many that each worker has some."""
        out = [WebSocket(address) for _ in range(20)]
        for one in out:
            one.greeting()
        return out

    def write_with_tunnels(self):
        back = self.gateway("g1")
        return self.take_part(pool_servers=servers(back.address("websocket")))

    def test_none_is_left_when_workers_drain(self):
        program = self.write_with_tunnels()
        address = program.address("play")
        self.assertEqual(listens(address), 2)
        self.ends_with_nobody_listening(program.log, address, program.pid, self.ready_tunnels(address))
        self.assertEqual(program.wait(), 0)

    def test_none_is_left_after_an_upgrade_in_either_process(self):
        old = self.write_with_tunnels()
        address = old.address("play")
        tunnels = self.ready_tunnels(address)
        child = self.upgrade(old)
        self.assertEqual(listens(address), 2, "the same two sockets")
        for _ in range(40):  # each queue is somebody's
            with Connection(address) as one:
                one.socket.settimeout(20)
                self.assertIn(one.ask(target="/healthz").status, (200, 404))
        held = [name for one in tables(old) for name in one]
        self.assertTrue(tunnels[0].echoes("in the old process"))
        later = self.ready_tunnels(address)
        self.ends_with_nobody_listening(old.log, address, child, later)
        self.assertTrue(old.running(), held)
        for one in tunnels:
            self.assertTrue(one.echoes("in the old process, still"))
            one.close()

    def test_sockets_of_systemd_close_with_their_workers(self):
        given = socket.create_server(("127.0.0.1", 0))
        address = given.getsockname()
        back = self.gateway("g1")
        self.write(
            head=process() + '[balancer]\nworkers = 2\ndrain_timeout = "1h"\n',
            listener={"listen": "{}:{}".format(*address)},
            pool_servers=servers(back.address("websocket")),
        )
        program = self.activated([given], ["x"])
        given.close()
        self.ends_with_nobody_listening(program.log, address, program.pid, self.ready_tunnels(address))
        self.assertEqual(program.wait(), 0)


class RunningOut(DescriptorsScene):
    """Each worker has few, and pauses for itself."""

    def setUp(self):
        ProgramsTest.setUp(self)
        back = self.gateway("g1", tcp="")
        head = process() + "[balancer]\nworkers = 2\n"
        self.balancer_1 = self.http_balancer(servers(back.address("websocket")), head=head, preexec_fn=very_few)
        self.clients = []
        self.addCleanup(lambda: [client.close() for client in self.clients])

    test_while_there_are_none_it_waits_and_tunnels_go_on = None  # counts what one listener says


for name in [name for name in dir(UpgradeScene) if name.startswith("test_")]:
    setattr(Listeners, name, None)
del UpgradeScene, DescriptorsScene  # or their tests would run here, too


class Refused(ProgramsTest):
    def test_other_words_are_named(self):
        program = self.start(
            "gateway", "-c", self.file('[gateway]\nname = "g"\nlistener = [ { listen = "127.0.0.1:0" } ]\n'),
            env={**os.environ, "REJOIN_DESCRIPTORS": "mine"},
        )
        self.programs.remove(program)
        self.assertEqual(program.wait(), 1)
        self.assertIn("REJOIN_DESCRIPTORS=mine: write per_process or per_worker", program.log())


if __name__ == "__main__":
    unittest.main()
