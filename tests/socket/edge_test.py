"""socket/balancer/edge: who may come in and how fast, pools by TLS name, root given up; floods, with others served on."""

import os
import pwd
import re
import socket
import ssl
import subprocess
import threading
import time
import unittest
from pathlib import Path

from programs import Closed, Connection, ProgramsTest, ask, keys, poll, request, servers
from servers import Listener

LORIS = 5000


def answer_all(peer):
    while peer.request() is not None:
        peer.answer(body=b"ok")


def echo(peer):
    while peer.more():
        data, peer.arrived = peer.arrived, b""
        peer.send(data)


def is_refused(address, bind=None, data=b""):
    """Whether a connection ends without a byte."""
    try:
        with Connection(address, bind=bind) as connection:
            connection.send(data)
            return not connection.more()
    except (ConnectionError, BrokenPipeError):
        return True


def p99_ms(address, count=200):
    """Of requests on one connection each, in milliseconds; every one of them has to be answered."""
    taken = []
    for _ in range(count):
        begun = time.monotonic()
        assert ask(address).status == 200
        taken.append((time.monotonic() - begun) * 1000)
    return sorted(taken)[int(count * 0.99) - 1]


class Gate(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.web = Listener(self, answer_all)

    def rejoin(self, listener=None, head=""):
        return self.http_balancer(servers(self.web.address), listener=listener, head=head)

    def test_lists(self):
        ours = self.rejoin({"allow": ["127.0.0.0/24"], "deny": ["127.0.0.66", "127.0.0.128/25"]})
        for bind, welcome in (("127.0.0.5", True), ("127.0.0.66", False), ("127.0.0.200", False), ("127.0.1.1", False)):
            if welcome:
                self.assertEqual(ask(ours.address(), bind=bind).status, 200)
            else:
                self.assertTrue(is_refused(ours.address(), bind, request("GET", "/")), bind)
        poll(lambda: len(ours.said("turned away: its address is not allowed")) == 3, "three were turned away")

    def test_lists_are_of_the_client_whom_a_proxy_names(self):
        ours = self.rejoin({"proxy_protocol": "require", "trusted": ["127.0.0.1"], "deny": ["203.0.113.0/24"]})
        for client, welcome in (("203.0.113.7", False), ("203.0.114.7", True)):
            header = f"PROXY TCP4 {client} 198.51.100.1 41000 443\r\n".encode()
            if welcome:
                with Connection(ours.address()) as connection:
                    self.assertEqual(connection.send(header + request("GET", "/")).response().status, 200)
            else:
                self.assertTrue(is_refused(ours.address(), data=header + request("GET", "/")))

    def test_connections_of_one_client_and_of_all(self):
        for mode in ("http", "tcp"):
            limits = {"connections_per_client": 3, "connections": 5}
            ours = self.rejoin({"mode": mode, "limits": limits})
            mine = [Connection(ours.address(), bind="127.0.0.5") for _ in range(3)]
            for connection in mine:
                self.assertEqual(connection.ask().status, 200)
            self.assertTrue(is_refused(ours.address(), "127.0.0.5", request("GET", "/")), "a fourth one")
            theirs = [Connection(ours.address(), bind="127.0.0.6") for _ in range(2)]
            for connection in theirs:
                self.assertEqual(connection.ask().status, 200)
            self.assertTrue(is_refused(ours.address(), "127.0.0.7", request("GET", "/")), "the listener is full")
            mine.pop().close()

            def room_again():
                try:
                    return ask(ours.address(), bind="127.0.0.7").status == 200
                except (Closed, ConnectionError):
                    return False

            poll(room_again, "one left, and another may come")
            self.assertTrue(ours.said("connections_per_client") and ours.said("connections_max"))
            for connection in mine + theirs:
                connection.close()

    def test_handshakes_of_one_client(self):
        ours = self.rejoin({"limits": {"handshakes_per_client": 5}})
        begun = time.monotonic()
        outcomes = [not is_refused(ours.address(), "127.0.0.5", request("GET", "/")) for _ in range(40)]
        seconds = time.monotonic() - begun
        self.assertTrue(all(outcomes[:5]))
        self.assertLessEqual(sum(outcomes), 5 + 5 * seconds + 1)
        self.assertEqual(ask(ours.address(), bind="127.0.0.6").status, 200, "another client")

    def test_the_limits_hold_for_all_workers_together(self):
        ours = self.rejoin({"limits": {"connections_per_client": 10}}, head="[balancer]\nworkers = 2\n")
        inside = []
        for _ in range(60):
            connection = Connection(ours.address(), bind="127.0.0.5")
            try:
                connection.send(request("GET", "/"))
                inside.append(connection if connection.response().status == 200 else None)
            except (Closed, ConnectionError):
                connection.close()
        self.assertEqual(len(inside), 10)

    def test_heads_have_the_listeners_own_bounds(self):
        ours = self.rejoin({"head_bytes": 1024, "head_fields": 10})
        self.assertEqual(ask(ours.address(), "GET", "/", [("X", "y" * 800)]).status, 200)
        self.assertEqual(ask(ours.address(), "GET", "/", [("X", "y" * 1100)]).status, 431)
        self.assertEqual(ask(ours.address(), "GET", "/", [(f"X{i}", "y") for i in range(9)]).status, 200)
        self.assertEqual(ask(ours.address(), "GET", "/", [(f"X{i}", "y") for i in range(10)]).status, 431)

    def test_the_first_head_has_its_time_from_the_accept_on(self):
        ours = self.rejoin({"head_timeout": "1s", "proxy_protocol": "require", "trusted": ["127.0.0.1"]})
        begun = time.monotonic()
        with Connection(ours.address()) as connection:
            connection.send(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + b"GET / HT")
            for _ in range(40):  # a byte each 100 ms, each of them in time by itself
                try:
                    connection.socket.settimeout(0.1)
                    if connection.socket.recv(1000):
                        break
                except TimeoutError:
                    connection.send(b"T")
                except ConnectionError:
                    break
        self.assertGreater(time.monotonic() - begun, 0.9)
        ours.wait_for("the request head did not come in time")

    def test_a_client_is_read_and_sent_to_at_a_rate(self):
        size = 60_000
        self.web.handler = lambda peer: peer.request() and peer.answer(body=b"x" * size)
        ours = self.rejoin({"rate": {"to_client": "20KiB"}})
        begun = time.monotonic()
        self.assertEqual(len(ask(ours.address()).body), size)
        self.assertGreater(time.monotonic() - begun, 1.5, "a second's worth at once, and then at the rate")
        server = Listener(self, echo)
        tcp = self.http_balancer(servers(server.address), listener={"mode": "tcp", "rate": {"from_client": "20KiB"}})
        begun = time.monotonic()
        with Connection(tcp.address()) as connection:
            connection.send(b"y" * size)
            self.assertEqual(connection.exactly(size), b"y" * size)
        self.assertGreater(time.monotonic() - begun, 1.5)

    @unittest.skipUnless(os.geteuid() == 0, "only root can give it up")
    def test_root_is_given_up(self):
        nobody = pwd.getpwnam("nobody")
        os.chmod(self.folder, 0o755)
        ours = self.rejoin(head='[process]\nuser = "nobody"\n[balancer]\nworkers = 2\n')
        for task in Path(f"/proc/{ours.pid}/task").iterdir():
            status = (task / "status").read_text()
            self.assertEqual(set(re.search(r"Uid:(.*)", status)[1].split()), {str(nobody.pw_uid)})
            self.assertEqual(set(re.search(r"Gid:(.*)", status)[1].split()), {str(nobody.pw_gid)})
            self.assertEqual(int(re.search(r"CapEff:\s*(\w+)", status)[1], 16), 0)
        self.assertEqual(ask(ours.address()).status, 200)
        config = '[process]\nuser = "no-such-user"\n[[listener]]\nlisten = "127.0.0.1:0"\n[[pool]]\n' + keys(
            name="p", server=servers(self.web.address)
        )
        failed = self.start("balancer", "-c", self.file(config))
        self.assertEqual(failed.wait(), 1)
        self.assertTrue(failed.said('there is no user "no-such-user"'))


class Floods(ProgramsTest):
    """Timings are printed, and never fail a test: whoever is served on is."""

    def setUp(self):
        super().setUp()
        self.web = Listener(self, answer_all)

    def loris(self, address, count=LORIS):
        """So many connections that say the half of a head; those that were not refused."""
        held = []
        for _ in range(count):
            one = socket.socket()
            one.bind(("127.0.0.66", 0))
            one.settimeout(5)
            try:
                one.connect(address)
                one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            except OSError:
                one.close()
                continue
            held.append(one)
        self.addCleanup(lambda: [one.close() for one in held])
        return held

    def test_slow_loris(self):
        for name, listener in (
            ("no limit", {"head_timeout": "60s"}),
            ("50 a client", {"head_timeout": "60s", "limits": {"connections_per_client": 50}}),
        ):
            ours = self.http_balancer(servers(self.web.address), listener=listener, head="")
            calm = p99_ms(ours.address())
            before = ours.memory_kib()
            held = self.loris(ours.address())
            slow = p99_ms(ours.address())
            print(
                f"slow loris of {LORIS}, {name}: p99 {calm:.2f} ms before, {slow:.2f} ms under it, "
                f"{(ours.memory_kib() - before) / max(1, len(held)):.1f} KiB a connection"
            )
            if "limits" in listener:
                poll(lambda: len(ours.said("connections_per_client")) >= LORIS - 50, "the others were turned away")
            for one in held:
                one.close()
            ours.stop()

    def test_bad_heads(self):
        ours = self.http_balancer(servers(self.web.address))
        calm = p99_ms(ours.address())
        over = threading.Event()
        sent = [0]

        def flood():
            while not over.is_set():
                try:
                    with Connection(ours.address(), bind="127.0.0.66") as connection:
                        connection.send(b"\x16\x03\x01 this is no HTTP\r\n\r\n").rest()
                        sent[0] += 1
                except OSError:
                    pass

        threads = [threading.Thread(target=flood) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            under = p99_ms(ours.address())
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertGreater(sent[0], 20)
        print(f"flood of bad heads ({sent[0]}): p99 {calm:.2f} ms before, {under:.2f} ms under it")


def certificate(folder, name):
    """(certificate, key) files of a new self-signed certificate."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*command, "-subj", f"/CN={name}", "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


class ByName(ProgramsTest):
    def tls_server(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(self.folder, name))

        def serve(peer):
            with context.wrap_socket(peer.socket, server_side=True) as tls:
                while data := tls.recv(1000):
                    tls.sendall(name.encode() + b": " + data)

        return Listener(self, serve)

    def setUp(self):
        super().setUp()
        self.play, self.other = self.tls_server("play"), self.tls_server("other")

    def rejoin(self, default=None):
        listener = {"name": "tls", "listen": "127.0.0.1:0", "mode": "tcp", "pool": default, "head_timeout": "2s"}
        listener["sni"] = [{"name": "play.example", "pool": "play"}, {"name": "*.play.example", "pool": "play"}]
        config = '[log]\nlevel = "debug"\n[[listener]]\n' + keys(**listener)
        for name, server in (("play", self.play), ("other", self.other)):
            config += "[[pool]]\n" + keys(name=name, server=servers(server.address))
        return self.balancer(config)

    def who(self, address, name):
        """Which server ends the TLS of a client that asks for `name`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with socket.create_connection(address, timeout=20) as plain:
            with context.wrap_socket(plain, server_hostname=name) as tls:
                tls.sendall(b"hi")
                return tls.recv(1000).decode().split(":")[0]

    def test_names_choose_pools(self):
        ours = self.rejoin(default="other")
        for name, server in (
            ("play.example", "play"),
            ("PLAY.Example", "play"),
            ("a.play.example", "play"),
            ("a.b.play.example", "play"),
            ("example", "other"),
            (None, "other"),
        ):
            self.assertEqual(self.who(ours.address(), name), server, name)

    def test_without_a_pool_other_names_are_refused(self):
        ours = self.rejoin()
        self.assertEqual(self.who(ours.address(), "play.example"), "play")
        with self.assertRaises(OSError):
            self.who(ours.address(), "example")
        ours.wait_for("it asks for example, which is not served")
        with self.assertRaises(OSError):
            self.who(ours.address(), None)
        ours.wait_for("it asks for no name")

    def test_what_is_no_tls_is_refused_and_what_does_not_come_as_well(self):
        ours = self.rejoin(default="other")
        self.assertTrue(is_refused(ours.address(), data=request("GET", "/")))
        ours.wait_for("no ClientHello: it is no TLS")
        self.assertTrue(is_refused(ours.address(), data=b"\x16\x03\x01\x01\x00\x01"))
        ours.wait_for(r"no ClientHello: .*timed out")

    def test_a_hello_that_comes_in_pieces_goes_on_as_it_came(self):
        heard = []
        raw = Listener(self, lambda peer: heard.append(peer.exactly(517)) or peer.send(b"got"))
        self.play = raw
        ours = self.rejoin()
        context = ssl.create_default_context()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="play.example")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        hello += b"z" * (517 - len(hello)) if len(hello) < 517 else b""
        with Connection(ours.address()) as connection:
            for byte in hello[:60]:
                connection.send(bytes([byte]))
            connection.send(hello[60:]).until(b"got")
        self.assertEqual(heard[0], hello[:517])


if __name__ == "__main__":
    unittest.main(verbosity=2)
