"""socket/access-log: what real programs write down of connections that were turned away, of TLS, and of a gateway's links and sessions."""

import json
import os
import re
import signal
import socket
import ssl
import struct
import unittest

import scrape
from certificates import Authority
from gateway_admin_test import ADMIN, Player
from openapi import DOCS
from programs import Connection, ProgramsTest, WebSocket, ask, keys, poll, request, servers
from servers import Listener

FLOOD = 400
LINES_A_SECOND = 100  # watch::kRefusedLinesPerSecondMax


def answer_all(peer):
    while (heard := peer.request()) is not None:
        peer.body_of(heard)
        peer.answer(200, [], b"hello")


class LogTest(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.log = self.folder / "access.log"
        self.authority = Authority(self.folder)
        self.identity = self.authority.issue("play", ["play.example"])
        self.context = ssl.create_default_context(cafile=str(self.authority.pem))

    def head(self, form="json"):
        return "[access_log]\n" + keys(format=form, path=str(self.log))

    def lines(self, path=None):
        path = path or self.log
        return path.read_text().splitlines() if path.exists() else []

    def records(self, **having):
        """Those with these values. A line that is being written is none yet."""
        out = []
        for line in self.lines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if all(record[name] == value for name, value in having.items()):
                out.append(record)
        return out

    def record(self, **having):
        """The one that there is in the end."""
        found = poll(lambda: self.records(**having), f"a line with {having}")
        self.assertEqual(len(found), 1, found)
        return found[0]

    def tls_client(self, address, name="play.example"):
        client = Connection(address)
        client.socket = self.context.wrap_socket(client.socket, server_hostname=name)
        return client


class OfBalancer(LogTest):
    def begin(self, **listener):
        self.web = Listener(self, answer_all)
        return self.http_balancer(servers(self.web.address), listener=listener, head=self.head())

    def test_requests_over_tls_have_version_and_name(self):
        ours = self.begin(tls=self.identity.files())
        with self.tls_client(ours.address()) as client:
            client.ask()
        record = self.record(kind="request")
        self.assertEqual((record["tls_version"], record["sni"], record["peer"]), ("TLSv1.3", "play.example", None))

    def test_tunnels_over_tls_have_version_name_and_peer(self):
        play = self.gateway("g1")
        config = self.head() + "[[listener]]\n" + keys(name="play", pool="pool", listen="127.0.0.1:0", tls=self.identity.files(),
                                                       proxy_protocol="require", trusted=["127.0.0.1"])
        config += "[[listener]]\n" + keys(name="raw", pool="pool", listen="127.0.0.1:0", tls=self.identity.files(), mode="tcp")
        config += "[[pool]]\n" + keys(name="pool", server=servers(play.address("websocket")))
        ours = self.balancer(config)
        for name in ("play", "raw"):
            player = WebSocket.__new__(WebSocket)
            Connection.__init__(player, ours.address(name))
            if name == "play":
                player.send(b"PROXY TCP4 203.0.113.7 198.51.100.1 41000 443\r\n")
            player.socket = self.context.wrap_socket(player.socket, server_hostname="play.example")
            self.assertEqual(player.ask("GET", "/play", WebSocket.upgrade_fields()).status, 101)
            player.close()
        for record, client in ((self.record(kind="tunnel"), "203.0.113.7:41000"), (self.record(kind="connection"), None)):
            self.assertEqual((record["tls_version"], record["sni"]), ("TLSv1.3", "play.example"))
            if client:
                self.assertEqual(record["client"], client)
                self.assertTrue(record["peer"].startswith("127.0.0.1:"))
            else:
                self.assertIsNone(record["peer"])

    def test_tls_handshakes_that_fail(self):
        for mode in ("http", "tcp"):
            self.log.unlink(missing_ok=True)
            ours = self.begin(tls={**self.identity.files(), "handshake_timeout": "1s"}, mode=mode)
            with Connection(ours.address()) as plain:
                plain.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                plain.rest()
            record = self.record(reason="no_tls")
            self.assertEqual((record["kind"], record["end"], record["end_by"], record["end_in"]), ("refused", "bad_input", "client", "tls"))
            self.assertEqual(record["listener"], "play")
            self.assertTrue(record["detail"])
            with Connection(ours.address()) as silent:
                silent.rest()
            record = self.record(reason="late")
            self.assertEqual((record["end"], record["end_by"], record["end_in"]), ("timeout", "client", "tls"))
            # One that does not like our certificate says so by an alert.
            with Connection(ours.address()) as distrusts, self.assertRaises(ssl.SSLError):
                ssl.create_default_context().wrap_socket(distrusts.socket, server_hostname="play.example")
            poll(lambda: len(self.records(reason="no_tls")) == 2, "the alert is told of")

    def test_a_flood_does_not_become_one_of_lines_and_the_count_is_right(self):
        ours = self.begin(deny=["127.0.0.66"])
        for _ in range(FLOOD):
            with Connection(ours.address(), bind="127.0.0.66") as one:
                one.send(request())  # who says nothing is not accepted before some seconds
                one.rest()
        def told():
            refused = self.records(kind="refused")
            return len([one for one in refused if one["client"]]) + sum(one["left_out"] or 0 for one in refused)
        poll(lambda: told() == FLOOD, f"{FLOOD} connections are told of")
        self.assertEqual(ask(ours.address()).status, 200)
        begun = [one for one in self.records(kind="refused") if one["client"]]
        seconds = len([one for one in self.records(kind="refused") if one["left_out"]]) + 1
        self.assertLessEqual(len(begun), LINES_A_SECOND * (seconds + 1))


class OfGateway(LogTest):
    def setUp(self):
        super().setUp()
        self.env = {**os.environ, "REJOIN_TEST_KEY": os.urandom(32).hex()}

    def begin(self, form="json", listener=None, **more):
        config = self.head(form) + '[log]\nlevel = "debug"\n' + ADMIN + '[keys]\nseal = ["env:REJOIN_TEST_KEY"]\n[gateway]\n' + keys(
            name="g1", **{"listener": [{"listen": "127.0.0.1:0", **(listener or {})}, {"listen": "127.0.0.1:0", "kind": "tcp", "protocol": "plain"}], **more}
        )
        self.play = self.start("gateway", "-c", self.file(config), env=self.env).wait_ready()
        return self.play

    def test_links_and_sessions_and_the_document(self):
        self.begin(workers=2)
        address = self.play.address("websocket")
        players = [Player(address) for _ in range(6)]
        players[0].break_off()
        poll(lambda: self.records(kind="link"), "the link's line")
        back = Player(address, came_from=players[0])
        metrics = ask(self.play.address("admin"), "GET", "/metrics", host="127.0.0.1").body.decode()
        self.assertEqual(scrape.read(metrics)["rejoin_gateway_access_records_total"].value(), len(self.records()))
        with Connection(self.play.address("tcp")) as plain:
            plain.send(struct.pack(">I", 5) + b"hello")
            plain.until(b"hello")
        poll(lambda: self.records(kind="session"), "the plain client's session")
        self.assertEqual(ask(address, "GET", "/", [("Upgrade", "websocket")]).status, 426)
        self.assertEqual(ask(address, "GET", "/healthz").status, 200)
        self.assertEqual(self.play.stop(), 0)

        document = (DOCS / "access-log.md").read_text().split("## The gateway")[1]
        fields, of_link, of_session = document.split("| `end` of a ")
        fields = re.findall(r"(?m)^\| `(\w+)` \|", fields)
        for record in self.records():
            self.assertEqual(list(record), fields)
        # The words of the document are those of the source.
        source = (DOCS.parent / "apps" / "gateway" / "ending.cc").read_text()
        for table, kind in ((of_link, "LinkEnd"), (of_session, "EndCause")):
            words = set(re.findall(r"(?m)^\| `(\w+)` \|", table))
            self.assertEqual(words, set(re.findall(rf'case {kind}::\w+: return "(\w+)";', source)) - {"moved"})

        self.assertEqual(len(self.records(kind="session")), 7)
        self.assertEqual(len(self.records(kind="link")), 8)
        first = self.records(kind="link", opened="new", protocol="rejoin", end="abandoned")[0]
        again = self.records(kind="link", opened="resumed")
        self.assertEqual([(one["session"], one["epoch"]) for one in again], [(first["session"], 2)])
        whole = self.record(kind="session", session=first["session"])
        self.assertEqual((whole["links"], whole["resumes"], whole["end"], whole["end_by"]), (2, 1, "stopped", "ours"))
        plain = self.records(kind="link", transport="tcp")[0]
        self.assertEqual((plain["protocol"], plain["messages_in"], plain["messages_out"]), ("plain", 1, 2))
        self.assertEqual((plain["end"], plain["end_by"], plain["end_in"]), ("finished", "client", "session"))
        self.assertEqual(self.record(kind="refused")["status"], 426)
        self.assertIsNone(back.refused)
        text = self.log.read_text()
        for player in players:
            self.assertNotIn(player.ticket.decode(), text)
            self.assertNotIn(player.secret.hex(), text)

    def test_it_is_opened_anew_at_sigusr1(self):
        self.begin()
        WebSocket(self.play.address("websocket")).close()
        poll(lambda: len(self.lines()) == 2, "a session's and its link's line")
        moved = self.folder / "access.log.1"
        self.log.rename(moved)
        self.play.signal(signal.SIGUSR1)
        poll(self.log.exists, "the file is made anew")
        WebSocket(self.play.address("websocket")).close()
        poll(lambda: len(self.lines()) == 2, "two lines more")
        self.assertEqual(len(self.lines(moved)), 2)

    def test_one_line_form(self):
        self.begin("line")
        WebSocket(self.play.address("websocket")).close()
        poll(lambda: len(self.lines()) == 2, "a session's and its link's line")
        session, link = self.lines()
        number, time = r"(\d+|-)", r"\d+\.\d{3}"
        self.assertRegex(link, rf'^20\S+Z link [0-9a-f]{{32}} websocket 127\.0\.0\.1:\d+ websocket/plain/new 1 - 0 1 - {number} {time} '
                               r'-/\S+ \w+/client/session ".*"$')
        self.assertRegex(session, rf'^20\S+Z session [0-9a-f]{{32}} - 127\.0\.0\.1:\d+ -/plain/- \d+ 1 0 1 - - {time} '
                                  r'-/4410/session_ended link_ended/client/- "its link ended"$')

    def test_a_pipe_that_nobody_reads_holds_nobody_up(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        config = '[access_log]\nformat = "json"\n' + ADMIN + "[gateway]\n" + keys(
            name="g1", listener=[{"listen": "127.0.0.1:0"}, {"listen": "127.0.0.1:0", "kind": "tcp", "protocol": "plain"}])
        play = self.start("gateway", "-c", self.file(config), stdout=writer).wait_ready()
        os.close(writer)
        # Not refusals, whose lines are bounded anyway.
        lost, links = 0, 0
        while not lost:
            for _ in range(500):
                with Connection(play.address("tcp")) as plain:
                    plain.send(struct.pack(">I", 2) + b"hi")
                    plain.until(b"hi")
                links += 1
            self.assertLess(links, 30_000, "4.3 MiB would have been enough")
            families = scrape.read(ask(play.address("admin"), "GET", "/metrics", host="127.0.0.1").body.decode())
            lost = families["rejoin_gateway_access_records_lost_total"].value()
        self.assertLess(play.memory_kib(), 200 * 1024)

    def test_tls_and_its_failures(self):
        self.begin(listener={"tls": {**self.identity.files(), "handshake_timeout": "1s"}})
        address = self.play.address("websocket")
        player = WebSocket.__new__(WebSocket)
        Connection.__init__(player, address)
        player.socket = self.context.wrap_socket(player.socket, server_hostname="play.example")
        self.assertEqual(player.ask("GET", "/play", WebSocket.upgrade_fields()).status, 101)
        player.close()
        record = self.record(kind="link")
        self.assertEqual((record["tls_version"], record["sni"]), ("TLSv1.3", "play.example"))
        with Connection(address) as plain:
            plain.send(request())
            plain.rest()
        record = self.record(kind="refused", reason="no_tls")
        self.assertEqual((record["end_by"], record["end_in"]), ("client", "tls"))
        with Connection(address) as silent:
            silent.rest()
        self.assertEqual(self.record(kind="refused", reason="late")["end_in"], "tls")

    def test_game_servers_that_end(self):
        ends = []
        def game(peer):
            while len(peer.arrived) < 6 and peer.more():
                pass
            ends.append(peer)
            if peer.arrived[4:6] == b"no":  # a RST
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.socket.close()

        server = Listener(self, game)
        self.begin(upstream={"kind": "tcp", "address": "%s:%d" % server.address})
        for word, code, end in ((b"ok", 4410, "game_over"), (b"no", 4411, "game_lost")):
            with Connection(self.play.address("tcp")) as plain:
                plain.send(struct.pack(">I", 2) + word)
                plain.rest()
            record = self.record(kind="session", end=end)
            self.assertEqual((record["end_by"], record["code"]), ("server", code))
            link = self.record(kind="link", session=record["session"])
            self.assertEqual((link["end"], link["end_by"], link["messages_in"]), ("dismissed", "server", 1))


if __name__ == "__main__":
    unittest.main()
