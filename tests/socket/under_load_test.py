"""socket/balancer/under-load: wrk and WebSocket players together while things happen. No client sees an error but those whose
connection was on a server that was killed.

What happens is the list EVENTS: each is a function of the Scene that makes one thing happen and returns when it has. To add one
(other certificates, an upgrade of the binary) is to write such a function and name it there. Longer and wider:

    REJOIN=build/release/apps/rejoin BENCH_TOOLS=build/release/bench LOAD_ROUNDS=60 LOAD_PLAYERS=500 LOAD_CONNECTIONS=100 \\
      python3 tests/socket/under_load_test.py
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import unittest
from pathlib import Path

from programs import ProgramsTest, WebSocket, poll

ROUNDS = int(os.environ.get("LOAD_ROUNDS", "2"))
PLAYERS = int(os.environ.get("LOAD_PLAYERS", "20"))
CONNECTIONS = int(os.environ.get("LOAD_CONNECTIONS", "8"))
NAMES = "abc"
MOMENT_S = 0.01


class GameServer:
    """A real process (bench_ws_server): answers GET /healthz, echoes WebSockets, tells its name in X-Server."""

    def __init__(self, test, name):
        self.name = name
        self.tool = Path(os.environ.get("BENCH_TOOLS", "")) / "bench_ws_server"
        if not self.tool.is_file():
            raise RuntimeError(f"{self.tool} is no file: set BENCH_TOOLS to the folder of the built bench programs")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = test.folder / f"server-{name}.log"
        self.start()
        test.addCleanup(self.kill)

    def start(self):
        self.log.write_text("")
        with self.log.open("ab") as log:
            command = [self.tool, "--listen", f"127.0.0.1:{self.port}={self.name}"]
            self.process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
        poll(lambda: "ready" in self.log.read_text() or self.process.poll() is not None, f"server {self.name} is ready")
        if self.process.poll() is not None:
            raise AssertionError(f"server {self.name} does not start: {self.log.read_text()}")

    def kill(self):
        self.process.kill()
        self.process.wait()


class Player(threading.Thread):
    """Says something every moment and hears it again. Comes back when its connection ends; why it ended is judged here."""

    def __init__(self, scene):
        super().__init__(daemon=True)
        self.scene = scene
        self.lost, self.echoes, self.errors = 0, 0, []
        self.start()

    def run(self):
        while not self.scene.over.is_set():
            server, kills = None, self.scene.kills.copy()
            try:
                with WebSocket(self.scene.address) as link:
                    server = link.handshake.get("x-server")
                    while not self.scene.over.wait(MOMENT_S):
                        text = str(self.echoes)
                        if not link.echoes(text):
                            raise AssertionError("another echo than was said")
                        self.echoes += 1
            except (AssertionError, OSError) as error:
                if server and self.scene.kills[server] > kills[server]:
                    self.lost += 1
                else:
                    self.errors.append(f"on server {server}: {error!r}")
                    return


class Scene:
    def __init__(self, test):
        self.over = threading.Event()
        self.kills = dict.fromkeys(NAMES, 0)
        self.servers = {name: GameServer(test, name) for name in NAMES}
        listed = [{"name": name, "address": f"127.0.0.1:{one.port}"} for name, one in self.servers.items()]
        health = {"kind": "http", "path": "/healthz", "every": "100ms", "timeout": "5s", "fall": 2, "rise": 1}
        self.balancer = test.http_balancer(
            listed, pool={"affinity": [{"kind": "cookie-insert"}], "health": health}, head="[balancer]\nworkers = 2\n"
        )
        self.address = self.balancer.address()

    def changes(self, name, state):
        return len(self.balancer.said(f"server pool/{name} is {state}"))


def kill_and_restart(name):
    def event(scene):
        downs, ups = scene.changes(name, "down"), scene.changes(name, "up")
        scene.kills[name] += 1
        scene.servers[name].kill()
        poll(lambda: scene.changes(name, "down") > downs, f"{name} is seen down")
        scene.servers[name].start()
        poll(lambda: scene.changes(name, "up") > ups, f"{name} is seen up")

    event.__name__ = f"kill_and_restart({name})"
    return event


def nothing(scene):
    """So that all is seen to be well when nothing happens."""
    before = sum(player.echoes for player in scene.players)
    poll(lambda: sum(player.echoes for player in scene.players) > before + PLAYERS, "the players play")


def reloads(scene):
    """The configuration is read again, five times."""
    for _ in range(5):
        before = len(scene.balancer.said("reload: "))
        scene.balancer.signal(signal.SIGHUP)
        poll(lambda: len(scene.balancer.said("reload: ")) > before, "the balancer has read its configuration again")


EVENTS = [nothing, reloads, kill_and_restart("a"), kill_and_restart("b"), kill_and_restart("c")]


class UnderLoad(ProgramsTest):
    def wrk(self, scene, script):
        if shutil.which("wrk") is None:
            raise AssertionError("wrk is not installed: apt-get install wrk")
        url = "http://%s:%d/healthz" % scene.address
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d600s", "--timeout", "30s", "-s", str(script), url]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def test_things_happen_and_nobody_sees_them(self):
        scene = Scene(self)
        scene.players = [Player(scene) for _ in range(PLAYERS)]
        load = self.wrk(scene, self.file("", ".lua"))
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        for number in range(ROUNDS):
            for event in EVENTS:
                event(scene)
                for player in scene.players:
                    self.assertEqual(player.errors, [], f"round {number + 1}, {event.__name__}")
        load.send_signal(2)  # it ends, and says what it saw
        said = load.communicate(timeout=60)[0]
        scene.over.set()
        for player in scene.players:
            player.join(30)
            self.assertEqual(player.errors, [])
        self.assertNotRegex(said, "Non-2xx|Socket errors")
        self.assertGreater(int(re.search(r"(\d+) requests in", said)[1]), 0, said)
        lost = sum(player.lost for player in scene.players)
        self.assertGreater(lost, 0, "nobody was on a server that was killed: the test shows nothing")


if __name__ == "__main__":
    unittest.main()
