"""socket/gateway/admin: `rejoin ctl` and the admin port of a real gateway of two workers, alone and behind a balancer."""

import hashlib
import hmac
import json
import os
import re
import struct
import unittest

import resume
from openapi import OpenApi
from programs import Connection, ProgramsTest, WebSocket, ask, poll, run

CLIENTS = 24
ADMIN = '[admin]\nlisten = "127.0.0.1:0"\n'
WELCOME, RESUMED, ACK, CLOSE = 0x02, 0x04, 0x11, 0x14


class Player(WebSocket):
    """A client of the resume protocol that has logged in, or (with `came_from`) come back. `refused`: the DETACH instead."""

    def __init__(self, address, came_from=None):
        fields = [("Sec-WebSocket-Protocol", "rejoin.v1")]
        if came_from:
            self.secret, self.ticket, self.epoch = came_from.secret, came_from.ticket, came_from.epoch + 1
            body = struct.pack(">H", len(self.ticket)) + self.ticket + struct.pack(">IQ", self.epoch, 1)
            frame = resume.frame(resume.RESUME, body)
            frame += hmac.new(self.secret, b"rejoin.v1 resume" + frame, hashlib.sha256).digest()
            fields = [("Sec-WebSocket-Protocol", "rejoin.v1, rejoin.v1.resume." + resume.base64url(frame))]
        super().__init__(address, fields=fields)
        self.refused = None
        if not came_from:
            self.say(resume.frame(resume.HELLO, b"\x01" + struct.pack(">HH", 0, 0)), opcode=2)
        first = self.hear()[1]
        if first[0] == resume.DETACH:
            self.refused = resume.detach(first)
        elif not came_from:
            assert first[0] == WELCOME, first
            self.secret, self.epoch = first[11:43], 1
            size = struct.unpack(">H", first[43:45])[0]
            self.ticket = first[45 : 45 + size]
            self.say(resume.frame(ACK), opcode=2)
            self.server = json.loads(self.hear()[1][10:])["server"]
        else:
            assert first[0] == RESUMED, first

    def break_off(self):
        self.close()


class AdminTest(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.env = {**os.environ, "REJOIN_TEST_KEY": os.urandom(32).hex()}

    def gateway(self, name, extra="", **options):
        keys = '[keys]\nseal = ["env:REJOIN_TEST_KEY"]\n'
        return super().gateway(name, extra=extra + keys + ADMIN, env=self.env, **options)

    def ctl(self, gateway, *arguments, status=0):
        host, port = gateway.address("admin")
        done = run(["ctl", "--admin", f"{host}:{port}", *arguments])
        self.assertEqual(done.returncode, status, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def told(self, gateway, *arguments):
        return json.loads(self.ctl(gateway, *arguments, "--json").stdout)


class TwoWorkers(AdminTest):
    def setUp(self):
        super().setUp()
        self.one = self.gateway("g1", extra="workers = 2\n")
        self.players = [Player(self.one.address("websocket")) for _ in range(CLIENTS)]

    def test_sessions_of_both_workers_are_shown_and_ended(self):
        all_of_them = self.told(self.one, "sessions")
        self.assertEqual((all_of_them["sessions"], all_of_them["attached"], all_of_them["workers"]), (CLIENTS, CLIENTS, 2))
        self.assertEqual({session["worker"] for session in all_of_them["list"]}, {0, 1})
        ports = {int(session["link"]["address"].rsplit(":")[-1]): session["id"] for session in all_of_them["list"]}
        text = self.ctl(self.one, "sessions", "--limit", "3").stdout
        self.assertIn(f"gateway g1: {CLIENTS} sessions ({CLIENTS} attached, 0 detached)\n", text)
        self.assertIn(f"(3 of {CLIENTS} shown; see --limit)", text)

        for player in self.players[:6]:
            one = ports[player.socket.getsockname()[1]]
            self.assertIn("phase        attached since", self.ctl(self.one, "session", one).stdout)
            ended = self.ctl(self.one, "end", one, "--reason", "banned, says the operator")
            self.assertIn("banned, says the operator", ended.stdout)
            frame = player.hear()[1]
            self.assertEqual((frame[0], frame[10:12]), (CLOSE, struct.pack(">H", 4410)))
            self.assertIn(b"banned, says the operator", frame)
            again = self.ctl(self.one, "end", one, status=1)
            self.assertIn("it has ended already", again.stderr)
        after = self.told(self.one, "sessions")
        self.assertEqual(after["sessions"], CLIENTS - 6)
        self.assertEqual([end["code"] for end in after["ended"]], [4410] * 6)
        self.assertIn("sessions_ended_total{reason=\"operator\"} 6\n", self.ctl(self.one, "metrics").stdout)

    def test_a_drain_takes_nobody_new_and_then_ends_what_is_left(self):
        self.players[0].break_off()
        poll(lambda: self.told(self.one, "sessions")["detached"] == 1, "the gateway sees that the link is gone")
        self.assertIn("takes no new sessions; left: 24 sessions (23 attached, 1 detached); they end by themselves",
                      self.ctl(self.one, "drain").stdout)
        for _ in range(8):  # whichever worker
            self.assertEqual(Player(self.one.address("websocket")).refused[:2], (1012, resume.AGAIN))
        Player(self.one.address("websocket"), came_from=self.players[0])
        self.assertIn("takes new sessions", self.ctl(self.one, "undrain").stdout)
        self.assertIsNone(Player(self.one.address("websocket")).refused)

        self.ctl(self.one, "drain", "--end-after", "0s", "--over", "1s")
        poll(lambda: self.told(self.one, "sessions")["sessions"] == 0, "all are ended")
        self.assertEqual(self.players[5].hear()[1][10:12], struct.pack(">H", 1012))
        health = ask(self.one.address("websocket"), "GET", "/healthz")
        self.assertEqual((health.status, health.get("rejoin-state")), (503, "draining"))

    def test_every_route_is_in_the_openapi_file_and_answers_as_it_says(self):
        admin = self.one.address("admin")
        file = OpenApi("openapi-gateway.json")
        self.assertEqual(set(self.told(self.one, "status")["routes"]), file.routes())
        with Connection(self.one.address("tcp")) as plain:
            plain.send(struct.pack(">I", 2) + b"hi")
            plain.until(b"hi")
            ids = [one["id"] for one in self.told(self.one, "sessions")["list"]]
        self.players[0].break_off()
        poll(lambda: self.told(self.one, "sessions")["detached"] == 1, "the gateway sees that the link is gone")
        # What stands for {id}, and each other answer that the file promises and that can be had of a healthy program.
        asked = [
            ("GET", "/", "/", 200),
            ("GET", "/sessions", "/sessions", 200),
            ("GET", "/sessions", "/sessions?limit=2&phase=attached", 200),
            ("GET", "/sessions", "/sessions?phase=detached", 200),
            ("GET", "/sessions", "/sessions?limit=1001", 400),
            ("GET", "/sessions", "/sessions?phase=gone", 400),
            *[("GET", "/sessions/{id}", f"/sessions/{one}", 200) for one in ids],
            ("GET", "/sessions/{id}", "/sessions/" + "0" * 32, 404),
            ("GET", "/sessions/{id}", "/sessions/0", 400),
            ("DELETE", "/sessions/{id}", f"/sessions/{ids[0]}?reason=banned", 200),
            ("GET", "/sessions/{id}", f"/sessions/{ids[0]}", 200),
            ("DELETE", "/sessions/{id}", f"/sessions/{ids[0]}", 404),
            ("DELETE", "/sessions/{id}", "/sessions/" + "0" * 32, 404),
            ("DELETE", "/sessions/{id}", f"/sessions/{ids[1]}?reason=" + "x" * 200, 400),
            ("GET", "/metrics", "/metrics", 200),
            ("GET", "/healthz", "/healthz", 200),
            ("GET", "/readyz", "/readyz", 200),
            ("GET", "/version", "/version", 200),
            ("POST", "/drain", "/drain?end_after=1h&over=1m", 200),
            ("POST", "/drain", "/drain?over=30", 400),
            ("GET", "/", "/", 200),
            ("GET", "/readyz", "/readyz", 503),
            ("POST", "/undrain", "/undrain", 200),
            ("POST", "/upgrade", "/upgrade?over=1", 400),  # session_move_test.py does it
        ]
        self.assertEqual({f"{method} {path}" for method, path, _, _ in asked}, file.routes(), "each route is asked")
        for method, path, target, status in asked:
            response = ask(admin, method, target, host="127.0.0.1")
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
            wrong = ask(admin, method, path.replace("{id}", ids[2]) + "?no-such-parameter=1", host="127.0.0.1")
            self.assertEqual(wrong.status, 400, route)
            words = re.search(r"there are (.+)", json.loads(wrong.body)["error"])
            self.assertEqual(set(words[1].split(", ")) - {"none"} if words else set(), known, route)

    def test_metrics_add_up(self):
        text = self.ctl(self.one, "metrics").stdout
        self.assertIn(f'rejoin_gateway_sessions{{phase="attached"}} {CLIENTS}\n', text)
        self.assertIn(f"rejoin_gateway_sessions_opened_total {CLIENTS}\n", text)
        for line in text.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) [a-z_]+ .+|(rejoin|process)_[a-z_]+(\{[a-z_]+=\"[^\"]*\"(,[a-z_]+=\"[^\"]*\")*\})? [0-9.e+-]+)$")

    def test_pages_are_refused_and_a_full_admin_port_disturbs_no_player(self):
        admin = self.one.address("admin")
        self.assertEqual(ask(admin, "GET", "/sessions", [("Origin", "http://evil.example")], host="127.0.0.1").status, 403)
        self.assertEqual(ask(admin, "GET", "/sessions", host="evil.example").status, 403)
        self.assertEqual(ask(admin, "GET", "/sessions", host="localhost").status, 200)
        crowd = [Connection(admin) for _ in range(100)]
        player = Player(self.one.address("websocket"))
        self.assertIsNone(player.refused)
        for one in crowd:
            one.close()
        poll(lambda: self.told(self.one, "sessions")["sessions"] == CLIENTS + 1, "the admin port answers again")


class Alone(AdminTest):
    def test_what_is_wrong_is_said_with_what_to_do(self):
        done = run(["ctl", "--admin", "127.0.0.1:1", "sessions"])
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot ask the program at 127.0.0.1:1", done.stderr)
        self.assertIn("[admin]", done.stderr)
        for arguments in (["ctl"], ["ctl", "drain", "--over", "30"], ["ctl", "--admin", "localhost", "sessions"],
                          ["ctl", "session"], ["ctl", "sesions"]):
            self.assertEqual(run(arguments).returncode, 2, arguments)
        one = self.gateway("g1")
        self.assertIn("32 hex digits", self.ctl(one, "session", "xyz", status=1).stderr)
        self.assertIn("no session has this id", self.ctl(one, "end", "0" * 32, status=1).stderr)
        self.assertIn("detached", self.ctl(one, "sessions", "--phase", "gone", status=1).stderr)


class BehindABalancer(AdminTest):
    def test_a_drain_sends_new_clients_elsewhere_and_old_ones_home(self):
        gateways = {name: self.gateway(name) for name in ("g1", "g2")}
        pool = [{"name": name, "address": "%s:%d" % gateway.address("websocket")} for name, gateway in gateways.items()]
        balancer = self.http_balancer(
            pool,
            pool={"affinity": [{"kind": "ticket", "owner_gone": "60s"}], "health": {"kind": "http", "path": "/healthz", "every": "100ms"}},
            head='[keys]\nseal = ["env:REJOIN_TEST_KEY"]\n',
            env=self.env,
        )
        players = [Player(balancer.address()) for _ in range(4)]
        home = next(player for player in players if player.server == "g1")
        self.ctl(gateways["g1"], "drain")
        balancer.wait_for(r"server pool/g1 drains: no new clients")
        home.break_off()
        for _ in range(4):
            self.assertEqual(Player(balancer.address()).server, "g2")
        back = Player(balancer.address(), came_from=home)
        self.assertIsNone(back.refused, "the session lives on, and is reached through the balancer")
        self.ctl(gateways["g1"], "undrain")
        balancer.wait_for(r"server pool/g1 takes new clients again")
        self.assertIn("g1", [Player(balancer.address()).server for _ in range(4)])


if __name__ == "__main__":
    unittest.main()
