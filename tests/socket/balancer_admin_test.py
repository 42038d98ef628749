"""socket/balancer/admin: the admin port, `rejoin ctl`, the metrics and the access log of a real balancer of two workers."""

import json
import os
import re
import signal
import socket
import unittest

import scrape
from openapi import DOCS, OpenApi
from programs import Connection, ProgramsTest, WebSocket, ask, keys, poll, run, servers
from servers import Listener

TOKEN = "0123456789abcdef-of-a-test"
ADMIN = '[admin]\nlisten = "127.0.0.1:0"\n'


def web_server(peer):
    while (heard := peer.request()) is not None:
        peer.body_of(heard)
        peer.answer(200, [("X-Target", heard.target)], b"hello")


class BalancerAdmin(ProgramsTest):
    """A balancer of two workers before two web servers and a gateway."""

    def begin(self, head=ADMIN, listener=None, stdout=None, **popen):
        self.web = [Listener(self, web_server) for _ in range(2)]
        self.play = self.gateway("g1")
        ws_ip, ws_port = self.play.address("websocket")
        config = (
            head
            + '[balancer]\nworkers = 2\n[[listener]]\n'
            + keys(**{"name": "web", "listen": "127.0.0.1:0", "pool": "web", "health_path": "/lb", "head_timeout": "2s", **(listener or {})})
            + "[[listener]]\n"
            + keys(name="play", listen="127.0.0.1:0", pool="play")
            + "[[pool]]\n"
            + keys(name="web", affinity=[{"kind": "cookie-insert"}, {"kind": "source-ip"}], server=servers(*[one.address for one in self.web]))
            + "[[pool]]\n"
            + keys(name="play", server=[{"name": "g1", "address": f"{ws_ip}:{ws_port}"}])
        )
        if stdout:
            popen["stdout"] = stdout
        self.balance = self.balancer(config, **popen)
        self.admin = self.balance.address("admin")
        return self.balance

    def told(self, method="GET", target="/", status=200, fields=()):
        response = ask(self.admin, method, target, fields, host="127.0.0.1")
        self.assertEqual(response.status, status, response)
        return json.loads(response.body)

    def ctl(self, *arguments, status=0, admin=None, **popen):
        host, port = admin or self.admin
        done = run(["ctl", "--admin", f"{host}:{port}", *arguments], **popen)
        self.assertEqual(done.returncode, status, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done


class Documented(BalancerAdmin):
    def test_every_route_is_in_the_openapi_file_and_answers_as_it_says(self):
        self.begin()
        file = OpenApi("openapi.json")
        self.assertEqual(set(self.told()["routes"]), file.routes())
        tunnels = [WebSocket(self.balance.address("play")) for _ in range(4)]
        ask(self.balance.address("web"), "GET", "/")
        listed = [one["id"] for one in self.told(target="/connections")["connections"]]
        self.assertEqual(len(listed), 4)
        # What stands for {…}, and each other answer that the file promises and that can be had of a healthy program.
        asked = [
            ("GET", "/", "/", 200),
            ("GET", "/pools", "/pools", 200),
            ("GET", "/pools/{pool}", "/pools/web", 200),
            ("GET", "/pools/{pool}", "/pools/none", 404),
            ("GET", "/servers", "/servers", 200),
            ("GET", "/servers", "/servers?pool=web", 200),
            ("GET", "/servers", "/servers?pol=web", 400),
            ("GET", "/listeners", "/listeners", 200),
            ("GET", "/connections", "/connections?limit=2&pool=play&server=g1&listener=play&client=127.0.0.1", 200),
            ("GET", "/connections", f"/connections?after={listed[0]}", 200),
            ("GET", "/connections", "/connections?limit=-1", 400),
            ("GET", "/connections/{id}", f"/connections/{listed[0]}", 200),
            ("GET", "/connections/{id}", "/connections/0000000000000000", 404),
            ("GET", "/connections/{id}", "/connections/0", 400),
            ("DELETE", "/connections/{id}", f"/connections/{listed[0]}", 200),
            ("DELETE", "/connections/{id}", f"/connections/{listed[0]}", 404),
            ("DELETE", "/connections/{id}", "/connections/x", 400),
            ("GET", "/metrics", "/metrics", 200),
            ("GET", "/healthz", "/healthz", 200),
            ("GET", "/readyz", "/readyz", 200),
            ("GET", "/version", "/version", 200),
            ("POST", "/reload", "/reload", 200),
            ("POST", "/upgrade", "/upgrade?now=1", 400),  # upgrade_test.py does it
            ("PUT", "/pools/{pool}/servers/{server}", "/pools/play/servers/g1?weight=3", 200),
            ("PUT", "/pools/{pool}/servers/{server}", "/pools/play/servers/g9", 400),
            ("PUT", "/pools/{pool}/servers/{server}", "/pools/none/servers/g1", 404),
            ("DELETE", "/pools/{pool}/servers/{server}", "/pools/play/servers/none", 404),
            ("POST", "/pools/{pool}/servers/{server}/drain", "/pools/play/servers/g1/drain?deadline=10m", 200),
            ("POST", "/pools/{pool}/servers/{server}/drain", "/pools/play/servers/g1/drain?close=true", 400),
            ("POST", "/pools/{pool}/servers/{server}/maintenance", "/pools/play/servers/g1/maintenance", 200),
            ("POST", "/pools/{pool}/servers/{server}/ready", "/pools/play/servers/g1/ready", 200),
        ]
        self.assertEqual({f"{method} {path}" for method, path, _, _ in asked}, file.routes(), "each route is asked")
        for method, path, target, status in asked:
            response = ask(self.admin, method, target, host="127.0.0.1")
            self.assertEqual(response.status, status, f"{method} {target}: {response}")
            schema = file.schema_of(method, path, status)
            if schema:
                self.assertEqual(response.get("content-type"), "application/json")
                self.assertEqual(file.wrong(json.loads(response.body), schema), [], f"{method} {target}")
            else:
                self.assertTrue(response.get("content-type").startswith("text/plain; version=0.0.4"))
        # Parameters of the file are parameters of the program.
        for route in file.routes():
            method, path = route.split()
            known = {one["name"] for one in file.operation(method, path).get("parameters", []) if one["in"] == "query"}
            target = path.replace("{pool}", "play").replace("{server}", "g1").replace("{id}", listed[1])
            wrong = ask(self.admin, method, target + "?no-such-parameter=1", host="127.0.0.1")
            self.assertEqual(wrong.status, 400, route)
            words = re.search(r"there are (.+)", json.loads(wrong.body)["error"])
            self.assertEqual(set(words[1].split(", ")) - {"none"} if words else set(), known, route)
        self.assertEqual(len(tunnels), 4)

    def test_metrics_are_what_prometheus_reads_and_what_the_document_says(self):
        self.begin()
        web = self.balance.address("web")
        for number in range(8):
            self.assertEqual(ask(web, "GET", f"/{number}").status, 200)
        with Connection(web) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            self.assertEqual(client.response().status, 400)
        player = WebSocket(self.balance.address("play"))
        player.greeting()
        self.assertEqual(player.echoes("hello there"), True)

        families = scrape.read(ask(self.admin, "GET", "/metrics", host="127.0.0.1").body.decode())
        self.assertEqual(scrape.hold_beside_document("Balancer", families), [])
        value = lambda name, suffix="", **labels: families["rejoin_balancer_" + name].value(suffix, **labels)
        self.assertEqual(value("workers"), 2)
        self.assertEqual(value("requests_total", listener="web"), 8)
        self.assertEqual(value("responses_total", **{"listener": "web", "class": "2xx"}), 8)
        self.assertEqual(value("refusals_total", listener="web", reason="bad_head"), 1)
        self.assertEqual(value("request_seconds", "_count", listener="web"), 8)
        self.assertEqual(value("ends_total", listener="web", what="request", by="none", how="done"), 8)
        self.assertEqual(value("ends_total", listener="web", what="request", by="client", how="bad_input"), 1)
        self.assertEqual(value("tunnels", listener="play"), 1)
        self.assertGreater(value("server_sent_bytes_total", pool="play", server="g1"), 11)
        self.assertEqual(sum(value("server_requests_total", pool="web", server=name) for name in "ab"), 8)
        self.assertEqual(value("server_up", pool="web", server="a"), 1)
        self.assertGreater(families["process_open_fds"].value(), 10)
        self.assertEqual(families["rejoin_build_info"].kind, "gauge")
        player.close()
        poll(lambda: scrape.read(ask(self.admin, "GET", "/metrics", host="127.0.0.1").body.decode())
             ["rejoin_balancer_tunnel_life_seconds"].value("_count", listener="play") == 1, "the tunnel's life is counted")

    def test_the_gateway_s_metrics_are_what_the_document_says(self):
        gateway = self.gateway("g1", extra=ADMIN)
        WebSocket(gateway.address("websocket")).close()
        families = scrape.read(ask(gateway.address("admin"), "GET", "/metrics", host="127.0.0.1").body.decode())
        self.assertEqual(scrape.hold_beside_document("Gateway", families), [])


class ComingFrom(unittest.TestCase):
    def test_every_key_that_the_page_names_is_a_key(self):
        page = (DOCS / "coming-from.md").read_text()
        sections = re.split(r"(?m)^### `\[+(.*?)\]+`$", (DOCS / "configuration.md").read_text())
        keys_of = {name: set(re.findall(r"(?m)^\| `(\w+)`", text)) for name, text in zip(sections[1::2], sections[2::2])}
        every_key = set().union(*keys_of.values())
        named, in_passing = set(), set()
        for line in page.splitlines():
            if not line.startswith("| ") or line.startswith("| ---"):
                continue
            cells = line[1:-1].split("|")
            self.assertEqual(len(cells), 3, f"docs/coming-from.md: not three cells: {line}")
            named |= set(re.findall(r"`((?:[a-z_0-9]+\.)+[a-z_0-9]+)`", cells[1] + cells[2]))
            # What differs says keys by their last word; with a value behind it, or alone, where only a key looks like that.
            in_passing |= set(re.findall(r"`([a-z_]+) = ", cells[2])) | set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)`", cells[2]))
        self.assertGreater(len(named), 120)
        for name in named:
            table, _, key = name.rpartition(".")
            self.assertIn(key, keys_of.get(table, set()), f"docs/coming-from.md names `{name}`")
        of_nginx = {"non_idempotent", "keepalive_requests", "proxy_intercept_errors", "server_name", "ssl_verify_depth"}
        of_the_access_log = {"end_by", "end_in"}
        self.assertEqual(in_passing - every_key, of_nginx | of_the_access_log, "docs/coming-from.md names these beside the keys")


class Ports(BalancerAdmin):
    def test_a_port_beyond_loopback_needs_a_token(self):
        config = '[[listener]]\nlisten = "127.0.0.1:0"\n[[pool]]\nname = "p"\nserver = [ { name = "a", address = "127.0.0.1:9" } ]\n'
        done = run(["check", "-c", str(self.file(config + '[admin]\nlisten = "0.0.0.0:0"\n'))])
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no token", done.stderr)
        short = self.file("short\n", ".token")
        done = run(["balancer", "-c", str(self.file(config + f'[admin]\nlisten = "127.0.0.1:0"\ntoken = "file:{short}"\n'))])
        self.assertEqual(done.returncode, 2)
        self.assertIn("a token has 16 to 256 visible characters", done.stderr)
        self.assertNotIn("short\n", done.stderr.replace(str(short), ""))

        token = self.file(TOKEN + "\n", ".token")
        token.chmod(0o600)
        self.begin(f'[admin]\nlisten = "0.0.0.0:0"\ntoken = "file:{token}"\n')
        self.admin = ("127.0.0.1", self.admin[1])
        self.assertEqual(ask(self.admin, "GET", "/pools", host="balancer.example").status, 401)
        wrong = ask(self.admin, "GET", "/pools", [("Authorization", "Bearer " + TOKEN[:-1])], host="127.0.0.1")
        self.assertEqual((wrong.status, wrong.get("www-authenticate")), (401, "Bearer"))
        right = ask(self.admin, "GET", "/pools", [("Authorization", "Bearer " + TOKEN)], host="balancer.example")
        self.assertEqual(right.status, 200)
        self.assertEqual(ask(self.admin, "GET", "/healthz", host="balancer.example").status, 200)
        self.assertEqual(ask(self.admin, "GET", "/readyz", host="balancer.example").status, 200)
        self.assertIn("--token", self.ctl("status", status=1).stderr)
        self.assertIn("workers", self.ctl("--token", f"file:{token}", "status").stdout)
        self.assertIn("workers", self.ctl("status", env={**os.environ, "REJOIN_ADMIN_TOKEN": TOKEN}).stdout)

    def test_a_gateway_takes_a_token_too(self):
        token = self.file(TOKEN, ".token")
        gateway = self.gateway("g1", extra=f'[admin]\nlisten = "127.0.0.1:0"\ntoken = "file:{token}"\n')
        self.assertTrue(gateway.said("can be read by other users"))
        self.assertEqual(ask(gateway.address("admin"), "GET", "/sessions", host="127.0.0.1").status, 401)
        self.ctl("--token", f"file:{token}", "sessions", admin=gateway.address("admin"))

    def test_one_file_for_both_programs_has_two_ports(self):
        config = self.file(
            ADMIN + '[gateway]\nname = "g1"\nlistener = [ { listen = "127.0.0.1:0" } ]\n[[listener]]\nlisten = "127.0.0.1:0"\n'
            '[[pool]]\nname = "p"\nserver = [ { name = "g1", address = "127.0.0.1:9" } ]\n[balancer.admin]\nlisten = "127.0.0.2:0"\n')
        balancer = self.start("balancer", "-c", config).wait_ready()
        gateway = self.start("gateway", "-c", config).wait_ready()
        self.assertEqual(balancer.address("admin")[0], "127.0.0.2")
        self.assertIn("balancer", self.ctl("status", admin=balancer.address("admin")).stdout)
        self.assertIn("gateway", self.ctl("status", admin=gateway.address("admin")).stdout)
        self.assertEqual(ask(gateway.address("admin"), "GET", "/readyz", host="127.0.0.1").status, 200)
        self.ctl("drain", admin=gateway.address("admin"))
        self.assertEqual(ask(gateway.address("admin"), "GET", "/readyz", host="127.0.0.1").status, 503)

    def test_health_and_readiness(self):
        self.begin()
        web = self.balance.address("web")
        self.assertEqual(self.told(target="/readyz"), {"ready": True, "draining": False, "without_server": []})
        self.assertEqual(ask(web, "GET", "/lb").status, 200)
        tunnel = WebSocket(self.balance.address("play"))
        self.balance.signal(signal.SIGTERM)
        poll(lambda: ask(self.admin, "GET", "/readyz", host="127.0.0.1").status == 503, "not ready while it drains")
        self.assertEqual(self.told(target="/healthz"), {"status": "ok"})
        self.assertEqual(self.told(target="/readyz", status=503)["draining"], True)
        tunnel.close()
        self.assertEqual(self.balance.wait(), 0)


class Ctl(BalancerAdmin):
    def test_tables_and_json(self):
        self.begin()
        tunnels = [WebSocket(self.balance.address("play")) for _ in range(6)]
        status = self.ctl("status").stdout
        self.assertRegex(status, r"balancer +\d+\.\d+\.\d+\n")
        self.assertIn("0, and 6 tunnels", status)
        self.assertEqual(json.loads(self.ctl("status", "--json").stdout)["tunnels"], 6)
        self.assertRegex(self.ctl("pools").stdout, r"(?m)^web +2 +2 +2 ")
        self.assertIn("pool web: 2 of 2 servers up", self.ctl("pools", "web").stdout)
        self.assertIn("cookie-insert, source-ip", self.ctl("pools", "web").stdout)
        self.assertRegex(self.ctl("servers", "--pool", "play").stdout, r"(?m)^play/g1 .* up +6 +6 ")
        self.assertRegex(self.ctl("listeners").stdout, r"(?m)^play .* http +play +0 +6 +6 +6 ")
        page = self.ctl("connections", "--limit", "4").stdout
        self.assertIn("6 tunnels\n", page)
        after = re.search(r"\(more: --after ([0-9a-f]{16})\)", page)[1]
        rest = json.loads(self.ctl("connections", "--after", after, "--json").stdout)
        self.assertEqual(len(rest["connections"]), 2)
        self.assertEqual({one["worker"] for one in json.loads(self.ctl("connections", "--json").stdout)["connections"]} | {0, 1}, {0, 1})

        one = rest["connections"][0]
        said = self.ctl("end", one["id"]).stdout
        self.assertIn(f"ended: {one['client']} at play/g1", said)
        gone = next(socket for socket in tunnels if socket.socket.getsockname()[1] == int(one["client"].rsplit(":")[-1]))
        gone.greeting()
        self.assertFalse(gone.more(), "its client is told")
        self.assertIn("no connection has this id", self.ctl("end", one["id"], status=1).stderr)
        self.assertIn("a gateway has sessions", self.ctl("sessions", status=1).stderr)
        self.assertIn("there is no pool", self.ctl("pools", "none", status=1).stderr)
        self.assertIn("rejoin_balancer_tunnels{listener=\"play\"} 5\n", self.ctl("metrics").stdout)


    def test_servers_are_changed_and_the_file_is_read_again(self):
        self.begin()
        for words, said in (
            (("server", "drain", "play/g1", "--deadline", "10m"), r"play/g1: drain, weight 1, up, 0 active, at "),
            (("server", "maintenance", "play/g1"), r"play/g1: maintenance, "),
            (("server", "ready", "play/g1"), r"play/g1: ready, "),
            (("server", "weight", "play/g1", "7"), r"play/g1: ready, weight 7, "),
            (("server", "add", "play/g2", "127.0.0.1:9", "--weight", "2"), r"play/g2: ready, weight 2, up, 0 active, at 127\.0\.0\.1:9\n"),
            (("server", "remove", "play/g2"), r"play/g2: removed\n"),
            (("reload",), r"nothing changed\n"),
        ):
            self.assertRegex(self.ctl(*words).stdout, said)
        self.assertIn('pool play has no server "g2"', self.ctl("server", "remove", "play/g2", status=1).stderr)
        self.assertIn("before its deadline", self.ctl("server", "drain", "play/g1", "--close", status=1).stderr)
        for words in (("server", "drain", "play"), ("server", "weight", "play/g1")):
            self.assertIn("POOL/NAME", self.ctl(*words, status=2).stderr)


class AccessLog(BalancerAdmin):
    def lines(self, path):
        return path.read_text().splitlines() if path.exists() else []

    def test_json_lines_and_the_document(self):
        log = self.folder / "access.log"
        self.begin(f'[access_log]\nformat = "json"\npath = "{log}"\nquery = true\n' + ADMIN)
        web = self.balance.address("web")
        response = ask(web, "GET", "/a?b=c", [("Cookie", "SECRET=hunter2"), ("Authorization", "Bearer hunter2"), ("User-Agent", "x\"y")])
        self.assertEqual(response.status, 200)
        cookie = response.get("set-cookie").split(";")[0]
        ask(web, "GET", "/again", [("Cookie", cookie)])
        player = WebSocket(self.balance.address("play"))
        player.greeting()
        player.close()
        poll(lambda: len(self.lines(log)) == 4, "two requests, an upgrade and its tunnel")
        records = [json.loads(line) for line in self.lines(log)]
        text = log.read_text()
        self.assertNotIn("hunter2", text)
        self.assertNotIn(cookie.split("=", 1)[1], text)
        document = (DOCS / "access-log.md").read_text()
        fields = re.findall(r"(?m)^\| `(\w+)` \|", document.split("## Fields")[1].split("## How things end")[0])
        for record in records:
            self.assertEqual(list(record), fields)
        # Two workers: the order in which their batches come is nobody's.
        kinds = [("/a", "request"), ("/again", "request"), ("/play", "request"), (None, "tunnel")]
        records.sort(key=lambda record: kinds.index((record["path"], record["kind"])))
        first, second, upgrade, tunnel = records
        self.assertEqual((first["path"], first["query"], first["user_agent"]), ("/a", "b=c", 'x"y'))
        self.assertEqual((second["decision"], second["affinity"], second["reason"]), ("pinned", "cookie-insert", "found"))
        self.assertEqual((upgrade["status"], upgrade["kind"]), (101, "request"))
        self.assertEqual((tunnel["id"], tunnel["kind"], tunnel["end"], tunnel["end_by"]), (upgrade["id"], "tunnel", "done", "client"))
        self.assertRegex(first["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        # The words of the document are those of the source.
        words = set(re.findall(r"(?m)^\| `(\w+)` \|", document.split("## How things end")[1].split("## Why a connection is refused")[0])) - {"end", "end_in"}
        source = (DOCS.parent / "apps" / "balancer" / "ending.cc").read_text()
        self.assertEqual(words, set(re.findall(r'case End(?:How|Phase)::\w+: return "(\w+)";', source)))

    def test_one_line_form_on_stdout_and_no_log_by_default(self):
        out = self.folder / "stdout"
        with open(out, "w") as stdout:
            self.begin('[access_log]\nformat = "line"\n' + ADMIN, stdout=stdout)
        ask(self.balance.address("web"), "GET", "/a b".replace(" ", "%20") + "?token=secret")
        poll(lambda: len(self.lines(out)) == 1, "a line")
        pattern = (
            r'20\S+Z request [0-9a-f]{16} web 127\.0\.0\.1:\d+ "GET /a%20b HTTP/1\.1" "test" 200 \d+ \d+'
            r" (\d+\.\d{3}/){4}\d+\.\d{3} web/[ab] scheduled/-/- 0 done/-/download"
        )
        self.assertRegex(self.lines(out)[0], f"^{pattern}$")

        quiet = self.folder / "quiet"
        with open(quiet, "w") as stdout:
            self.begin(ADMIN, stdout=stdout)
        ask(self.balance.address("web"), "GET", "/")
        self.assertEqual(self.balance.stop(), 0)
        self.assertEqual(quiet.read_text(), "")

    def test_it_is_opened_anew_at_sigusr1_and_every_line_is_there_at_the_end(self):
        log = self.folder / "access.log"
        self.begin(f'[access_log]\nformat = "json"\npath = "{log}"\n' + ADMIN)
        web = self.balance.address("web")
        for number in range(5):
            ask(web, "GET", f"/{number}")
        poll(lambda: len(self.lines(log)) == 5, "five lines")
        moved = self.folder / "access.log.1"
        log.rename(moved)
        self.balance.signal(signal.SIGUSR1)
        poll(log.exists, "the file is made anew")
        for number in range(5, 25):
            ask(web, "GET", f"/{number}")
        self.assertEqual(self.balance.stop(), 0)
        paths = [json.loads(line)["path"] for line in self.lines(moved) + self.lines(log)]
        self.assertEqual(sorted(paths), sorted(f"/{number}" for number in range(25)))
        self.assertEqual(len(self.lines(moved)), 5)

    def test_a_pipe_that_nobody_reads_holds_no_client_up(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.begin('[access_log]\nformat = "json"\n' + ADMIN, stdout=writer)
        os.close(writer)
        web = self.balance.address("web")
        with Connection(web) as client:
            agent = [("User-Agent", "u" * 250), ("X-Forwarded-For", "f" * 250)]
            asked = lost = 0
            while not lost:
                for _ in range(500):
                    self.assertEqual(client.ask("GET", "/" + "p" * 1000, agent).status, 200)
                    asked += 1
                self.assertLess(asked, 20_000, "5 MiB would have been enough")
                families = scrape.read(ask(self.admin, "GET", "/metrics", host="127.0.0.1").body.decode())
                lost = families["rejoin_balancer_access_records_lost_total"].value()
        self.assertLess(self.balance.memory_kib(), 200 * 1024)
        os.set_blocking(reader, False)
        heard = b""
        def all_heard():
            nonlocal heard
            try:
                heard += os.read(reader, 1 << 20)
            except BlockingIOError:
                pass
            return heard.count(b"\n") >= families["rejoin_balancer_access_records_total"].value()
        poll(all_heard, "what was kept comes out")
        for line in heard.decode().splitlines():
            json.loads(line)
        self.assertEqual(self.balance.stop(), 0)


if __name__ == "__main__":
    unittest.main()
