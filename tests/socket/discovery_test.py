"""socket/balancer/discovery: servers that are names in DNS come and go with their records."""

import signal
import unittest

from dns_server import A, AAAA, NXDOMAIN, SERVFAIL, SRV, DnsServer, address, srv
from programs import Connection, ProgramsTest, keys, poll
from servers import Listener


class Discovery(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.dns = DnsServer(self)

    def web(self, ip, port=0):
        """A server at `ip` that says so."""

        def serve(peer):
            while request := peer.request():
                peer.body_of(request)
                peer.answer(body=ip.encode())

        listener = Listener(self, serve, ip=ip) if not port else None
        if listener is None:
            listener = Listener.__new__(Listener)
            listener.handler, listener.name, listener.peers, listener.errors, listener.socket = serve, "", [], [], None
            listener.open((ip, port))
            self.addCleanup(listener.end)
        return listener

    def three(self):
        for last in range(20, -1, -1):
            port = self.web("127.0.1.1").address[1]
            try:
                self.web("127.0.1.2", port)
                self.web("127.0.1.3", port)
                return port
            except OSError:  # it is somebody else's there
                if last == 0:
                    raise
        return None

    def begin(self, server, pool=None, **dns):
        config = "[dns]\n" + keys(server=[self.dns.address], **{"ttl_min": "100ms", "retry": "200ms", "keep_empty": "0s", **dns})
        config += "[[listener]]\n" + keys(name="play", listen="127.0.0.1:0")
        config += "[[pool]]\n" + keys(name="pool", server=[server], **(pool or {}))
        return self.balancer(config)

    def served_by(self, balancer, count=12):
        with Connection(balancer.address()) as client:
            return {response.body.decode() if response.status == 200 else response.status for response in (client.ask() for _ in range(count))}

    def test_addresses_come_and_go_with_their_records(self):
        port = self.three()
        self.dns.zone["web.test", A] = (0, [address("127.0.1.1"), address("127.0.1.2")])
        balancer = self.begin({"name": "w", "resolve": "web.test", "port": port})
        self.assertEqual(self.served_by(balancer), {"127.0.1.1", "127.0.1.2"})

        self.dns.zone["web.test", A] = (0, [address("127.0.1.3"), address("127.0.1.2")])
        balancer.wait_for(r"changed: server pool/w-127.0.1.3: added, at 127.0.1.3:%d" % port)
        self.assertTrue(balancer.said(r"changed: server pool/w-127.0.1.1: removed"))
        self.assertEqual(self.served_by(balancer), {"127.0.1.2", "127.0.1.3"})

    def test_pins_hold_whatever_the_order(self):
        port = self.three()
        ips = ["127.0.1.1", "127.0.1.2", "127.0.1.3"]
        self.dns.zone["web.test", A] = (0, [address(ip) for ip in ips])
        balancer = self.begin({"name": "w", "resolve": "web.test", "port": port}, {"affinity": [{"kind": "cookie-insert"}]})
        with Connection(balancer.address()) as client:
            first = client.ask()
        cookie, home = first.get("set-cookie").split(";")[0], first.body
        self.dns.zone["web.test", A] = (0, [address(ip) for ip in ips[::-1]])
        before = self.dns.count("web.test")
        poll(lambda: self.dns.count("web.test") > before + 2, "the name is asked for again")
        others = [ip for ip in ips if ip.encode() != home]
        self.dns.zone["web.test", A] = (0, [address(home.decode()), address(others[0])])
        balancer.wait_for(f"w-{others[1]}: removed")
        for _ in range(6):
            with Connection(balancer.address()) as client:
                self.assertEqual(client.ask(fields=[("Cookie", cookie)]).body, home)

    def test_srv_tells_ports_hosts_and_weights(self):
        one, two = self.web("127.0.1.1"), self.web("127.0.1.2")
        self.dns.zone["_play._tcp.test", SRV] = (
            0,
            [srv(1, 3, one.address[1], "g1.test"), srv(1, 1, two.address[1], "g2.test"), srv(9, 1, 1, "last.test")],
        )
        self.dns.zone["g1.test", A] = (60, [address("127.0.1.1")])
        self.dns.zone["g2.test", A] = (60, [address("127.0.1.2")])
        balancer = self.begin({"name": "g", "resolve": "_play._tcp.test", "type": "srv"})
        with Connection(balancer.address()) as client:
            bodies = [client.ask().body for _ in range(8)]
        self.assertEqual((bodies.count(b"127.0.1.1"), bodies.count(b"127.0.1.2")), (6, 2))
        self.dns.zone["_play._tcp.test", SRV] = (0, [srv(1, 5, two.address[1], "g2.test")])
        balancer.wait_for(r"server pool/g-g1: removed")
        balancer.wait_for(r"server pool/g-g2: weight 5, was 1")

    def test_aaaa(self):
        try:
            six = self.web_v6()
        except OSError:
            self.skipTest("no IPv6 here")
        self.dns.zone["six.test", AAAA] = (1, [address("::1")])
        balancer = self.begin({"name": "s", "resolve": "six.test", "port": six, "type": "aaaa"})
        self.assertEqual(self.served_by(balancer), {"six"})

    def web_v6(self):
        import socket
        import threading

        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.addCleanup(listening.close)

        def accept():
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client:
                    while client.recv(4096):
                        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nsix")

        threading.Thread(target=accept, daemon=True).start()
        return listening.getsockname()[1]

    def test_an_answer_that_is_too_long_for_udp_comes_by_tcp(self):
        port = self.three()
        self.dns.truncate = True
        self.dns.zone["web.test", A] = (1, [address("127.0.1.1")] + [address(f"127.0.2.{i}") for i in range(1, 200)])
        balancer = self.begin({"name": "w", "resolve": "web.test", "port": port}, {"health": {"kind": "tcp", "every": "100ms"}})
        self.assertIn(("web.test", A, "tcp"), self.dns.asked)
        poll(lambda: self.served_by(balancer, 1) == {"127.0.1.1"}, "only the one that is there serves")

    def test_ttls_are_heeded_between_floor_and_ceiling(self):
        port = self.three()
        self.dns.zone["long.test", A] = (3600, [address("127.0.1.1")])
        balancer = self.begin({"name": "w", "resolve": "long.test", "port": port}, ttl_max="300ms")
        poll(lambda: self.dns.count("long.test") > 3, "the ceiling counts, not an hour")
        self.dns.zone["long.test", A] = (2, [address("127.0.1.2")])
        balancer.wait_for("w-127.0.1.2: added")

    def test_failures_keep_the_last_good_answer(self):
        port = self.three()
        self.dns.zone["web.test", A] = (0, [address("127.0.1.1")])
        balancer = self.begin({"name": "w", "resolve": "web.test", "port": port}, timeout="100ms", tries=1)
        self.dns.zone["web.test", A] = SERVFAIL
        balancer.wait_for("no answer, the last good one stays")
        self.assertEqual(self.served_by(balancer, 3), {"127.0.1.1"})
        self.dns.silent = True
        before = self.dns.count("web.test")
        poll(lambda: self.dns.count("web.test") > before + 2, "it is asked for again")
        self.assertEqual(self.served_by(balancer, 3), {"127.0.1.1"})
        self.dns.silent = False
        self.dns.zone["web.test", A] = (0, [address("127.0.1.2")])
        balancer.wait_for("w-127.0.1.2: added")

    def test_no_such_name_is_believed_after_a_while_only(self):
        port = self.three()
        self.dns.zone["web.test", A] = (0, [address("127.0.1.1")])
        balancer = self.begin({"name": "w", "resolve": "web.test", "port": port}, keep_empty="400ms")
        self.dns.zone.clear()
        balancer.wait_for("has no addresses; the last ones stay for a while")
        self.assertEqual(self.served_by(balancer, 1), {"127.0.1.1"})
        balancer.wait_for("w-127.0.1.1: removed")
        self.assertEqual(self.served_by(balancer, 1), {503})
        self.dns.zone["web.test", A] = (0, [address("127.0.1.2")])
        balancer.wait_for("w-127.0.1.2: added")
        self.assertEqual(self.served_by(balancer, 2), {"127.0.1.2"})

    def test_begins_without_dns_and_serves_when_it_answers(self):
        port = self.three()
        self.dns.silent = True
        balancer = self.begin({"name": "w", "resolve": "web.test", "port": port}, timeout="50ms", tries=1)
        self.assertTrue(balancer.said("no answer yet: name web.test"))
        self.assertEqual(self.served_by(balancer, 1), {503})
        self.dns.zone["web.test", A] = (60, [address("127.0.1.1")])
        self.dns.silent = False
        balancer.wait_for("w-127.0.1.1: added")
        self.assertEqual(self.served_by(balancer, 2), {"127.0.1.1"})

    def test_a_reload_asks_for_new_names_before_it_goes_over(self):
        port = self.three()
        self.dns.zone["web.test", A] = (60, [address("127.0.1.1")])
        self.dns.zone["more.test", A] = (60, [address("127.0.1.2")])
        balancer = self.begin({"name": "w", "resolve": "web.test", "port": port})
        path = self.folder / "1.toml"
        path.write_text(path.read_text().replace("web.test", "more.test"))
        balancer.signal(signal.SIGHUP)
        balancer.wait_for("reload: done")
        self.assertEqual(self.served_by(balancer), {"127.0.1.2"})
        self.assertEqual(balancer.said("error"), [])


if __name__ == "__main__":
    unittest.main()
