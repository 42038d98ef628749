"""socket/session/storm: real processes; every link is broken at moments of chance while numbered messages flow both ways.

clients (WebSocket and TCP) -> a relay that breaks links -> balancer (affinity `ticket`) -> two gateways -> an unmodified
game server. Nothing may be lost, nothing may come twice, and nobody may have to log in again.

The environment says how much: STORM_CLIENTS (default 2000), STORM_SECONDS (60), STORM_MEAN_MS (6000: how long a link lives).
"""

import json
import os
import subprocess
import unittest
from pathlib import Path

from programs import ProgramsTest, keys, poll

CLIENTS = int(os.environ.get("STORM_CLIENTS", "2000"))
SECONDS = int(os.environ.get("STORM_SECONDS", "60"))
MEAN_MS = int(os.environ.get("STORM_MEAN_MS", "6000"))
TOOLS = Path(os.environ["STORM_TOOLS"])  # where storm_* are
KEY = {"REJOIN_TEST_KEY": "5e" * 32}


class Tool:
    """One of tests/storm: says where it listens, and at the end one line of JSON."""

    def __init__(self, test, name, *arguments, listeners=0):
        self.process = subprocess.Popen(
            [TOOLS / f"storm_{name}", *map(str, arguments)], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
        )
        test.addCleanup(self.end)
        self.addresses = [self.process.stdout.readline().split()[-1] for _ in range(listeners)]

    def result(self, seconds):
        out, _ = self.process.communicate(timeout=seconds)
        return json.loads(out.splitlines()[-1])

    def ask(self):
        """Ends it, and hears what it has counted."""
        self.process.terminate()
        return self.result(30)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Storm(ProgramsTest):
    def start_gateway(self, name, game, workers=1):
        config = '[keys]\nseal = ["env:REJOIN_TEST_KEY"]\n[gateway]\n' + keys(
            name=name,
            workers=workers,
            listener=[{"listen": "127.0.0.1:0"}, {"listen": "127.0.0.1:0", "kind": "tcp", "protocol": "rejoin"}],
            upstream={"kind": "tcp", "address": game},
            session={"spread": "500ms"},
        )
        return self.start("gateway", "-c", self.file(config), env={**os.environ, **KEY}).wait_ready()

    def start_balancer(self, gateways):
        text = '[keys]\nseal = ["env:REJOIN_TEST_KEY"]\n'
        for mode, listener in (("http", "websocket"), ("tcp", "tcp")):
            text += "[[listener]]\n" + keys(name=listener, listen="127.0.0.1:0", mode=mode, pool=listener)
            text += "[[pool]]\n" + keys(
                name=listener,
                affinity=[{"kind": "ticket"}],
                server=[
                    {"name": name, "address": "%s:%d" % gateway.address(listener)} for name, gateway in gateways.items()
                ],
            )
        return self.start("balancer", "-c", self.file(text), env={**os.environ, **KEY}).wait_ready()

    def storm(self, clients, seconds, workers=1):
        every_ms = 1000
        count = max(1, seconds * 1000 // every_ms)
        game = Tool(self, "numbers_server", "--every", every_ms, "--count", count, listeners=1)
        gateways = {name: self.start_gateway(name, game.addresses[0], workers) for name in ("g1", "g2")}
        balancer = self.start_balancer(gateways)
        relay = Tool(
            self,
            "cut_relay",
            *("--mean", MEAN_MS),
            *("--to", "%s:%d" % balancer.address("websocket")),
            *("--to", "%s:%d" % balancer.address("tcp")),
            listeners=2,
        )
        players = Tool(
            self,
            "numbers_clients",
            *("--url", f"ws://{relay.addresses[0]}/play", "--url", f"tcp://{relay.addresses[1]}"),
            *("--clients", clients, "--every", every_ms, "--count", count, "--patience", seconds + 90),
        )
        heard = players.result(seconds + 120)
        weather = relay.ask()
        told = game.ask()
        print(json.dumps({"clients": heard, "relay": weather, "game server": told}), flush=True)
        expected = clients * count
        self.assertEqual(heard["complete"], clients)
        self.assertEqual((heard["heard"], heard["lost"], heard["twice"]), (expected, 0, 0))
        self.assertEqual((told["heard"], told["lost"], told["twice"]), (expected, 0, 0))
        self.assertEqual((heard["logins"], told["players"]), (clients, clients), "nobody logged in again")
        self.assertEqual((heard["gaps"], heard["sessions_lost"]), (0, 0))
        # It was a storm: links did break, about as often as they should.
        self.assertGreater(weather["cut"], clients * seconds * 1000 // MEAN_MS // 3)
        self.assertGreater(heard["resumes"], clients)
        for gateway in gateways.values():
            self.assertTrue(gateway.running())

    def test_every_link_is_killed_again_and_again_and_nothing_is_lost_or_doubled(self):
        self.storm(CLIENTS, SECONDS)

    def test_the_same_with_two_workers_in_each_gateway(self):
        """A link that lands on another worker reaches its session."""
        self.storm(min(CLIENTS, 200), min(SECONDS, 10), workers=2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
