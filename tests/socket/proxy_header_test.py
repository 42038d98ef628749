"""socket/proxy/headers: PROXY headers in and out, side by side with HAProxy, in both directions and at both layers."""

import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

import resume
from programs import Closed, Connection, ProgramsTest, WebSocket, keys, poll, request, servers
from servers import Listener

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command=0x21, family=0x11, body=None, client="203.0.113.7", port=41000, tlvs=b""):
    if body is None:
        body = socket.inet_aton(client) + socket.inet_aton("198.51.100.1") + struct.pack("!HH", port, 443) + tlvs
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body


def tlv(kind, value):
    return bytes([kind]) + struct.pack("!H", len(value)) + value


def parse_v2(data):
    """(client, dialled, {type: value}, what follows) of a header of version 2 over TCP4."""
    assert data.startswith(SIGNATURE), data[:40]
    length = struct.unpack("!H", data[14:16])[0]
    assert data[12:14] == b"\x21\x11", data[12:14]
    client, dialled, port, _ = struct.unpack("!4s4sHH", data[16:28])
    fields, rest = {}, data[28 : 16 + length]
    while rest:
        size = struct.unpack("!H", rest[1:3])[0]
        fields[rest[0]] = rest[3 : 3 + size]
        rest = rest[3 + size :]
    return f"{socket.inet_ntoa(client)}:{port}", socket.inet_ntoa(dialled), fields, data[16 + length :]


def tell_forwarded(peer):
    """Answers each request with the X-Forwarded-For that it has."""
    while (asked := peer.request()) is not None:
        peer.answer(body=(asked.get("x-forwarded-for") or "").encode())


class Haproxy:
    """HAProxy with one frontend: `bind` options, and one server with `server` options. In `mode`."""

    def __init__(self, test, server, bind="", options="", mode="http", extra=""):
        if shutil.which("haproxy") is None:
            raise RuntimeError("haproxy is missing: tools/packages.sh haproxy")
        folder = Path(tempfile.mkdtemp(prefix="rejoin-haproxy-"))
        test.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = ("127.0.0.1", probe.getsockname()[1])
        path = folder / "haproxy.cfg"
        path.write_text(
            f"defaults\n  mode {mode}\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n"
            f"listen all\n  bind 127.0.0.1:{self.address[1]} {bind}\n  {extra}\n"
            + ("  option forwardfor\n" if mode == "http" else "")
            + f"  server s {server[0]}:{server[1]} {options}\n"
        )
        self.process = subprocess.Popen(["haproxy", "-db", "-f", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        test.addCleanup(self.end)
        poll(self.up, "haproxy listens")

    def up(self):
        assert self.process.poll() is None, "haproxy does not take its configuration"
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0

    def end(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def outcome(address, header, rest=None):
    """What a client's request that follows `header` comes to: the X-Forwarded-For that the server saw, or "refused"."""
    with Connection(address) as connection:
        try:
            connection.send(header + (request("GET", "/") if rest is None else rest))
            response = connection.response()
            return response.body.decode() if response.status == 200 else "refused"
        except (Closed, ConnectionError, BrokenPipeError):
            return "refused"


HEADERS = {
    "v1 TCP4": b"PROXY TCP4 203.0.113.7 198.51.100.1 41000 443\r\n",
    "v1 TCP6": b"PROXY TCP6 2001:db8::7 2001:db8::1 41000 443\r\n",
    "v1 UNKNOWN": b"PROXY UNKNOWN\r\n",
    "v1 UNKNOWN with addresses": b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
    "v1 without a second port": b"PROXY TCP4 203.0.113.7 198.51.100.1 41000\r\n",
    "v1 of another family": b"PROXY TCP4 2001:db8::7 2001:db8::1 41000 443\r\n",
    "v1 of nonsense": b"PROXY TCP9 203.0.113.7 198.51.100.1 41000 443\r\n",
    "v2 PROXY": v2(),
    "v2 with fields": v2(tlvs=tlv(0x02, b"play.example") + tlv(0x05, b"id") + tlv(0x04, b"")),
    "v2 LOCAL": v2(command=0x20, family=0x00, body=b""),
    "v2 AF_UNSPEC": v2(family=0x00, body=b""),
    "v2 of version 3": v2(command=0x31),
    "v2 with an unknown command": v2(command=0x22),
    "v2 without room for addresses": v2(body=b"\0" * 11),
    "none": b"",
}

# Where proxy-protocol.txt leaves it open, or HAProxy 2.6 does otherwise: (ours, HAProxy's).
DIFFERENCES = {
    "v1 UNKNOWN with addresses": ("127.0.0.1", "refused"),  # 2.1: "must ignore anything presented before the CRLF"
    "v2 AF_UNSPEC": ("127.0.0.1", "refused"),  # 2.2: "free to accept the connection anyway ... or to reject it"
}


class ProxyHeaders(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.web = Listener(self, tell_forwarded)

    def rejoin(self, listener=None, pool=None, to=None):
        return self.http_balancer(servers(to or self.web.address), listener=listener, pool=pool)

    def test_what_is_heard_is_what_haproxy_hears(self):
        ours = self.rejoin({"proxy_protocol": "require", "trusted": ["127.0.0.0/8"]})
        theirs = Haproxy(self, self.web.address, bind="accept-proxy")
        for name, header in HEADERS.items():
            with self.subTest(header=name):
                both = outcome(ours.address(), header), outcome(theirs.address, header)
                if name in DIFFERENCES:
                    self.assertEqual(both, DIFFERENCES[name])
                else:
                    self.assertEqual(both[0], both[1])
        self.assertEqual(outcome(ours.address(), HEADERS["v2 PROXY"]), "203.0.113.7")

    def test_a_header_that_comes_byte_by_byte_and_keep_alive_behind_it(self):
        ours = self.rejoin({"proxy_protocol": "require", "trusted": ["127.0.0.0/8"]})
        for header in (HEADERS["v1 TCP4"], HEADERS["v2 with fields"]):
            with Connection(ours.address()) as connection:
                for byte in header + request("GET", "/"):
                    connection.send(bytes([byte]))
                self.assertEqual(connection.response().body, b"203.0.113.7")
                self.assertEqual(connection.ask("GET", "/again").body, b"203.0.113.7")

    def test_only_those_who_are_trusted_are_believed(self):
        ours = self.rejoin({"proxy_protocol": "require", "trusted": ["127.0.0.9"]})
        with self.assertRaises((Closed, ConnectionError)):
            with Connection(ours.address(), bind="127.0.0.5") as connection:
                connection.send(HEADERS["v1 TCP4"] + request("GET", "/")).response()
        with Connection(ours.address(), bind="127.0.0.9") as connection:
            self.assertEqual(connection.send(HEADERS["v1 TCP4"] + request("GET", "/")).response().body, b"203.0.113.7")
        ours.wait_for("would not be believed")
        both = self.rejoin({"proxy_protocol": "accept", "trusted": ["127.0.0.9"]})
        for bind, header, told in (
            ("127.0.0.9", HEADERS["v2 PROXY"], "203.0.113.7"),
            ("127.0.0.9", b"", "127.0.0.9"),
            ("127.0.0.5", b"", "127.0.0.5"),
        ):
            with Connection(both.address(), bind=bind) as connection:
                self.assertEqual(connection.send(header + request("GET", "/")).response().body.decode(), told)
        with Connection(both.address(), bind="127.0.0.5") as connection:  # to us, and to nobody behind us, it is nonsense
            self.assertEqual(connection.send(HEADERS["v1 TCP4"] + request("GET", "/")).response().status, 400)

    def test_haproxy_sends_and_we_hear(self):
        for mode in ("http", "tcp"):
            for option in ("send-proxy", "send-proxy-v2"):
                with self.subTest(mode=mode, option=option):
                    listener = {"proxy_protocol": "require", "trusted": ["127.0.0.0/8"]}
                    ours = self.rejoin(listener)
                    before = Haproxy(self, ours.address(), options=option, mode="tcp")
                    with Connection(before.address, bind="127.0.0.5") as connection:
                        self.assertEqual(connection.ask("GET", "/").body, b"127.0.0.5")

    def test_we_send_and_haproxy_hears(self):
        behind = Haproxy(self, self.web.address, bind="accept-proxy")
        for mode in ("http", "tcp"):
            for version in ("v1", "v2"):
                with self.subTest(mode=mode, version=version):
                    ours = self.rejoin({"mode": mode}, {"proxy_protocol": version}, to=behind.address)
                    with Connection(ours.address(), bind="127.0.0.5") as connection:
                        for _ in range(3):  # HAProxy's own field is the last one
                            self.assertEqual(connection.ask("GET", "/").body.decode().split(", ")[-1], "127.0.0.5")

    def test_haproxy_probes_us_with_local(self):
        ours = self.rejoin({"proxy_protocol": "require", "trusted": ["127.0.0.0/8"]})
        before = Haproxy(self, ours.address(), options="send-proxy-v2 check-send-proxy check inter 50ms", extra="option httpchk GET /")
        poll(lambda: any(b"GET / " in bytes(peer.heard) for peer in self.web.peers), "a probe went through")
        with Connection(before.address, bind="127.0.0.5") as connection:
            self.assertEqual(connection.ask("GET", "/").body.decode().split(", ")[-1], "127.0.0.5")

    def test_through_two_of_us_at_both_layers(self):
        inner = self.rejoin({"proxy_protocol": "require", "trusted": ["127.0.0.0/8"]})
        for mode in ("http", "tcp"):
            outer = self.rejoin({"mode": mode}, {"proxy_protocol": "v2"}, to=inner.address())
            with Connection(outer.address(), bind="127.0.0.5") as connection:
                told = connection.ask("GET", "/").body.decode().split(", ")
                self.assertEqual(told[-1], "127.0.0.5")

    def test_a_server_is_told_once_per_connection_and_a_connection_is_one_clients(self):
        seen = []

        def raw(peer):
            while len(peer.arrived) < 16 or len(peer.arrived) < 16 + struct.unpack("!H", peer.arrived[14:16])[0]:
                if not peer.more():
                    return
            client, dialled, fields, rest = parse_v2(peer.arrived)
            peer.arrived = rest
            count = 0
            seen.append((client, fields))
            while peer.request() is not None:
                count += 1
                peer.answer(body=f"{client} {count}".encode())

        server = Listener(self, raw)
        ours = self.rejoin(pool={"proxy_protocol": "v2"}, to=server.address)
        with Connection(ours.address(), bind="127.0.0.5") as one, Connection(ours.address(), bind="127.0.0.6") as other:
            for i in (1, 2, 3):
                for connection, ip in ((one, "127.0.0.5"), (other, "127.0.0.6")):
                    port = connection.socket.getsockname()[1]
                    self.assertEqual(connection.ask("GET", "/").body.decode(), f"{ip}:{port} {i}")
        self.assertEqual(len(seen), 2)
        ids = {fields[0x05] for _, fields in seen}
        self.assertEqual(len(ids), 2, "each connection has a name of its own")
        self.assertEqual({len(one) for one in ids}, {32})

    def test_fields_go_on_to_the_server(self):
        heard = []

        def raw(peer):
            while b"hello" not in peer.arrived:
                if not peer.more():
                    return
            heard.append(parse_v2(peer.arrived))
            peer.send(b"done")

        server = Listener(self, raw)
        ours = self.rejoin(
            {"mode": "tcp", "proxy_protocol": "require", "trusted": ["127.0.0.0/8"]}, {"proxy_protocol": "v2"}, to=server.address
        )
        ssl = b"\x07" + b"\0\0\0\0" + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"player one") + tlv(0x23, b"TLS_AES_128_GCM_SHA256")
        header = v2(tlvs=tlv(0x01, b"h2") + tlv(0x02, b"play.example") + tlv(0x05, b"from-before") + tlv(0x20, ssl))
        with Connection(ours.address()) as connection:
            connection.send(header + b"hello").until(b"done")
        client, dialled, fields, rest = heard[0]
        self.assertEqual((client, dialled, rest), ("203.0.113.7:41000", "198.51.100.1", b"hello"))
        self.assertEqual(
            fields, {0x01: b"h2", 0x02: b"play.example", 0x05: b"from-before", 0x20: ssl}, "and nothing else, in any order"
        )

    def test_a_gateway_hears_too_and_its_game_server_is_told(self):
        for version in ("v1", "v2"):
            told = []

            def game(peer, told=told):
                while b"\n" not in peer.arrived and len(peer.arrived) < 28:
                    if not peer.more():
                        return
                told.append(bytes(peer.arrived))
                while peer.more():
                    pass

            server = Listener(self, game)
            upstream = {"kind": "tcp", "address": f"{server.address[0]}:{server.address[1]}", "proxy_protocol": version}
            listeners = [
                {"name": "tcp", "listen": "127.0.0.1:0", "kind": "tcp", "protocol": "plain", "proxy_protocol": "require"},
                {"name": "ws", "listen": "127.0.0.1:0", "kind": "websocket", "proxy_protocol": "require"},
            ]
            config = "[gateway]\n" + keys(name="g", listener=listeners, upstream=upstream, trusted_proxies=["127.0.0.0/8"])
            gateway = self.start("gateway", "-c", self.file(config)).wait_ready()
            # Through a balancer at layer 4, and by hand.
            balancer = self.rejoin({"mode": "tcp"}, {"proxy_protocol": "v2"}, to=gateway.address("tcp"))
            with Connection(balancer.address(), bind="127.0.0.5") as connection:
                connection.send(b"\0\0\0\2hi")
                poll(lambda: told, "the game server hears")
                self.assertIn(b"127.0.0.5" if version == "v1" else socket.inet_aton("127.0.0.5"), told[0])
            told.clear()
            with Connection(gateway.address("ws")) as connection:
                connection.send(HEADERS["v1 TCP4"] + request("GET", "/play", WebSocket.upgrade_fields()))
                self.assertEqual(connection.response().status, 101)
                poll(lambda: told, "the game server hears")
                self.assertIn(b"203.0.113.7" if version == "v1" else socket.inet_aton("203.0.113.7"), told[0])
            with self.assertRaises((Closed, ConnectionError)):
                Connection(gateway.address("ws")).send(request("GET", "/healthz")).response()

    def test_a_link_that_is_passed_on_to_its_owner_keeps_its_clients_address(self):
        key = b"k" * 32
        heard = []

        def owner(peer):
            while len(peer.arrived) < 60:
                if not peer.more():
                    return
            heard.append(parse_v2(bytes(peer.arrived)))

        other = Listener(self, owner)
        at = f"{other.address[0]}:{other.address[1]}"
        peers = [{"name": "g2", "tcp": at, "websocket": at, "proxy_protocol": "v2"}]
        listeners = [
            {"name": "tcp", "listen": "127.0.0.1:0", "kind": "tcp", "protocol": "rejoin"},
            {"name": "ws", "listen": "127.0.0.1:0", "kind": "websocket"},
        ]
        seal = self.file(key.hex() + "\n", suffix=".key")
        config = "[keys]\n" + keys(seal=[f"file:{seal}"]) + "[gateway]\n" + keys(name="g1", listener=listeners, peer=peers)
        gateway = self.start("gateway", "-c", self.file(config)).wait_ready()
        sealed = resume.ticket(key, "g2")
        with Connection(gateway.address("tcp"), bind="127.0.0.5") as connection:
            connection.send(resume.on_tcp(resume.resume(sealed)))
            poll(lambda: heard, "the owner hears")
            port = connection.socket.getsockname()[1]
        client, _, _, rest = heard.pop()
        self.assertEqual(client, f"127.0.0.5:{port}")
        self.assertTrue(resume.on_tcp(resume.resume(sealed)).startswith(rest) and rest)
        with Connection(gateway.address("ws"), bind="127.0.0.5") as connection:
            connection.send(request("GET", "/play", [*WebSocket.upgrade_fields()[:3], ("Sec-WebSocket-Key", WebSocket.KEY), resume.offer(sealed)]))
            poll(lambda: heard, "the owner hears")
            port = connection.socket.getsockname()[1]
        client, _, _, rest = heard.pop()
        self.assertEqual(client, f"127.0.0.5:{port}")
        self.assertTrue(rest.startswith(b"GET /play"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
