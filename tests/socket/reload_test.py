"""socket/balancer/reload: SIGHUP changes what the file says new, all or nothing, and nobody who is connected notices."""

import signal
import socket
import threading
import time
import unittest

from programs import Closed, Connection, ProgramsTest, WebSocket, keys, poll, servers
from servers import Listener

LOOP_S = 3


def answering(name):
    """A server that says its name to every request."""

    def serve(peer):
        while request := peer.request():
            peer.body_of(request)
            peer.answer(body=name.encode())

    return serve


class Reload(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.a, self.b = self.web("a"), self.web("b")
        self.path = self.folder / "balancer.toml"

    def web(self, name):
        listener = Listener(self, answering(name))
        return listener

    def write(self, pool_servers, listener=None, pool=None, head="", more=""):
        self.path.write_text(
            head
            + "[[listener]]\n"
            + keys(**{"name": "play", "listen": "127.0.0.1:0", "pool": "pool", **(listener or {})})
            + "[[pool]]\n"
            + keys(**{"name": "pool", "server": pool_servers, **(pool or {})})
            + more
        )

    def begin(self, *arguments, **options):
        self.write(*arguments, **options)
        return self.start("balancer", "-c", self.path).wait_ready()

    def hang_up(self, program, ends="done|nothing"):
        """Reloads, and waits for the end of it. The lines that were said."""
        before = len(program.lines)
        program.signal(signal.SIGHUP)
        poll(lambda: [line for line in program.lines[before:] if f"reload: " in line], f"{program} has reloaded")
        said = program.lines[before:]
        self.assertRegex(said[-1] if "listening" not in said[-1] else "\n".join(said), f"reload: ({ends})")
        return "\n".join(said)

    def test_says_what_changed_or_that_nothing_did(self):
        balancer = self.begin(servers(self.a.address), head="[balancer]\nworkers = 2\n")
        self.hang_up(balancer, "nothing is new")
        with Connection(balancer.address()) as client:
            self.assertEqual(client.ask().body, b"a")
            self.write(
                servers(self.a.address, self.b.address),
                head="[balancer]\nworkers = 3\n",
                more='[[listener]]\nname = "more"\nlisten = "127.0.0.1:0"\npool = "other"\n[[pool]]\nname = "other"\n'
                + keys(server=[{"name": "x", "address": "{}:{}".format(*self.b.address)}]),
            )
            said = self.hang_up(balancer)
            self.assertIn("changed: listener more: added", said)
            self.assertIn("changed: pool other: added, with 1 server", said)
            self.assertIn("changed: server pool/b: added, at {}:{}".format(*self.b.address), said)
            self.assertIn("needs a restart: balancer.workers: 3, was 2", said)
            with Connection(balancer.address("more")) as more:
                self.assertEqual(more.ask().body, b"b")
                both = {client.ask().body for _ in range(8)}  # a connection from before goes by the new list, too
                self.assertEqual(both, {b"a", b"b"})

                self.write([{"name": "b", "address": "{}:{}".format(*self.b.address), "weight": 3}], head="[balancer]\nworkers = 2\n")
                said = self.hang_up(balancer)
                for line in ("listener more: removed", "pool other: removed", "server pool/a: removed", "server pool/b: weight 3, was 1"):
                    self.assertIn("changed: " + line, said)
                self.assertEqual(client.ask().body, b"b")
                last = more.ask()  # its door is gone: one more answer, and it is told to go
                self.assertEqual((last.status, last.get("connection")), (200, "close"))
            with self.assertRaises(ConnectionRefusedError):
                Connection(balancer.addresses()["more"])

    def test_a_bad_file_changes_nothing_and_says_where(self):
        balancer = self.begin(servers(self.a.address))
        good = self.path.read_text()
        for bad, where in (
            (good.replace("server =", "servers ="), r"balancer.toml:\d+:\d+: pool.servers: unknown key"),
            (good + "[[listener]\n", r"balancer.toml:\d+:\d+: "),
            (good.replace('pool = "pool"', 'pool = "pole"'), r'there is no pool "pole"; there is "pool"'),
            ("", "nothing to run"),
        ):
            self.path.write_text(bad)
            self.assertRegex(self.hang_up(balancer, "nothing has changed"), where)
            with Connection(balancer.address()) as client:
                self.assertEqual(client.ask().body, b"a")
        self.path.unlink()
        self.hang_up(balancer, "nothing has changed")

    def test_a_port_that_is_taken_changes_nothing_at_all(self):
        balancer = self.begin(servers(self.a.address), head="[balancer]\nworkers = 2\n")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            at = "{}:{}".format(*taken.getsockname())
            more = f'[[listener]]\nname = "free"\nlisten = "127.0.0.1:0"\n[[listener]]\nname = "more"\nlisten = "{at}"\n'
            self.write(servers(self.b.address), more=more)
            said = self.hang_up(balancer, "nothing has changed")
            self.assertIn(f"listener more: listen on {at}", said)
            with Connection(balancer.address()) as client:
                self.assertEqual({client.ask().body for _ in range(4)}, {b"a"})
        self.hang_up(balancer)  # now it is free
        with Connection(balancer.address()) as client:
            self.assertEqual(client.ask().body, b"b")

    def test_tunnels_do_not_notice(self):
        gateway = self.gateway("g1")
        web, raw = gateway.address("websocket"), gateway.address("tcp")
        self.write(servers(web), more="")
        text = self.path.read_text() + "[[listener]]\n" + keys(name="raw", listen="127.0.0.1:0", mode="tcp", pool="raw")
        text += "[[pool]]\n" + keys(name="raw", server=servers(raw), affinity=[{"kind": "source-ip"}])
        self.path.write_text(text)
        balancer = self.start("balancer", "-c", self.path).wait_ready()
        tunnel = WebSocket(balancer.address("play"))
        tunnel.greeting()
        layer4 = Connection(balancer.address("raw"))
        self.write(servers(self.a.address))  # neither of the two has a server or a pool any more
        self.hang_up(balancer)
        for number in range(5):
            self.assertTrue(tunnel.echoes(f"message {number}"))
            layer4.send(b"\x00\x00\x00\x02hi")
        self.assertIn(b"hi", layer4.until(b"hi"))
        tunnel.close()
        layer4.close()

    def test_reloads_without_end_and_not_one_error(self):
        gateway = self.gateway("g1")
        raw = gateway.address("tcp")
        more = "[[listener]]\n" + keys(name="raw", listen="127.0.0.1:0", mode="tcp", pool="raw")
        more += "[[pool]]\n" + keys(name="raw", server=servers(raw), affinity=[{"kind": "source-ip"}])
        both = servers(self.a.address, self.b.address)
        variants = [
            dict(pool_servers=both, pool={"affinity": [{"kind": "cookie-insert"}]}, more=more),
            dict(pool_servers=both[::-1], listener={"idle_timeout": "50s"}, more=more.replace("source-ip", "source-ip")),
            dict(pool_servers=both[:1], more='[[listener]]\nname = "extra"\nlisten = "127.0.0.1:0"\npool = "raw"\n' + more),
        ]
        head = "[balancer]\nworkers = 2\n"
        balancer = self.begin(**variants[0], head=head)
        http, tcp = balancer.address("play"), balancer.address("raw")
        over, wrong, done = threading.Event(), [], {"http": 0, "kept": 0, "tcp": 0}

        def client(kind, once):
            while not over.is_set():
                try:
                    once()
                    done[kind] += 1
                except Exception as error:  # whatever it is, a client saw it
                    wrong.append(f"{kind}: {error!r}")
                    return

        def new_connection():
            with Connection(http) as one:
                self.assertEqual(one.ask().status, 200)

        kept = Connection(http)

        def kept_connection():
            self.assertEqual(kept.ask(body=b"x" * 2000, method="POST").status, 200)

        def layer4():
            with Connection(tcp) as one:
                one.send(b"\x00\x00\x00\x02hi")
                one.until(b"hi")

        threads = [threading.Thread(target=client, args=it) for it in (("http", new_connection), ("kept", kept_connection), ("tcp", layer4))]
        for thread in threads:
            thread.start()
        reloads, ends = 0, time.monotonic() + LOOP_S
        while time.monotonic() < ends and not wrong:
            self.write(**variants[reloads % len(variants)], head=head)
            self.hang_up(balancer)
            reloads += 1
        over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertGreater(reloads, 20)
        self.assertGreater(min(done.values()), 20, done)
        self.assertEqual(balancer.said("error|bug"), [])


if __name__ == "__main__":
    unittest.main()
