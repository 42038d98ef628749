"""socket/balancer/upgrade: the binary is replaced under load and nobody is refused; sockets from systemd; what systemd is told."""

import os
import re
import signal
import socket
import ssl
import sys
import threading
import time
import unittest

from certificates import Authority
from programs import Connection, Program, WebSocket, keys, poll, rejoin_binary, servers
from servers import Listener
from tls_test import TlsConnection
from upgrades import WAITS, UpgradesTest

TWO = "[balancer]\nworkers = 2\n"


class Upgrade(UpgradesTest):
    def setUp(self):
        super().setUp()
        self.web = Listener(self, self.serve)
        self.path = self.folder / "balancer.toml"

    def serve(self, peer):
        while request := peer.request():
            peer.body_of(request)
            peer.answer(body=b"here")

    def write(self, head=TWO, listener=None, more="", pool_servers=None):
        self.path.write_text(
            head
            + "[[listener]]\n"
            + keys(**{"name": "play", "listen": "127.0.0.1:0", "pool": "pool", **(listener or {})})
            + "[[pool]]\n"
            + keys(name="pool", server=pool_servers or servers(self.web.address))
            + more
        )

    def begin(self, **options):
        self.write(**options)
        return self.start("balancer", "-c", self.path).wait_ready()

    def test_under_load_nobody_is_refused_and_tunnels_live_on(self):
        gateway = self.gateway("g1")
        more = "[[listener]]\n" + keys(name="ws", listen="127.0.0.1:0", pool="gateways")
        more += "[[pool]]\n" + keys(name="gateways", server=servers(gateway.address("websocket")))
        old = self.begin(more=more)
        http = old.address("play")
        tunnel = WebSocket(old.address("ws"))
        tunnel.greeting()
        over, wrong, done = threading.Event(), [], [0, 0, 0]

        def client(number):
            while not over.is_set():
                try:
                    with Connection(http) as one:
                        self.assertEqual(one.ask().body, b"here")
                    done[number] += 1
                except Exception as error:  # whatever it is, a client saw it
                    wrong.append(repr(error))
                    return

        threads = [threading.Thread(target=client, args=(i,)) for i in range(len(done))]
        for thread in threads:
            thread.start()
        child = self.upgrade(old)
        self.assertTrue(tunnel.echoes("in the old process"))
        self.assertTrue(old.running())
        before = sum(done)
        poll(lambda: wrong or sum(done) > before + 50, "the new process serves")
        over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertTrue(tunnel.echoes("still"))
        tunnel.close()
        self.assertEqual(self.ended(old), 0)  # with its last client
        self.assertTrue(self.alive(child))
        with Connection(http) as one:
            self.assertEqual(one.ask().body, b"here")

    def test_clients_come_back_to_their_servers_by_their_addresses(self):
        """Those with a connection that is open in the old process, and those without one, over two upgrades."""

        def named(name):
            def serve(peer):
                while peer.request():
                    peer.answer(200, [("X-Server", name)])

            return serve

        both = [Listener(self, named(name)) for name in "ab"]
        pool = servers(*(one.address for one in both))
        self.write(pool_servers=pool, more=keys(affinity=[{"kind": "source-ip", "grace": "1h"}]))
        old = self.start("balancer", "-c", self.path).wait_ready()
        address = old.address("play")
        clients = [f"127.0.0.{i}" for i in range(2, 18)]
        dialled = [Connection(address, bind=client) for client in clients]
        home = {client: one.ask().get("x-server") for client, one in zip(clients, dialled)}
        self.assertEqual(sorted(home.values()), ["a"] * 8 + ["b"] * 8)
        for one in dialled[:8]:
            one.close()
        child = self.upgrade(old)
        old.wait_for("16 pins of clients are known from the process before")
        for turn in range(2):
            for client in reversed(clients):
                with Connection(address, bind=client) as again:
                    self.assertEqual(again.ask().get("x-server"), home[client], f"{client}, upgrade {turn + 1}")
            if turn == 0:
                os.kill(child, signal.SIGUSR2)
                served = poll(lambda: len(found := self.have_served(old)) == 2 and found, "a second upgrade")
                self.keep(served[1])
                self.assertEqual(sum("16 pins of clients" in line for line in old.lines), 2, "the second knows them, too")
                poll(lambda: not self.alive(child), "the first has no client")
        for one in dialled[8:]:
            one.close()
        self.assertEqual(self.ended(old), 0)

    def test_twice_with_other_numbers_of_workers(self):
        old = self.begin(head="[balancer]\nworkers = 3\n")
        address = old.address("play")
        self.write(head="[balancer]\nworkers = 1\n")  # it has all three sockets
        first = self.upgrade(old)
        self.assertEqual(self.ended(old), 0)
        for _ in range(30):
            with Connection(address) as one:
                self.assertEqual(one.ask().body, b"here")
        self.write(head="[balancer]\nworkers = 2\n")
        os.kill(first, signal.SIGUSR2)
        poll(lambda: not self.alive(first), "the second process has ended")
        self.keep(poll(lambda: len(found := self.have_served(old)) == 2 and found, "it has said so")[1])
        for _ in range(30):
            with Connection(address) as one:
                self.assertEqual(one.ask().body, b"here")

    def test_a_new_process_that_fails_leaves_the_old_one_in_service(self):
        old = self.begin()
        good = self.path.read_text()
        self.path.write_text("[[listener]]\nlisten = 1\n")
        old.signal(signal.SIGUSR2)
        old.wait_for(r"upgrade: process \d+ ended with status 2 before it served; this one goes on")
        with Connection(old.address()) as one:
            self.assertEqual(one.ask().body, b"here")
        self.path.write_text(good)
        self.upgrade(old)
        self.assertEqual(self.ended(old), 0)

    def test_who_is_connected_may_ask_once_more(self):
        """They cannot know that an upgrade comes, and may just be asking."""
        identity = (authority := Authority(self.folder)).issue("play", ["play.example"])
        more = "[[listener]]\n" + keys(name="secure", listen="127.0.0.1:0", pool="pool", tls=identity.files())
        old = self.begin(more=more)
        context = ssl.create_default_context(cafile=str(authority.pem))
        with Connection(old.address("play")) as kept, TlsConnection(old.address("secure"), context) as entered:
            self.assertEqual(kept.ask().get("connection"), None)
            self.upgrade(old)
            for one in (kept, entered):  # which has had its handshake with the old process
                answer = one.ask()
                self.assertEqual((answer.status, answer.body, answer.get("connection")), (200, b"here", "close"))
                self.assertFalse(one.more())
            self.assertEqual(self.ended(old), 0)

    def test_who_does_not_ask_is_not_waited_for_longer_than_ever(self):
        old = self.begin(listener={"keep_alive_timeout": "300ms"})
        with Connection(old.address("play")) as kept:
            kept.ask()
            self.upgrade(old)
            self.assertEqual(self.ended(old), 0)
            self.assertFalse(kept.more())

    def test_websockets_are_closed_for_a_sigterm_and_not_for_an_upgrade(self):
        gateway = self.gateway("g1")
        old = self.begin(
            pool_servers=servers(gateway.address("websocket")), head="[balancer]\ndrain = { per_second = 1000 }\n"
        )
        with WebSocket(old.address("play")) as tunnel, Connection(old.address("play")) as idle:
            tunnel.greeting()
            idle.ask("GET", "/healthz")
            self.upgrade(old)
            for text in ("one", "two", "three"):
                self.assertTrue(tunnel.echoes(text))
            old.signal(signal.SIGTERM)
            self.assertEqual(tunnel.hear(), (8, (1012).to_bytes(2, "big")))
            self.assertFalse(idle.more())
        self.assertEqual(self.ended(old), 0)

    def test_signals_that_come_meanwhile_are_heard_by_the_new_process(self):
        """The one of the old process (its files may have been read before they changed), and one to all of our name."""
        link, gate = self.folder / "rejoin", self.folder / "gate"
        link.symlink_to(rejoin_binary())
        self.write()
        wrap = ["sh", "-c", f'shift; exec {link} "$@"', "sh"]
        old = self.start("balancer", "-c", self.path, wrap=wrap).wait_ready()
        for whom in ("old", "new"):
            os.mkfifo(gate)
            link.unlink()
            link.write_text(WAITS % (sys.executable, gate, link, rejoin_binary(), link))
            link.chmod(0o755)
            before = len(old.said("upgrade: process .* starts"))
            served, reloads = len(old.said("upgrade: process .* serves")), len(old.said("reload: "))
            os.kill(self.children[-1] if self.children else old.pid, signal.SIGUSR2)
            poll(lambda: len(old.said("upgrade: process .* starts")) > before, "a new process starts")
            child = int(re.search(r"process (\d+) starts", old.said("upgrade: process .* starts")[-1])[1])
            if whom == "old":
                old.signal(signal.SIGHUP)
                poll(lambda: len(old.said("reload: ")) > reloads, "the old process has read its file again")
            else:
                os.kill(child, signal.SIGHUP)
                os.kill(child, signal.SIGUSR1)
            reloads = len(old.said("reload: "))
            gate.write_text("go\n")
            poll(lambda: len(old.said("upgrade: process .* serves")) > served, "the new process serves")
            self.keep(child)
            poll(lambda: len(old.said("reload: ")) > reloads, "the new process has read its file again")
            gate.unlink()

    def test_sigterm_to_the_old_process_ends_its_tunnels(self):
        gateway = self.gateway("g1")
        old = self.begin(pool_servers=servers(gateway.address("websocket")), head="[balancer]\ndrain_timeout = \"100ms\"\n")
        tunnel = WebSocket(old.address("play"))
        tunnel.greeting()
        self.upgrade(old)
        self.assertTrue(tunnel.echoes("here"))
        old.signal(signal.SIGTERM)
        self.assertEqual(self.ended(old), 0)

    # --- systemd ---

    def activated(self, sockets, names, **popen):
        """A balancer that systemd would start with these listening sockets."""
        wrap = ["python3", "-c", "import os, sys\nos.environ['LISTEN_PID'] = str(os.getpid())\nos.execv(sys.argv[1], sys.argv[1:])"]
        environment = {**os.environ, "LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": ":".join(names), **popen.pop("env", {})}

        def place():
            for i, one in enumerate(sockets):
                os.dup2(one.fileno(), 3 + i)

        program = Program(
            ["balancer", "-c", str(self.path)], wrap=wrap, env=environment, preexec_fn=place, close_fds=False, **popen
        )
        self.programs.append(program)
        self.addCleanup(self.end, program)
        return program.wait_ready()

    def test_sockets_of_systemd_are_taken_by_address_or_by_name(self):
        by_address, by_name, strange = (socket.create_server(("127.0.0.1", 0)) for _ in range(3))
        waiting = socket.create_connection(by_address.getsockname())  # before anybody is there
        self.write(
            listener={"listen": "{}:{}".format(*by_address.getsockname())},
            more='[[listener]]\nname = "named"\nlisten = "127.0.0.1:1"\npool = "pool"\n',
        )
        program = self.activated([by_address, by_name, strange], ["x", "named", "y"])
        self.assertTrue(program.said("no listener is at {}:{}".format(*strange.getsockname())))
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        waiting.settimeout(30)
        self.assertIn(b"200 OK", waiting.recv(4096))
        waiting.close()
        for _ in range(10):
            for one in (by_address, by_name):
                with Connection(one.getsockname()) as client:
                    self.assertEqual(client.ask().body, b"here")
        for one in (by_address, by_name, strange):
            one.close()

    def test_systemd_is_told(self):
        path = str(self.folder / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(30)
            self.write()
            old = self.start("balancer", "-c", self.path, env={**os.environ, "NOTIFY_SOCKET": path}).wait_ready()
            self.assertIn(b"READY=1", manager.recv(4096))
            old.signal(signal.SIGHUP)
            self.assertRegex(manager.recv(4096), rb"RELOADING=1\nMONOTONIC_USEC=\d+")
            self.assertIn(b"READY=1", manager.recv(4096))
            child = self.upgrade(old)
            told = manager.recv(4096), manager.recv(4096)  # two processes: in any order
            self.assertIn(b"MAINPID=%d" % child, told)
            self.assertTrue(any(b"READY=1" in one for one in told))
            self.assertEqual(self.ended(old), 0)
            os.kill(child, signal.SIGTERM)
            self.assertIn(b"STOPPING=1", manager.recv(4096))


if __name__ == "__main__":
    unittest.main()
