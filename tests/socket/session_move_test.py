"""socket/gateway/session-move: the binary of a gateway is exchanged under players, and neither they nor the game server notice.

Real processes: clients that count (tests/storm) on WebSocket and TCP links, one gateway that is upgraded again and again by
SIGUSR2, an unmodified game server that counts, too. Nothing may be lost, nothing may come twice, nobody may log in again, and
the game server may see no new connection.

The environment says how much: UPGRADE_CLIENTS (default 200).
"""

import json
import os
import re
import signal
import subprocess
import unittest
import urllib.request
from pathlib import Path

from certificates import Authority
from programs import ProgramsTest, keys, poll, rejoin_binary
from storm_test import Tool

CLIENTS = int(os.environ.get("UPGRADE_CLIENTS", "200"))
KEY = {"REJOIN_TEST_KEY": "5e" * 32}


def alive(pid):
    """Not gone, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Upgrade(ProgramsTest):
    def start_gateway(self, game, workers=1, **more):
        config = '[keys]\nseal = ["env:REJOIN_TEST_KEY"]\n[admin]\n' + keys(listen="127.0.0.1:0") + "[gateway]\n" + keys(
            name="g1",
            workers=workers,
            upstream={"kind": "tcp", "address": game},
            session={"spread": "500ms"},
            **{
                "listener": [{"listen": "127.0.0.1:0"}, {"listen": "127.0.0.1:0", "kind": "tcp", "protocol": "rejoin"}],
                "upgrade": {"over": "1s", "wait": "2s", "linger": "3s"},
                **more,
            },
        )
        self.config = Path(self.file(config))
        gateway = self.start("gateway", "-c", str(self.config), env={**os.environ, **KEY}).wait_ready()
        self.pid = gateway.pid  # of the present process
        self.addCleanup(self.end_last)
        return gateway

    def ask(self, gateway, path, method="GET"):
        url = "http://%s:%d%s" % (*gateway.address("admin"), path)
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
            return json.loads(answer.read())

    def all_play(self, gateway, count):
        poll(lambda: self.ask(gateway, "/sessions?limit=0")["attached"] == count, f"{count} players are there")

    def end_last(self):
        if alive(self.pid):
            os.kill(self.pid, signal.SIGKILL)

    def next_pid(self, gateway, count):
        """The new process, when it is up for the `count`th time."""
        poll(
            # Two processes say so, in any order.
            lambda: len(gateway.said(r"(^|\s)ready$")) == count + 1 and len(gateway.said("process .* serves")) == count,
            f"the new process is ready: {gateway.log()}",
        )
        return int(re.search(r"process (\d+) serves", gateway.said("process .* serves")[-1])[1])

    def upgrade(self, gateway, count):
        os.kill(self.pid, signal.SIGUSR2)
        before, self.pid = self.pid, self.next_pid(gateway, count)
        self.assertNotEqual(before, self.pid)
        poll(lambda: not alive(before), f"the old process {before} ends:\n{gateway.log()}")

    def end_gateway(self, gateway):
        """The last process ends as any other."""
        os.kill(self.pid, signal.SIGTERM)
        poll(lambda: not alive(self.pid), "the last process ends")
        self.assertEqual(gateway.wait(), 0)

    def play(self, upgrades, workers=1, **more):
        every_ms, seconds = 200, 14
        count = seconds * 1000 // every_ms
        game = Tool(self, "numbers_server", "--every", every_ms, "--count", count, listeners=1)
        gateway = self.start_gateway(game.addresses[0], workers, **more)
        urls = ["ws://%s:%d/play" % gateway.address("websocket"), "tcp://%s:%d" % gateway.address("tcp")]
        players = Tool(
            self,
            "numbers_clients",
            *("--url", urls[0], "--url", urls[1]),
            *("--clients", CLIENTS, "--every", every_ms, "--count", count, "--patience", seconds + 60),
        )
        self.all_play(gateway, CLIENTS)
        for i in range(upgrades):
            self.upgrade(gateway, i + 1)
        now = self.ask(gateway, "/sessions?limit=0")
        self.assertEqual((now["sessions"], now["moved_in"], now["arriving"]), (CLIENTS, CLIENTS, False))
        heard = players.result(seconds + 90)
        told = game.ask()
        moved = [int(line.split(" sessions have moved")[0].split()[-1]) for line in gateway.said("sessions have moved")]
        print(json.dumps({"clients": heard, "game server": told, "moved": moved}), flush=True)
        expected = CLIENTS * count
        self.assertEqual(heard["complete"], CLIENTS)
        self.assertEqual((heard["heard"], heard["lost"], heard["twice"]), (expected, 0, 0))
        self.assertEqual((told["heard"], told["lost"], told["twice"]), (expected, 0, 0))
        self.assertEqual((heard["logins"], told["players"]), (CLIENTS, CLIENTS), "no login, no new game server connection")
        self.assertEqual((heard["gaps"], heard["sessions_lost"]), (0, 0))
        # They did move, all of them, each time.
        self.assertEqual(sum(moved), upgrades * CLIENTS, gateway.log())
        self.assertEqual(len(moved), upgrades * workers)
        self.assertFalse(gateway.said("error"), gateway.log())
        self.end_gateway(gateway)

    def test_three_upgrades_and_nobody_notices(self):
        self.play(3)

    def test_the_same_with_two_workers(self):
        self.play(2, workers=2)

    def test_links_over_tls_move_as_well(self):
        authority = Authority(self.folder)
        play = authority.issue("play", ["127.0.0.1"])
        game = Tool(self, "numbers_server", "--every", 100, "--count", 60, listeners=1)
        gateway = self.start_gateway(
            game.addresses[0],
            listener=[
                {"listen": "127.0.0.1:0", "tls": play.files()},
                {"listen": "127.0.0.1:0", "kind": "tcp", "protocol": "rejoin", "tls": play.files()},
            ],
        )
        players = Tool(
            self,
            "numbers_clients",
            *("--url", "wss://%s:%d/play" % gateway.address("websocket"), "--url", "tls://%s:%d" % gateway.address("tcp")),
            *("--ca", authority.pem, "--clients", 40, "--every", 100, "--count", 60, "--patience", 60),
        )
        self.all_play(gateway, 40)
        self.upgrade(gateway, 1)
        heard = players.result(90)
        self.assertEqual((heard["complete"], heard["lost"], heard["twice"], heard["logins"]), (40, 0, 0, 40))
        self.assertEqual(game.ask()["players"], 40)
        self.assertTrue(gateway.said("40 sessions have moved, 0 cannot"), gateway.log())
        self.end_gateway(gateway)

    def test_a_new_process_that_cannot_take_over_changes_nothing(self):
        game = Tool(self, "numbers_server", "--every", 100, "--count", 60, listeners=1)
        gateway = self.start_gateway(game.addresses[0])
        players = Tool(
            self,
            "numbers_clients",
            *("--url", "ws://%s:%d/play" % gateway.address("websocket")),
            *("--clients", 20, "--every", 100, "--count", 60, "--patience", 60),
        )
        good = self.config.read_text()
        for bad, says in (
            (good.replace('name = "g1"', 'name = "g2"'), "cannot take over"),
            (good.replace("workers = 1", "workers = 2"), "cannot take over"),
            (good + "\nnonsense = 1\n", "nonsense"),
        ):
            self.config.write_text(bad)
            seen = len(gateway.said("ended with status . before it served; this one goes on"))
            os.kill(gateway.pid, signal.SIGUSR2)
            poll(
                lambda: len(gateway.said("ended with status . before it served; this one goes on")) == seen + 1,
                f"the old one says so: {gateway.log()}",
            )
            self.assertTrue(gateway.said(says), gateway.log())
        self.config.write_text(good)
        self.upgrade(gateway, 1)
        heard = players.result(90)
        self.assertEqual((heard["complete"], heard["lost"], heard["twice"], heard["logins"]), (20, 0, 0, 20))
        self.assertEqual(game.ask()["players"], 20)
        self.end_gateway(gateway)

    def test_the_new_process_dies_in_the_middle_and_the_rest_goes_on(self):
        game = Tool(self, "numbers_server", "--every", 100, "--count", 80, listeners=1)
        gateway = self.start_gateway(game.addresses[0], upgrade={"over": "20s", "wait": "5s"})
        players = Tool(
            self,
            "numbers_clients",
            *("--url", "ws://%s:%d/play" % gateway.address("websocket")),
            *("--clients", 50, "--every", 100, "--count", 80, "--patience", 90),
        )
        self.all_play(gateway, 50)
        os.kill(gateway.pid, signal.SIGUSR2)
        next_pid = self.next_pid(gateway, 1)
        gateway.wait_for("sessions move to the new process")
        poll(lambda: alive(next_pid), "it is there")
        os.kill(next_pid, signal.SIGKILL)
        gateway.wait_for("has died: .* sessions go on here")
        heard = players.result(120)
        # Those that had gone are lost with it, at most; their players logged in again.
        self.assertEqual((heard["lost"], heard["twice"]), (0, 0))
        self.assertGreater(heard["complete"], 25)
        self.assertTrue(gateway.running())
        self.assertEqual(self.ask(gateway, "/sessions?limit=0")["gateway"], "g1", "it answers again where it did")
        gateway.stop()

    def test_by_rejoin_ctl_and_while_players_log_in(self):
        every_ms, count = 100, 80
        game = Tool(self, "numbers_server", "--every", every_ms, "--count", count, listeners=1)
        gateway = self.start_gateway(game.addresses[0], upgrade={"over": "1h", "wait": "2s", "linger": "3s"})
        players = Tool(
            self,
            "numbers_clients",
            *("--url", "ws://%s:%d/play" % gateway.address("websocket"), "--url", "tcp://%s:%d" % gateway.address("tcp")),
            *("--clients", CLIENTS, "--every", every_ms, "--count", count, "--patience", 90),
        )
        admin = "%s:%d" % gateway.address("admin")
        done = subprocess.run(
            [rejoin_binary(), "ctl", "--admin", admin, "upgrade", "--over", "500ms"], capture_output=True, text=True, timeout=60
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("the new process begins", done.stdout)
        before, self.pid = self.pid, self.next_pid(gateway, 1)
        poll(lambda: not alive(before), f"the old process {before} ends:\n{gateway.log()}")
        heard = players.result(150)
        self.assertEqual((heard["complete"], heard["lost"], heard["twice"], heard["logins"]), (CLIENTS, 0, 0, CLIENTS))
        self.assertEqual(game.ask()["players"], CLIENTS)
        self.end_gateway(gateway)


if __name__ == "__main__":
    unittest.main(verbosity=2)
