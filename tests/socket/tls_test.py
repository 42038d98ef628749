"""socket/tls: the balancer's TLS against programs that are not ours: Python's ssl, curl, OpenSSL's s_client."""

import os
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import unittest
from pathlib import Path

from certificates import Authority
from programs import DEADLINE_S, Connection, ProgramsTest, WebSocket, ask, keys, poll, request, run, servers, toml
from servers import Listener

OPEN_OVER_RELOAD = 1000


def echo_head(peer):
    """Answers each request with the fields that it saw, one a line."""
    while (heard := peer.request()) is not None:
        heard.body = peer.body_of(heard)
        peer.answer(200, (), "".join(f"{name}: {value}\n" for name, value in heard.fields).encode())


def echo_bytes(peer):
    """Sends back what comes, to the end."""
    while peer.more():
        peer.send(peer.arrived)
        peer.arrived = b""


class Secure:
    """Makes a Connection's socket a TLS one. `name`: asked for, and verified."""

    def secure(self, context, name, session=None):
        self.socket = context.wrap_socket(self.socket, server_hostname=name, session=session)
        return self


class TlsConnection(Secure, Connection):
    def __init__(self, address, context, name="play.example", session=None, **options):
        Connection.__init__(self, address, **options)
        self.secure(context, name, session)


class TlsWebSocket(Secure, WebSocket):
    def __init__(self, address, context, name="play.example", fields=()):
        Connection.__init__(self, address)
        self.secure(context, name)
        self.handshake = self.ask("GET", "/play", [*self.upgrade_fields(), *fields])
        if self.handshake.status != 101:
            raise AssertionError(f"no WebSocket: {self.handshake}")


class TlsTest(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder)
        self.play = self.authority.issue("play", ["play.example", "127.0.0.1"])
        self.context = self.client()

    def client(self, least=None, most=None, alpn=None, identity=None):
        context = ssl.create_default_context(cafile=str(self.authority.pem))
        if least:
            context.minimum_version = least
        if most:
            context.maximum_version = most
        if alpn:
            context.set_alpn_protocols(alpn)
        if identity:
            context.load_cert_chain(str(identity.certificate), str(identity.key))
        return context

    def secure_balancer(self, handler=echo_head, listener=None, pool=None, tls=None, head=""):
        """A balancer with TLS before one plain server."""
        self.server = Listener(self, handler)
        listener = {"tls": {**self.play.files(), **(tls or {})}, **(listener or {})}
        return self.http_balancer(servers(self.server.address), listener=listener, pool=pool, head=head)

    def secure_server(self, identity, client_ca=None, handler=echo_head):
        """A server of whom each connection begins with TLS; `handled` has what its clients show."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(identity.certificate), str(identity.key))
        if client_ca:
            context.load_verify_locations(str(client_ca))
            context.verify_mode = ssl.CERT_REQUIRED
        handled = []

        def serve(peer):
            peer.socket = context.wrap_socket(peer.socket, server_side=True)
            handled.append(peer.socket.getpeercert())
            handler(peer)

        server = Listener(self, serve)
        self.handled = handled
        return server

    def shown(self, address, name):
        """The serial number of the certificate that who asks for this name is shown."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with TlsConnection(address, context, name) as connection:
            der = connection.socket.getpeercert(binary_form=True)
        from cryptography import x509

        return x509.load_der_x509_certificate(der).serial_number


class Listeners(TlsTest):
    def test_https_with_both_versions_keep_alive_and_alpn(self):
        balancer = self.secure_balancer()
        for version, word in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            context = self.client(least=version, most=version, alpn=["h2", "http/1.1"])
            with TlsConnection(balancer.address(), context) as client:
                self.assertEqual(client.socket.version(), word)
                self.assertEqual(client.socket.selected_alpn_protocol(), "http/1.1")
                for target in ("/a", "/b"):
                    seen = client.ask(target=target, fields=[("X-Forwarded-Proto", "http")]).body.decode()
                    self.assertIn("\nX-Forwarded-Proto: https\n", "\n" + seen)
        with self.assertRaises(ssl.SSLError):
            TlsConnection(balancer.address(), self.client(alpn=["h2"]))
        body = os.urandom(1_500_000)
        with TlsConnection(balancer.address(), self.context) as client:
            self.assertEqual(client.ask("POST", "/", body=body).status, 200)
        with TlsConnection(balancer.address(), self.context, name="127.0.0.1") as client:
            self.assertEqual(client.ask().status, 200)

    def test_wss_is_a_tunnel_in_both_directions(self):
        gateway = self.gateway("g1")
        balancer = self.http_balancer(
            servers(gateway.address("websocket")),
            listener={"tls": self.play.files()},
            pool={"affinity": [{"kind": "cookie-insert", "secure": True}]},
        )
        with TlsWebSocket(balancer.address(), self.context) as player:
            self.assertEqual(player.greeting()["server"], "g1")
            self.assertIn("; Secure", player.handshake.get("set-cookie"))
            for size in (0, 1, 125, 16_384, 100_000):
                self.assertTrue(player.echoes("x" * size))

    def test_mode_tcp(self):
        balancer = self.secure_balancer(echo_bytes, listener={"mode": "tcp"})
        payload = os.urandom(700_000)
        with TlsConnection(balancer.address(), self.context) as client:
            for at in range(0, len(payload), 50_000):  # one SSL object does not read and write at the same time
                client.socket.sendall(payload[at : at + 50_000])
                self.assertEqual(client.exactly(len(payload[at : at + 50_000])), payload[at : at + 50_000])
            client.socket.unwrap()  # close_notify, and the server's in answer
        # Who does not shake hands is nobody's client: no server hears of them.
        before = len(self.server.peers)
        with Connection(balancer.address()) as plain:
            plain.send(b"hello, this is no TLS\r\n")
            plain.rest()
        self.assertEqual(len(self.server.peers), before)
        self.assertTrue(poll(lambda: balancer.said("no TLS: .*what it sends is not TLS"), "it is said why"))

    def test_handshakes_in_time(self):
        balancer = self.secure_balancer(tls={"handshake_timeout": "200ms"})
        with Connection(balancer.address()) as silent, Connection(balancer.address()) as half:
            half.send(b"\x16\x03\x01")
            self.assertEqual(half.rest(), b"")
            self.assertEqual(silent.rest(), b"")
        with TlsConnection(balancer.address(), self.context) as client:
            self.assertEqual(client.ask().status, 200)

    def test_a_plain_request_is_told_nothing_and_harms_nobody(self):
        balancer = self.secure_balancer()
        with Connection(balancer.address()) as plain:
            plain.send(request())
            self.assertEqual(plain.rest(), b"")
        poll(lambda: balancer.said("it sends plain HTTP"), "it is said why")

    def test_names_choose_certificates(self):
        arena = self.authority.issue("arena", ["arena.example"])
        wild = self.authority.issue("wild", ["*.play.example"])
        both = [arena.files(), wild.files()]
        balancer = self.secure_balancer(tls={"certificates": both})
        cases = {
            "play.example": self.play,
            "ARENA.example": arena,
            "eu.play.example": wild,
            "a.b.play.example": self.play,
            "other.example": self.play,
            None: self.play,
        }
        for name, wanted in cases.items():
            self.assertEqual(self.shown(balancer.address(), name), wanted.serial, name)
        strict = self.secure_balancer(tls={"certificates": both, "strict_sni": True})
        self.assertEqual(self.shown(strict.address(), "eu.play.example"), wild.serial)
        for name in ("other.example", None):
            with self.assertRaises(ssl.SSLError):
                self.shown(strict.address(), name)

    def test_two_keys_for_one_name(self):
        old = self.authority.issue("old", ["play.example"], kind="rsa")
        balancer = self.secure_balancer(tls={"certificates": [old.files()]})
        for extra, wanted in (("-sigalgs ECDSA+SHA256", "ECDSA"), ("-sigalgs RSA-PSS+SHA256", "RSA-PSS")):
            said = self.s_client(balancer, *extra.split())
            self.assertIn(f"Peer signature type: {wanted}", said)

    def s_client(self, balancer, *options, said=b""):
        host, port = balancer.address()
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", "play.example", "-CAfile",
             str(self.authority.pem), "-verify_return_error", *options],
            input=said, capture_output=True, timeout=DEADLINE_S)  # fmt: skip
        return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")

    def test_old_versions_and_weak_ciphers_are_refused(self):
        balancer = self.secure_balancer()
        strict = self.secure_balancer(tls={"min_version": "1.3"})
        for program, options in (
            (balancer, ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]),
            (balancer, ["-tls1_2", "-cipher", "AES128-GCM-SHA256"]),  # no forward secrecy
            (balancer, ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"]),  # no AEAD
            (strict, ["-tls1_2"]),
        ):
            self.assertRegex(self.s_client(program, *options), "alert|no protocols available", options)
        self.assertIn("Cipher is TLS_AES_128_GCM_SHA256", self.s_client(strict))
        self.assertRegex(self.s_client(balancer, "-tls1_2"), "Cipher is ECDHE-ECDSA-")

    @unittest.skipUnless(shutil.which("curl"), "there is no curl")
    def test_curl(self):
        balancer = self.secure_balancer()
        host, port = balancer.address()
        done = subprocess.run(
            ["curl", "-sS", "--cacert", str(self.authority.pem), "--resolve", f"play.example:{port}:{host}",
             f"https://play.example:{port}/one", f"https://play.example:{port}/two"],
            capture_output=True, text=True, timeout=DEADLINE_S)  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.count("X-Forwarded-Proto: https"), 2)


class ClientCertificates(TlsTest):
    def setUp(self):
        super().setUp()
        self.guild = Authority(self.folder, "guild")
        self.ann = self.guild.issue("ann", [], common_name="ann", client=True)
        self.asks = {"client_ca": str(self.guild.pem)}
        self.forged = [
            ("X-Client-Cert-Subject", "CN=root"),
            ("x-client-cert-sha256", "00"),
            ("X_Client_Cert_Subject", "CN=root"),
            ("X-Client-Certificate", "kept? no: begins alike"),
        ]

    def seen(self, balancer, identity, fields):
        with TlsConnection(balancer.address(), self.client(identity=identity)) as client:
            body = client.ask(fields=fields).body.decode()
        return dict(line.split(": ", 1) for line in body.splitlines() if line.lower().startswith(("x-client", "x_client")))

    def test_required(self):
        balancer = self.secure_balancer(tls={"client_certificate": "required", **self.asks})
        seen = self.seen(balancer, self.ann, self.forged)
        self.assertEqual(seen["X-Client-Cert-Subject"], "CN=ann")
        self.assertEqual(seen["X-Client-Cert-Issuer"], "CN=guild")
        from cryptography.hazmat.primitives import hashes

        self.assertEqual(seen["X-Client-Cert-Sha256"], self.ann.x509.fingerprint(hashes.SHA256()).hex())
        self.assertEqual(int(seen["X-Client-Cert-Serial"], 16), self.ann.serial)
        self.assertEqual(len(seen), 4, seen)
        stranger = self.authority.issue("stranger", [], common_name="stranger", client=True)
        expired = self.guild.issue("expired", [], common_name="expired", client=True, since=-10, days=-1)
        as_server = self.guild.issue("as-server", [], common_name="server")
        for identity in (None, stranger, expired, as_server):
            with self.assertRaises((ssl.SSLError, ConnectionError, AssertionError)):
                self.seen(balancer, identity, [])
        poll(lambda: balancer.said("its certificate is refused: certificate has expired"), "why is said")

    def test_optional(self):
        balancer = self.secure_balancer(tls={"client_certificate": "optional", **self.asks})
        self.assertEqual(self.seen(balancer, self.ann, self.forged)["X-Client-Cert-Subject"], "CN=ann")
        self.assertEqual(self.seen(balancer, None, self.forged), {})

    def test_a_plain_listener_of_the_same_pool_cannot_be_used_to_forge(self):
        server = Listener(self, echo_head)
        tls = {**self.play.files(), "client_certificate": "required", **self.asks}
        balancer = self.balancer(
            f'[[listener]]\nname = "secure"\nlisten = "127.0.0.1:0"\ntls = {toml(tls)}\n'
            '[[listener]]\nname = "plain"\nlisten = "127.0.0.1:0"\n'
            f'[[pool]]\nname = "p"\nserver = {toml(servers(server.address))}\n'
        )
        seen = ask(balancer.address("plain"), fields=self.forged).body.decode()
        self.assertNotIn("client", seen.lower())

    def test_where_none_is_asked_for_the_fields_are_the_applications(self):
        balancer = self.secure_balancer()
        self.assertIn("X-Client-Cert-Subject", self.seen(balancer, None, self.forged))


class Servers(TlsTest):
    """TLS from the balancer to servers."""

    def before(self, server, tls, server_keys=None, **pool):
        entry = {**servers(server.address)[0], **(server_keys or {})}
        return self.http_balancer([entry], pool={"tls": tls, **pool})

    def test_verified_by_name_and_by_address(self):
        ours = {"ca": str(self.authority.pem)}
        by_name = self.authority.issue("by-name", ["g1.internal"])
        by_address = self.authority.issue("by-address", ["127.0.0.1"])
        for identity, tls, entry in (
            (by_name, {**ours, "name": "g1.internal"}, {}),
            (by_name, ours, {"tls_name": "g1.internal"}),
            (by_name, {**ours, "name": "other.internal"}, {"tls_name": "g1.internal"}),
            (by_address, ours, {}),
            (by_name, {"verify": False}, {}),
        ):
            balancer = self.before(self.secure_server(identity), tls, entry)
            with Connection(balancer.address()) as client:
                for _ in range(3):
                    self.assertEqual(client.ask().status, 200, tls)
            self.assertEqual(len(self.handled), 1, "one connection serves all requests")

    def test_what_cannot_be_verified_is_not_spoken_to_and_it_is_said_why(self):
        ours = {"ca": str(self.authority.pem)}
        foreign = Authority(self.folder, "foreign").issue("foreign-server", ["127.0.0.1"])
        other = self.authority.issue("other", ["other.internal"])
        expired = self.authority.issue("expired", ["127.0.0.1"], since=-10, days=-1)
        for identity, why in (
            (foreign, "unable to get local issuer certificate"),
            (other, r"IP address mismatch \(it is for other.internal\)"),
            (expired, "certificate has expired"),
        ):
            balancer = self.before(self.secure_server(identity), ours)
            response = ask(balancer.address())
            self.assertEqual(response.status, 503)
            line = balancer.wait_for(f"server pool/a cannot be spoken to: .*{why}")
            self.assertIn("warn", line.lower())
            self.assertNotIn("internal", response.body.decode(), "a client is not told what is behind us")
        plain = Listener(self, lambda peer: peer.send(b"SSH-2.0-none\r\n") or peer.rest())
        balancer = self.before(plain, ours)
        self.assertEqual(ask(balancer.address()).status, 503)
        balancer.wait_for("cannot be spoken to: .*what it sends is not TLS")

    def test_we_show_a_certificate_where_one_is_asked_for(self):
        us = self.authority.issue("us", [], common_name="balancer", client=True)
        server = self.secure_server(self.authority.issue("server", ["127.0.0.1"]), client_ca=self.authority.pem)
        balancer = self.before(server, {"ca": str(self.authority.pem), **us.files()})
        self.assertEqual(ask(balancer.address()).status, 200)
        self.assertEqual(self.handled[0]["subject"], ((("commonName", "balancer"),),))

    def test_probes_speak_tls_too(self):
        good = self.authority.issue("good", ["127.0.0.1"])
        expired = self.authority.issue("expired", ["127.0.0.1"], since=-10, days=-1)
        for kind in ({"kind": "tls"}, {"kind": "http", "path": "/healthz"}):
            health = {**kind, "every": "50ms", "fall": 1, "rise": 1}
            ours = {"ca": str(self.authority.pem)}
            server = self.secure_server(good)
            balancer = self.before(server, ours, health=health)
            poll(lambda: len(server.peers) >= 3, "it is probed again and again")
            self.assertFalse(balancer.said("is down"))
            self.assertEqual(ask(balancer.address()).status, 200)
            balancer = self.before(self.secure_server(expired), ours, health=health)
            balancer.wait_for("server pool/a is down: .*certificate has expired")

    def test_a_handshake_alone_is_asked_for_where_clients_have_it_with_the_server(self):
        server = self.secure_server(self.authority.issue("any", ["any.example"]))
        plain = Listener(self, lambda peer: peer.send(b"SSH-2.0-none\r\n") or peer.rest())
        balancer = self.http_balancer(
            servers(server.address, plain.address),
            listener={"mode": "tcp"},
            pool={"health": {"kind": "tls", "every": "1s", "fall": 1}},
        )
        balancer.wait_for("server pool/b is down: .*what it sends is not TLS")
        self.assertFalse(balancer.said("pool/a is down"))
        context = self.client()
        with TlsConnection(balancer.address(), context, name="any.example") as client:
            self.assertEqual(client.ask().status, 200)

    def test_tls_on_both_sides_carries_a_websocket(self):
        gateway_identity = self.authority.issue("gateway", ["127.0.0.1"])
        config = "[gateway]\n" + keys(
            name="g1", listener=[{"listen": "127.0.0.1:0", "kind": "websocket", "tls": gateway_identity.files()}]
        )
        gateway = self.start("gateway", "-c", self.file(config)).wait_ready()
        balancer = self.http_balancer(
            servers(gateway.address()),
            listener={"tls": self.play.files()},
            pool={"tls": {"ca": str(self.authority.pem)}},
        )
        with TlsWebSocket(balancer.address(), self.context) as player:
            self.assertEqual(player.greeting()["server"], "g1")
            self.assertTrue(player.echoes("x" * 100_000))


class Gateways(TlsTest):
    """Listeners of a gateway with TLS, and `rejoin connect` on the other side."""

    def secure_gateway(self, workers=1, **more):
        tls = self.play.files()
        listeners = [
            {"listen": "127.0.0.1:0", "kind": "websocket", "tls": tls},
            {"listen": "127.0.0.1:0", "kind": "tcp", "tls": tls},
        ]
        head = '[log]\nlevel = "debug"\n[gateway]\n'
        config = head + keys(name="g1", workers=workers, listener=listeners, **more)
        config += '[admin]\nlisten = "127.0.0.1:0"\n'
        return self.start("gateway", "-c", self.file(config)).wait_ready()

    def urls(self, gateway, host="127.0.0.1"):
        return [f"wss://{host}:{gateway.address('websocket')[1]}/play", f"tls://{host}:{gateway.address('tcp')[1]}"]

    def test_a_browsers_client(self):
        gateway = self.secure_gateway(cookie="SESSION")
        with TlsWebSocket(gateway.address("websocket"), self.context) as player:
            self.assertEqual(player.greeting()["server"], "g1")
            self.assertTrue(player.echoes("x" * 50_000))
            self.assertRegex(player.handshake.get("set-cookie"), "^SESSION=g1-.*; Secure")
        with TlsConnection(gateway.address("websocket"), self.context) as probe:
            self.assertEqual(probe.ask(target="/healthz").status, 200)

    def test_connect_with_a_session_and_without(self):
        gateway = self.secure_gateway(workers=2)
        ca = ("--ca", str(self.authority.pem))
        for number, url in enumerate(self.urls(gateway)):
            account = self.connect(url, *ca, "--message", "hello", "--receive", "2")[0]
            self.assertEqual(account["messages"][-1], "hello", url)
            # The session outlives each of these connections, and moves between the workers that get them.
            kept = self.folder / f"session-{number}"
            first = self.connect(url, *ca, "--resume", kept, "--message", "one")[0]
            self.assertFalse(first.get("error"), first)
            before = self.handed_over(gateway)
            for _ in range(60):
                again = self.connect(url, *ca, "--resume", kept, "--message", "again", "--receive", "1")[0]
                self.assertEqual([link["kind"] for link in again["links"]], ["resumed"], again)
                self.assertEqual(again["messages"], ["again"])
                if self.handed_over(gateway) > before:
                    break
            else:
                self.fail("no connection went from one worker to the other")

    def handed_over(self, gateway):
        body = ask(gateway.address("admin"), target="/metrics", host="localhost").body.decode()
        return int(re.search(r"^rejoin_\w*links_handed_over_total (\d+)$", body, re.M)[1])

    def test_connect_verifies(self):
        gateway = self.secure_gateway()
        url = self.urls(gateway)[0]
        other = Authority(self.folder, "other authority")
        for options, why in (
            (("--ca", str(other.pem)), "unable to get local issuer certificate"),
            ((), "unable to get local issuer certificate"),
        ):
            account = self.connect(url, *options, "--message", "hello", status=1)[0]
            self.assertIn(why, account["error"])
        done = run(["connect", url, "--ca", str(self.folder / "nowhere.pem")])
        self.assertEqual(done.returncode, 2)
        self.assertIn("nowhere.pem", done.stderr)

    def test_what_is_in_the_clear_is_said(self):
        config = "[gateway]\n" + keys(
            name="g1",
            listener=[
                {"name": "open", "listen": "0.0.0.0:0"},
                {"name": "near", "listen": "127.0.0.1:0"},
                {"name": "safe", "listen": "0.0.0.0:0", "tls": self.play.files()},
            ],
            peer=[
                {"name": "open", "websocket": "192.0.2.1:8000"},
                {"name": "near", "tcp": "127.0.0.2:8000"},
                {"name": "safe", "websocket": "192.0.2.2:8000", "tls": {"name": "safe.internal"}},
                {"name": "g1", "websocket": "192.0.2.3:8000"},
            ],
        )
        gateway = self.start("gateway", "-c", self.file(config)).wait_ready()
        self.assertRegex(gateway.said("listener open has no TLS")[0], "warning")
        self.assertRegex(gateway.said("listener near has no TLS")[0], "info")
        self.assertFalse(gateway.said("listener safe has no TLS"))
        self.assertEqual(len(gateway.said("warning .*peer open is dialled without TLS")), 1)
        self.assertEqual(len(gateway.said("is dialled without TLS")), 1)

    def test_who_does_not_shake_hands_has_no_session(self):
        gateway = self.secure_gateway()
        for kind in ("websocket", "tcp"):
            with Connection(gateway.address(kind)) as plain:
                plain.send(b"GET / HTTP/1.1\r\n\r\n")
                plain.rest()
        poll(lambda: len(gateway.said("no TLS: .*plain HTTP")) == 2, "why is said")

    def test_certificates_are_renewed(self):
        gateway = self.secure_gateway(workers=2)
        with TlsWebSocket(gateway.address("websocket"), self.context) as player:
            player.greeting()
            renewed = self.authority.issue("play", ["play.example", "127.0.0.1"])
            gateway.signal(signal.SIGHUP)
            gateway.wait_for("certificates were read again, for 2 listeners")
            for kind in ("websocket", "tcp"):
                self.assertEqual(self.shown(gateway.address(kind), "play.example"), renewed.serial)
            self.assertTrue(player.echoes("still here"))

    def test_game_servers_with_tls(self):
        def game(peer):
            """Length-framed echo."""
            while True:
                try:
                    size = int.from_bytes(peer.exactly(4), "big")
                except AssertionError:
                    return
                peer.send(size.to_bytes(4, "big") + peer.exactly(size))

        identity = self.authority.issue("game", ["arena.internal"])
        server = self.secure_server(identity, handler=game)
        address = "{}:{}".format(*server.address)
        good = {"ca": str(self.authority.pem), "name": "arena.internal"}
        gateway = self.secure_gateway(upstream={"kind": "tcp", "address": address, "tls": good})
        with TlsWebSocket(gateway.address("websocket"), self.context) as player:
            self.assertTrue(player.echoes("over TLS on both sides"))
        bad = {"ca": str(self.authority.pem), "name": "other.internal"}
        gateway = self.secure_gateway(upstream={"kind": "tcp", "address": address, "tls": bad})
        with TlsWebSocket(gateway.address("websocket"), self.context) as player:
            player.hear()
        gateway.wait_for(r"game server .* cannot be spoken to: .*hostname mismatch \(it is for arena.internal\)")


class Reload(TlsTest):
    def test_a_thousand_players_stay_and_new_ones_get_the_new_certificate(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        gateway = self.gateway("g1")
        balancer = self.http_balancer(
            servers(gateway.address("websocket")),
            listener={"tls": self.play.files()},
            pool={"affinity": [{"kind": "cookie-insert", "secure": True}]},
            head="[balancer]\nworkers = 2\n",
        )
        players = [TlsWebSocket(balancer.address(), self.context) for _ in range(OPEN_OVER_RELOAD)]
        for player in players:
            player.greeting()
        old = self.play.serial
        self.assertEqual(self.shown(balancer.address(), "play.example"), old)
        for generation in range(2):
            renewed = self.authority.issue("play", ["play.example", "127.0.0.1"])
            balancer.signal(signal.SIGHUP)
            poll(lambda: len(balancer.said("certificates were read again, for 1 listener")) > generation, "it is said")
            self.assertEqual(self.shown(balancer.address(), "play.example"), renewed.serial)
            for number, player in enumerate(players):
                player.say(f"{generation} {number}")
            for number, player in enumerate(players):
                self.assertEqual(player.hear(), (1, f"{generation} {number}".encode()))
        for player in players:
            player.close()

    def test_a_bad_file_changes_nothing_and_is_named(self):
        balancer = self.secure_balancer()
        old = self.play.serial
        good_key = self.play.key.read_bytes()
        other = self.authority.issue("other", ["play.example"])
        told = 0
        for spoil, why in (
            (lambda: self.play.certificate.unlink(), r"play.pem cannot be read: No such file"),
            (lambda: self.play.certificate.write_text("nonsense"), r"play.pem and .*play.key: certificate chain: there is no"),
            (lambda: shutil.copy(other.certificate, self.play.certificate), r"key: it does not belong to the certificate"),
            (lambda: self.play.key.write_text("nonsense"), r"key: no key without a pass phrase"),
        ):
            spoil()
            balancer.signal(signal.SIGHUP)
            told += 1
            poll(lambda: len(balancer.said("reload: nothing has changed")) == told, "it is said")
            self.assertTrue(balancer.said(why), why)
            self.assertEqual(self.shown(balancer.address(), "play.example"), old)
        self.assertNotIn("PRIVATE", balancer.log())
        shutil.copy(other.key, self.play.key)
        balancer.signal(signal.SIGHUP)
        balancer.wait_for("certificates were read again")
        self.assertEqual(self.shown(balancer.address(), "play.example"), other.serial)
        self.assertNotEqual(good_key, self.play.key.read_bytes())

    def test_a_program_does_not_start_with_bad_files_and_check_says_the_same(self):
        expired = self.authority.issue("expired", ["play.example"], since=-10, days=-1)
        soon = self.authority.issue("soon", ["play.example"], days=3)
        other = self.authority.issue("other", ["play.example"])
        nameless = self.authority.issue("nameless", [])
        missing = {"certificate": "nowhere.pem", "key": "nowhere.key"}
        mixed = {"certificate": str(self.play.certificate), "key": str(other.key)}
        server = servers(("127.0.0.1", 1))
        for tls, status, why in (
            (missing, 2, r"listener\.tls\.certificate: .*/nowhere\.pem cannot be read: No such file"),
            (mixed, 2, r"listener play: .*play\.pem and .*other\.key: key: it does not belong to the certificate"),
            (expired.files(), 0, r"expired\.pem has expired on 20\d\d-"),
            (soon.files(), 0, r"soon\.pem expires on 20\d\d-"),
            (nameless.files(), 0, r"nameless\.pem is for no name"),
        ):
            text = "[[listener]]\n" + keys(name="play", listen="127.0.0.1:0", tls=tls) + "[[pool]]\n" + keys(name="p", server=server)
            path = self.file(text)
            checked = run(["check", "-c", str(path)])
            self.assertEqual(checked.returncode, status, checked.stderr)
            self.assertRegex(checked.stderr, why)
            self.assertRegex(checked.stderr, r"\.toml:4:7: ")
            if status == 0:
                continue
            started = run(["balancer", "-c", str(path)])
            self.assertEqual(started.returncode, 2)
            self.assertRegex(started.stderr, why)


if __name__ == "__main__":
    unittest.main(verbosity=2)
