"""socket/http/rules: what a listener's configuration makes of requests: pools by host and path, redirects, answers of our own,
error pages, fields, what servers are told of the client, retries and time-outs.
"""

import re
import unittest

from programs import Connection, ProgramsTest, WebSocket, ask, keys, poll, request, run, servers
from servers import Listener, response_bytes


def teller(name):
    """Answers with its name and what it saw."""

    def handle(peer):
        while (heard := peer.request()) is not None:
            heard.body = peer.body_of(heard)
            if (heard.get("upgrade") or "").lower() == "websocket":
                peer.send(response_bytes(101, [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("X-Server", name)], reason="S"))
                peer.rest()
                return
            fields = [("X-Server", name), ("X-Line", f"{heard.method} {heard.target}"), ("Server", "secret/1.0")]
            peer.answer(200, fields + [("X-Saw-" + field, value) for field, value in heard.fields], heard.body)

    return handle


class RulesTest(ProgramsTest):
    def pools(self, names, **more):
        """A pool for each name, with a server of that name; their listeners in self.servers."""
        self.servers = {name: Listener(self, teller(name)) for name in names}
        text = ""
        for name, server in self.servers.items():
            text += "[[pool]]\n" + keys(name=name, server=servers(server.address), **more)
        return text

    def with_rules(self, rules, listener=None, names=("main", "api", "game"), **more):
        self.proxy = self.balancer(
            '[log]\nlevel = "debug"\n[[listener]]\n'
            + keys(name="play", listen="127.0.0.1:0", pool=names[0], rule=rules, **(listener or {}))
            + self.pools(names, **more)
        )
        return self.proxy.address()

    def reached(self, address, target="/", host="test", fields=()):
        response = ask(address, target=target, host=host, fields=fields)
        return response.get("x-server") or response.status


class Pools(RulesTest):
    def test_hosts_and_paths_choose_the_pool(self):
        rules = [
            {"path": "/api", "pool": "api"},
            {"path": "/api/ws/", "pool": "game"},
            {"host": "*.play.example", "pool": "game"},
            {"host": "www.play.example", "path": "/api", "pool": "api"},
        ]
        address = self.with_rules(rules)
        table = [
            ("test", "/", "main"),
            ("test", "/api", "api"),
            ("test", "/api/x?y", "api"),
            ("test", "/apix", "main"),
            ("test", "/api/ws/1", "game"),
            ("eu.play.example", "/", "game"),
            ("EU.Play.Example:8080", "/x", "game"),
            ("www.play.example", "/api", "api"),
            ("www.play.example", "/", "game"),
            ("play.example", "/", "main"),
            # a rule cannot be walked around by another spelling of the path
            ("test", "//api", "api"),
            ("test", "/./api", "api"),
            ("test", "/x/../api", "api"),
            ("test", "/%61pi", "api"),
            ("test", "/%2e/api", "api"),
            ("test", "/../api", 400),
            ("test", "/%zz", 400),
        ]
        with Connection(address) as client:  # the pool is a request's, not a connection's
            for host, target, pool in table:
                with self.subTest(host=host, target=target):
                    response = client.ask(target=target, host=host)
                    self.assertEqual(response.get("x-server") or response.status, pool)
                    if response.status == 200:
                        self.assertEqual(response.get("x-line"), "GET " + target, "it goes on as it came")

    def test_a_websocket_goes_where_its_rule_says(self):
        address = self.with_rules([{"path": "/ws", "pool": "game"}])
        with Connection(address) as client:
            self.assertEqual(client.ask().get("x-server"), "main")
            client.send(request(target="/ws", fields=WebSocket.upgrade_fields()))
            self.assertEqual(client.response().get("x-server"), "game")

    def test_prefixes_are_stripped(self):
        address = self.with_rules([{"path": "/api/", "strip_prefix": "/api", "pool": "api"}])
        for target, seen in (("/api/x?y=/api/", "/x?y=/api/"), ("/api/", "/"), ("/%61pi/x", "/x"), ("/api/../api/x", "/x")):
            self.assertEqual(ask(address, target=target).get("x-line"), "GET " + seen, target)

    def test_leases_of_each_pool_live_as_long_as_the_connection(self):
        """source-ip in two pools: one client connection holds a lease in each, and another connection of the client follows both."""
        affinity = [{"kind": "source-ip", "grace": "0s"}]
        listening = {name: [Listener(self, teller(f"{name}{i}")) for i in range(3)] for name in ("main", "api")}
        text = '[[listener]]\nlisten = "127.0.0.1:0"\npool = "main"\nrule = [ { path = "/api", pool = "api" } ]\n'
        for name, those in listening.items():
            text += "[[pool]]\n" + keys(name=name, affinity=affinity, server=servers(*(one.address for one in those)))
        address = self.balancer(text).address()
        with Connection(address, bind="127.0.0.9") as first:
            main, api = first.ask().get("x-server"), first.ask(target="/api").get("x-server")
            for _ in range(3):
                with Connection(address, bind="127.0.0.9") as other:
                    self.assertEqual(other.ask(target="/api").get("x-server"), api)
                    self.assertEqual(other.ask().get("x-server"), main)
                self.assertEqual(first.ask(target="/api").get("x-server"), api)
        seen = set()

        def moved_on():  # nothing holds it any more: round-robin has its turn
            seen.add(ask(address, target="/api", bind="127.0.0.9").get("x-server"))
            return len(seen) == 3

        poll(moved_on, "the leases of the closed connection are gone")


class OwnAnswers(RulesTest):
    def test_redirects(self):
        rules = [
            {"path": "/old", "redirect": {"to": "/new{path}", "status": 308}},
            {"path": "/away", "redirect": {"to": "https://{host}:8443{path}"}},
            {"host": "www.test", "redirect": {"to": "https://test{path}", "status": 301}},
        ]
        address = self.with_rules(rules, listener={"redirect": "https", "redirect_port": 9443})
        table = [
            ("GET", "test:80", "/old/x?y", 308, "/new/old/x?y"),
            ("GET", "test:80", "/away?a=b", 302, "https://test:8443/away?a=b"),
            ("GET", "www.test", "/x", 301, "https://test/x"),
            ("GET", "test:80", "/x?y", 301, "https://test:9443/x?y"),
            ("HEAD", "test", "/x", 301, "https://test:9443/x"),
            ("POST", "test", "/x", 308, "https://test:9443/x"),
            ("OPTIONS", "test", "*", 308, "https://test:9443/"),
            ("GET", "[::1]:80", "/x", 301, "https://[::1]:9443/x"),
        ]
        with Connection(address) as client:
            for method, host, target, status, location in table:
                response = client.ask(method, target, host=host)
                self.assertEqual((response.status, response.get("location")), (status, location), (method, host, target))
        with Connection(address) as client:
            client.send(b"GET /x HTTP/1.0\r\n\r\n")
            self.assertEqual(client.response().status, 400, "no host, so nowhere to go")
        self.assertEqual(sum(len(server.peers) for server in self.servers.values()), 0)

    def test_fixed_answers(self):
        rules = [
            {"path": "/ping", "exact": True, "respond": {"body": "pong\n", "type": "text/x-pong"}, "set_response_headers": ["X-A: b"]},
            {"path": "/secret", "respond": {"status": 403}},
            {"path": "/long", "respond": {"body": "y" * 50_000}},
        ]
        address = self.with_rules(rules)
        with Connection(address) as client:
            response = client.ask(target="/ping")
            self.assertEqual((response.status, response.body, response.get("content-type")), (200, b"pong\n", "text/x-pong"))
            self.assertEqual(response.get("x-a"), "b")
            self.assertEqual(client.ask("HEAD", "/ping").get("content-length"), "5")
            self.assertEqual(client.ask(target="/ping/x").get("x-server"), "main")
            self.assertEqual(client.ask(target="/secret/x").status, 403)
            self.assertEqual(client.ask(target="/long").body, b"y" * 50_000)
            self.assertEqual(client.ask(target="/").get("x-server"), "main", "the connection has stayed")
            client.send(request("POST", "/ping", body=b"x" * 10))
            self.assertEqual(client.response().get("connection"), "close", "nobody reads that body")

    def test_error_pages(self):
        page = "<h1>Back soon</h1>" + "z" * 40_000
        self.file(page, ".html")
        self.file('{"error":"too large"}', ".json")
        pages = {"503": "1.html", "413": "2.json"}
        address = self.with_rules([], listener={"error_pages": pages, "max_body": "1000B"})
        self.assertEqual(ask(address, "POST", body=b"x" * 1000).body, b"x" * 1000)
        response = ask(address, "POST", body=b"x" * 1001)
        self.assertEqual((response.status, response.get("content-type"), response.body), (413, "application/json", b'{"error":"too large"}'))
        self.servers["main"].die()
        with Connection(address) as client:
            for _ in range(2):
                response = client.ask()
                self.assertEqual((response.status, response.get("content-type")), (503, "text/html; charset=utf-8"))
                self.assertEqual(response.body.decode(), page)
            self.assertEqual(client.ask("HEAD").get("content-length"), str(len(page)))
        self.assertEqual(ask(address, fields=[("Expect", "x")]).status, 417)

    def test_chunks_beyond_max_body(self):
        address = self.with_rules([], listener={"max_body": "1000B"})
        with Connection(address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n")
            client.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
            self.assertEqual(client.response().status, 413)
            self.assertEqual(client.rest(), b"")


class Fields(RulesTest):
    def test_a_rule_changes_fields(self):
        rules = [
            {
                "set_request_headers": ["X-Env: prod", "Host: inner"],
                "add_request_headers": ["X-More: 1", "X-More: 2"],
                "remove_request_headers": ["Accept"],
                "set_response_headers": ["Strict-Transport-Security: max-age=1", "Server: rejoin"],
                "remove_response_headers": ["X-Line"],
            }
        ]
        address = self.with_rules(rules)
        response = ask(address, fields=[("Accept", "*/*"), ("X-Env", "lie"), ("X-env", "lie")])
        self.assertEqual(response.all("x-saw-x-env"), ["prod"])
        self.assertEqual(response.all("x-saw-x-more"), ["1", "2"])
        self.assertEqual(response.all("x-saw-host"), ["inner"])
        self.assertEqual(response.all("x-saw-accept"), [])
        self.assertEqual((response.all("server"), response.get("x-line")), (["rejoin"], None))
        self.assertEqual(response.get("strict-transport-security"), "max-age=1")

    def test_what_servers_are_told(self):
        listener = {"forwarded": {"trust": ["127.0.0.2", "10.0.0.0/8"], "forwarded": True, "request_id": True,
                                  "request_id_response": True, "via": "edge-1"}}
        address = self.with_rules([], listener=listener)
        lies = [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-Proto", "https"), ("Forwarded", "for=1.1.1.1"),
                ("X-Request-Id", "theirs"), ("X-Real-IP", "1.1.1.1"), ("X-Forwarded-Server", "x")]
        unknown = ask(address, fields=lies, bind="127.0.0.3", host="play.example:81")
        port = str(address[1])
        self.assertEqual(unknown.all("x-saw-x-forwarded-for"), ["127.0.0.3"])
        self.assertEqual(unknown.all("x-saw-x-forwarded-proto"), ["http"])
        self.assertEqual(unknown.all("x-saw-x-forwarded-host"), ["play.example:81"])
        self.assertEqual(unknown.all("x-saw-x-forwarded-port"), [port])
        self.assertEqual(unknown.all("x-saw-forwarded"), ['for=127.0.0.3;host="play.example:81";proto=http'])
        self.assertEqual(unknown.all("x-saw-x-real-ip") + unknown.all("x-saw-x-forwarded-server"), [])
        made = unknown.get("x-saw-x-request-id")
        self.assertRegex(made, "^[0-9a-f]{32}$")
        self.assertEqual(unknown.get("x-request-id"), made)
        self.assertEqual((unknown.get("x-saw-via"), unknown.get("via")), ("1.1 edge-1", "1.1 edge-1"))
        self.assertNotEqual(ask(address).get("x-request-id"), made)
        trusted = ask(address, fields=lies, bind="127.0.0.2")
        self.assertEqual(trusted.all("x-saw-x-forwarded-for"), ["1.1.1.1, 127.0.0.2"])
        self.assertEqual(trusted.all("x-saw-x-forwarded-proto"), ["https"])
        self.assertEqual(trusted.all("x-saw-forwarded"), ['for=1.1.1.1, for=127.0.0.2;host="test";proto=http'])
        self.assertEqual((trusted.get("x-saw-x-request-id"), trusted.get("x-request-id")), ("theirs", "theirs"))
        self.assertEqual(ask(address, fields=[("Via", "1.0 x, 1.1 edge-1")]).status, 508)

    def test_versions_are_our_own(self):
        def old(peer):
            heard = peer.request()
            peer.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nX-Version: " + heard.version.encode() + b"\r\n\r\nhi")

        server = Listener(self, old)
        address = self.http_balancer(servers(server.address)).address()
        with Connection(address) as client:
            for line in (b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", b"GET / HTTP/1.0\r\nHost: t\r\nConnection: keep-alive\r\n\r\n"):
                response = client.send(line).response()
                self.assertEqual((response.version, response.get("x-version"), response.body), ("HTTP/1.1", "HTTP/1.1", b"hi"))
            response = client.send(b"GET / HTTP/1.0\r\n\r\n").response()
            self.assertEqual(response.get("x-version"), "HTTP/1.0", "HTTP/1.1 would need a Host")


class Retries(RulesTest):
    def before(self, first, second, **pool):
        self.first, self.second = Listener(self, first), Listener(self, second)
        self.proxy = self.http_balancer(servers(self.first.address, self.second.address), pool=pool, listener={"idle_timeout": "1s"})
        return self.proxy.address()

    @staticmethod
    def good(peer):
        while (heard := peer.request()) is not None:
            peer.body_of(heard)
            peer.answer(200, body=b"good")

    @staticmethod
    def says(status):
        def handle(peer):
            while (heard := peer.request()) is not None:
                peer.body_of(heard)
                peer.answer(status, [("Retry-After", "1")], b"bad")

        return handle

    @staticmethod
    def cuts(peer):
        peer.request()

    def statuses(self, address, method="GET", body=None, times=6):
        return sorted({ask(address, method, body=body).status for _ in range(times)})

    def test_a_connection_that_ends_without_an_answer(self):
        address = self.before(self.cuts, self.good)
        self.assertEqual(self.statuses(address), [200])
        self.assertEqual(self.statuses(address, "PUT", b""), [200])
        self.assertEqual(self.statuses(address, "POST", b""), [200, 502], "a POST is not sent twice")
        self.assertEqual(self.statuses(address, "PUT", b"x"), [200, 502], "nor is one with a body")

    def test_it_can_be_turned_off(self):
        address = self.before(self.cuts, self.good, retry={"on": ["connect"]})
        self.assertEqual(self.statuses(address), [200, 502])

    def test_statuses(self):
        address = self.before(self.says(503), self.good, retry={"on": ["503"]})
        self.assertEqual(self.statuses(address), [200])
        self.assertEqual(self.statuses(address, "POST", b"x"), [200, 503])
        address = self.before(self.says(503), self.says(503), retry={"on": ["connect", "503"]})
        response = ask(address)
        self.assertEqual((response.status, response.body, response.get("retry-after")), (503, b"bad", "1"), "the last one's own")
        self.assertEqual(len(self.first.peers) + len(self.second.peers), 2)
        address = self.before(self.says(502), self.good, retry={"on": ["503"]})
        self.assertEqual(self.statuses(address), [200, 502])

    def test_time_outs(self):
        address = self.before(lambda peer: peer.rest(), self.good, retry={"on": ["timeout"]}, response_timeout="200ms")
        self.assertEqual(self.statuses(address, times=2), [200])
        address = self.before(lambda peer: peer.rest(), lambda peer: peer.rest(), response_timeout="200ms", retries=0)
        self.assertEqual(ask(address).status, 504)

    def test_nothing_is_sent_again_once_the_client_heard_something(self):
        def hints(peer):
            peer.request()
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")

        address = self.before(hints, hints)
        response = ask(address)
        self.assertEqual((response.status, len(response.interim)), (502, 1))
        self.assertEqual(len(self.first.peers) + len(self.second.peers), 1)

    def test_retries_bound_it(self):
        address = self.before(self.cuts, self.cuts, retries=0)
        self.assertEqual(ask(address).status, 502)
        self.assertEqual(len(self.first.peers) + len(self.second.peers), 1)


class KeepAlive(RulesTest):
    def test_connections_to_servers(self):
        for keep_alive, connections in (({"connections": 0}, 4), ({"connections": 1}, 1)):
            server = Listener(self, teller("a"))
            address = self.http_balancer(servers(server.address), pool={"keep_alive": keep_alive}).address()
            for _ in range(4):
                self.assertEqual(ask(address).status, 200)
            self.assertEqual(len(server.peers), connections)

    def test_a_server_that_says_how_long(self):
        def brief(peer):
            while (heard := peer.request()) is not None:
                peer.body_of(heard)
                peer.answer(200, [("Keep-Alive", "timeout=1")])

        server = Listener(self, brief)
        address = self.http_balancer(servers(server.address)).address()
        for _ in range(3):
            self.assertEqual(ask(address).status, 200)
        self.assertEqual(len(server.peers), 3, "a second less than told is none")

    def test_clients_wait_shorter_than_a_body_may(self):
        address = self.with_rules([], listener={"keep_alive_timeout": "100ms"})
        with Connection(address) as client:
            self.assertEqual(client.ask().status, 200)
            self.assertEqual(client.rest(), b"")


class Wrong(RulesTest):
    def test_what_check_says(self):
        listener = '[[listener]]\nlisten = "127.0.0.1:0"\n'
        pool = '[[pool]]\nname = "p"\nserver = [ { name = "a", address = "127.0.0.1:1" } ]\n'
        table = [
            ('rule = [ { path = "/a" }, { path = "/a" } ]', "matches the same requests"),
            ('rule = [ { path = "/a", pool = "q" } ]', 'there is no pool "q"'),
            ('rule = [ { pool = "p", respond = { } } ]', "more than one of"),
            ('rule = [ { path = "/a", strip_prefix = "/b" } ]', "begins with"),
            ('rule = [ { redirect = { to = "/x", status = 305 } } ]', "is no redirect"),
            ('rule = [ { redirect = { to = "//evil" } } ]', "write a URL"),
            ('rule = [ { redirect = { to = "/{path}" } } ]', "write a URL"),
            ('rule = [ { respond = { status = 204 } } ]', "has no body"),
            ('rule = [ { set_request_headers = ["Content-Length: 5"] } ]', "framed"),
            ('rule = [ { add_response_headers = ["X: a\\r\\nY: b"] } ]', "cannot stand here"),
            ('rule = [ { remove_request_headers = ["Connection"] } ]', "framed"),
            ('rule = [ { host = "a:80" } ]', "without a port"),
            ('error_pages = { 200 = "x" }', "400 to 599"),
            ('mode = "tcp"\nmax_body = "1KiB"', "does not read"),
        ]
        for line, said in table:
            with self.subTest(line):
                done = self.check(listener + line + "\n" + pool)
                self.assertEqual(done.returncode, 2, done.stderr + done.stdout)
                self.assertIn(said, done.stderr + done.stdout)
        done = self.check(listener + pool + 'retry = { on = ["conect"] }\n')
        self.assertIn('did you mean "connect"?', done.stderr + done.stdout)
        missing = self.start("balancer", "-c", self.file(listener + 'error_pages = { 503 = "no.html" }\n' + pool))
        self.assertEqual(missing.wait(), 2)
        self.assertTrue(re.search(r":\d+:\d+: listener.error_pages.503: .*no.html cannot be read: No such", missing.log()), missing.log())

    def check(self, text):
        return run(["check", "-c", str(self.file(text))])


if __name__ == "__main__":
    unittest.main()
