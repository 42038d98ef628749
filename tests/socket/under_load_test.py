"""socket/balancer/under-load: wrk, bench_load and WebSocket players together, plain and over TLS, while things happen. No client
sees an error but those whose connection was on a server that was killed.

What happens is the list EVENTS: each is a function of the Scene that makes one thing happen and returns when it has. To add one
is to write such a function and name it there. The last one is all of them at once. Longer and wider:

    REJOIN=build/release/apps/rejoin BENCH_TOOLS=build/release/bench LOAD_SECONDS=60 LOAD_PLAYERS=60 LOAD_CONNECTIONS=16 \\
      python3 tests/socket/under_load_test.py

With LOAD_SECONDS everything happens at once for so long: a reload and a server killed and restarted each second, new
certificates every 3 s, an upgrade of the binary every 5 s. What was counted is printed; LOAD_LOG=FILE keeps the whole
log of the balancers.
"""

import os
import signal
import threading
import time
import unittest
from pathlib import Path

from load_scene import NAMES, Player, Scene, Steady, Wrk
from programs import ProgramsTest, poll

ROUNDS = int(os.environ.get("LOAD_ROUNDS", "2"))
LOG = os.environ.get("LOAD_LOG")
SECONDS = float(os.environ.get("LOAD_SECONDS", "0"))
PLAYERS = int(os.environ.get("LOAD_PLAYERS", "20"))
CONNECTIONS = int(os.environ.get("LOAD_CONNECTIONS", "8"))
RELOAD_EVERY_S, KILL_EVERY_S, CERTIFICATES_EVERY_S, UPGRADE_EVERY_S = 1, 1, 3, 5
STEADY_BURST_S = 1


def nothing(scene):
    """So that all is seen to be well when nothing happens."""
    before = sum(player.echoes for player in scene.players)
    poll(lambda: sum(player.echoes for player in scene.players) > before + PLAYERS, "the players play")


def reload(scene):
    """The configuration is read again. Who is asked may be replaced just then, and the next process is asked."""
    told = "reload: (done|nothing is new)"  # the latter when two came together
    before, asked = len(scene.balancer.said(told)), None
    scene.configure()

    def done():
        nonlocal asked
        if asked != scene.current:
            asked = scene.current
            scene.signal(signal.SIGHUP)
        return len(scene.balancer.said(told)) > before

    poll(done, "the balancer has read its configuration again")
    scene.done["reload"] += 1


def reloads(scene):
    for _ in range(5):
        reload(scene)


def kill_and_restart(name):
    def event(scene):
        scene.shot[name] += 1
        scene.servers[name].kill()
        scene.dead[name] += 1
        poll(lambda: scene.is_up(name) is False, f"{name} is seen down")
        scene.servers[name].start()
        poll(lambda: scene.is_up(name), f"{name} is seen up")
        with scene.upgrading:  # a new process has to find out for itself
            poll(lambda: scene.is_up(name), f"{name} is seen up by the process that serves now")
        scene.settled[name] += 1
        scene.done["kill"] += 1

    event.__name__ = f"kill_and_restart({name})"
    return event


def certificates(scene):
    """New files are put in place and SIGHUP is sent; from then on everybody is shown the new one."""
    serial = scene.put_certificate()
    reload(scene)
    poll(lambda: scene.shown() == serial, "the new certificate is served")
    scene.serials.append(serial)
    scene.done["certificates"] += 1


def upgrade(scene):
    """The binary is replaced: another process takes the listening sockets over, and the old one keeps whom it has. Where
    certificates are being renewed just then, the new process may find one's file and the other's key: it ends, the old one goes on,
    and the operator asks again."""
    failed = r"upgrade: process \d+ ended with status 2 before it served; this one goes on"
    with scene.upgrading:
        before, asked = len(scene.takers()), None

        def done():
            nonlocal asked
            mismatches = len(scene.balancer.said("key: it does not belong to the certificate"))
            failures = len(scene.balancer.said(failed))
            if failures != asked and failures <= mismatches:
                asked = failures
                scene.signal(signal.SIGUSR2)
            return len(scene.takers()) > before

        poll(done, "a new process serves")
        scene.processes.append(scene.takers()[-1])
        scene.failed_upgrades = len(scene.balancer.said(failed))
    scene.done["upgrade"] += 1


def upgrade_and_the_old_one_goes(scene):
    old = scene.current
    upgrade(scene)
    poll(lambda: scene.ended(old), "the old process has ended with its last client")


def at_once(scene, *events):
    """Each event on a thread of its own, as often as it says: (event, pause in seconds or None for once)."""
    failed = []

    def play(event, every):
        try:
            while True:
                begun = time.monotonic()
                event(scene)
                if every is None or scene.enough.wait(max(0.0, every - (time.monotonic() - begun))):
                    return
        except Exception as error:  # whatever it is, the test has to hear of it
            failed.append(f"{event.__name__}: {error!r}")
            scene.enough.set()

    threads = [threading.Thread(target=play, args=one) for one in events]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise AssertionError("; ".join(failed))


def all_at_once(scene):
    at_once(scene, (reloads, None), (kill_and_restart("a"), None), (certificates, None), (upgrade, None))


def kill_the_next(scene):
    kill_and_restart(NAMES[scene.done["kill"] % len(NAMES)])(scene)


EVENTS = [nothing, reloads, *map(kill_and_restart, NAMES), certificates, upgrade_and_the_old_one_goes, all_at_once]


class UnderLoad(ProgramsTest):
    def loads(self, scene):
        found = []
        for name, listener, fresh in (("http, kept connections", "play", False), ("http, new connections", "play", True),
                                      ("https, kept connections", "secure", False), ("https, new connections", "secure", True)):
            url = "http%s://%s:%d/healthz" % ("s" if listener == "secure" else "", *scene.address(listener))
            found.append(Wrk(self, name, url, CONNECTIONS, fresh))
        return found

    def errors(self, scene):
        """By kind, so far; of wrk only the end tells."""
        found = {}
        for said in [error for one in (*scene.players, scene.steady) for error in list(one.errors)]:
            found[said] = found.get(said, 0) + 1
        return found

    def play(self, scene):
        if SECONDS:
            timer = threading.Timer(SECONDS, scene.enough.set)
            timer.start()
            at_once(scene, (reload, RELOAD_EVERY_S), (kill_the_next, KILL_EVERY_S), (certificates, CERTIFICATES_EVERY_S), (upgrade, UPGRADE_EVERY_S))
            return
        for number in range(ROUNDS):
            for event in EVENTS:
                event(scene)
                self.assertEqual(self.errors(scene), {}, f"round {number + 1}, {event.__name__}")

    def report(self, scene, seconds, requests):
        players = scene.players
        print(f"\n{seconds:.0f} s; " + ", ".join(f"{what} {count}" for what, count in scene.done.items())
              + f"; upgrades that found half of a new certificate and were asked again {scene.failed_upgrades}")
        for name, (count, errors) in requests.items():
            print(f"  wrk, {name}: {count} requests, errors {errors or 0}")
        print(f"  bench_load: {scene.steady.round_trips} messages and back, errors {len(scene.steady.errors)}")
        for word, some in (("ws", [p for p in players if not p.secure]), ("wss", [p for p in players if p.secure])):
            print(f"  {len(some)} players by {word}: {sum(p.echoes for p in some)} messages and back in "
                  f"{sum(p.visits for p in some)} visits, {sum(p.returns for p in some)} returns to a server of before, "
                  f"{sum(p.lost for p in some)} lost with a killed server, errors {sum(len(p.errors) for p in some)}")
        lived = {what: sum(p.outlived[what] for p in players) for what in players[0].outlived}
        print("  visits during which it happened: " + ", ".join(f"{what} {count}" for what, count in lived.items()))
        print(f"  players' errors by kind: {self.errors(scene) or 'none'}")

    def test_things_happen_and_nobody_sees_them(self):
        scene = Scene(self)
        scene.enough = threading.Event()
        scene.players = [Player(scene, secure=number % 2 == 1) for number in range(PLAYERS)]
        scene.steady = Steady(scene, CONNECTIONS, min(SECONDS / 4, 60) if SECONDS else STEADY_BURST_S)
        loads = self.loads(scene)
        begun, well = time.monotonic(), False
        try:
            self.play(scene)
            well = True
        finally:
            scene.over.set()
            requests = {load.name: load.end() for load in loads}
            for one in (*scene.players, scene.steady):
                one.join(60)
            if SECONDS or not well or self.errors(scene) or any(errors for _, errors in requests.values()):
                self.report(scene, time.monotonic() - begun, requests)
            if LOG:
                Path(LOG).write_text(scene.balancer.log() + "\n")
        self.assertEqual(self.errors(scene), {})
        self.assertEqual({name: errors for name, (_, errors) in requests.items() if errors}, {})
        self.assertTrue(all(count > 0 for count, _ in requests.values()), requests)
        self.assertEqual(set(scene.end_processes()), {0}, "each process ended well")
        self.assertGreater(scene.steady.round_trips, 0)
        players = scene.players
        self.assertGreater(sum(player.lost for player in players), 0, "nobody was on a server that was killed: it shows nothing")
        self.assertGreater(sum(player.returns for player in players), 0, "nobody came back")
        for what in players[0].outlived:
            self.assertGreater(sum(player.outlived[what] for player in players), 0, f"nobody was there during: {what}")


if __name__ == "__main__":
    unittest.main()
