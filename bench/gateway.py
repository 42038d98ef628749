#!/usr/bin/env python3
"""What a session costs: the rejoin gateway beside echo servers on libwebsockets, Boost.Beast and Socket.IO, in one run.

gateway: CPU time of the server per echoed 64-byte message (1 and 50 connections), and user-space bytes per idle
connection; of the gateway with the resume protocol, whose sessions are also measured detached, and with plain messages.
storm: all links of many sessions are broken at once and come back at once: CPU time per resume beside that of a bare
WebSocket handshake of the same and of the other servers, and the time until all are back.

How: as relay.py, whose parts this uses. Servers on one core, the load on the other; every round starts all anew and
measures them in turn. The exit status tells of failures, never of slowness.
"""
import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import time

import relay
from relay import Failure, Load, cpu_ns, end, free_port, memory_bytes, rotated, spawn

AIM_ECHO_RATIO = 1.10
AIM_ATTACHED_BYTES = 1024
AIM_DETACHED_BYTES = 512
AIM_RESUME_RATIO = 1.5
START_SECONDS = 15.0


def gateway_command(bench, folder, port):
    (folder / "gateway.toml").write_text(f"""
[log]
level = "error"
[gateway]
name = "g1"
listener = [ {{ listen = "127.0.0.1:{port}" }} ]
upstream = {{ kind = "echo" }}
origins = [ "*" ]
session = {{ grace = "1h", sessions_max = 1000000 }}
heartbeat = {{ ping = "1h", dead = "2h" }}
""")
    return [bench.rejoin, "gateway", "-c", folder / "gateway.toml"]


def lws_command(bench, _folder, port):
    return [bench.tools / "bench_lws_echo", str(port)]


def beast_command(bench, _folder, port):
    return [bench.tools / "bench_beast_echo", str(port)]


def socketio_command(_bench, _folder, port):
    peers = pathlib.Path(__file__).parent / "peers"
    return ["node", peers / "socketio_echo.mjs", str(port), peers]


# name: (how it is started, how its clients speak)
SERVERS = {
    "rejoin resume": (gateway_command, "rejoin"),
    "rejoin plain": (gateway_command, "greeted"),
    "libwebsockets": (lws_command, "websocket"),
    "beast": (beast_command, "websocket"),
    "socket.io": (socketio_command, "socketio"),
}
COMPILED_PEERS = ("libwebsockets", "beast")


class Server:
    """One echo server's running process; as relay.Relay to a Load."""

    settle = relay.Relay.settle

    def __init__(self, bench, name):
        self.name = name
        command, self.speaks = SERVERS[name]
        folder = pathlib.Path(tempfile.mkdtemp(prefix=name.replace(" ", "-") + "-", dir=bench.folder))
        self.port = free_port()
        self.log = folder / "log"
        self.process = spawn(bench.server_core, command(bench, folder, self.port), self.log)
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if time.monotonic() > deadline or self.process.poll() is not None:
                end(self.process)
                raise Failure(f"{name} did not start: " + self.log.read_text(errors="replace")[-1500:])
            time.sleep(0.02)
        self.pids = [self.process.pid]

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def load(self, bench, mode, *options):
        return Load(bench, self, mode, "--speak", self.speaks, *options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)


class Bench:
    def __init__(self, arguments, folder):
        self.rejoin, self.tools = arguments.rejoin, arguments.tools
        self.folder = pathlib.Path(folder)
        cores = sorted(os.sched_getaffinity(0))
        self.load_core, self.server_core = cores[0], cores[min(1, len(cores) - 1)]
        os.sched_setaffinity(0, {self.load_core})
        quick = arguments.quick
        self.echo_connections = (1, 8) if quick else (1, 50)
        self.echo_seconds = 0.1 if quick else 1.2
        self.idle_groups = (50, 100) if quick else (1000, 3000)
        self.storm_links = 50 if quick else arguments.links
        self.handshakes = 100 if quick else 3000
        self.samples = []

    def keep(self, server, figure, value, **details):
        self.samples.append({"server": server.name, "figure": figure, "value": value, **details})

    def measured(self, server, load):
        load.expect("ready")
        before = server.settle()
        load.go_on()
        found = load.result()
        return found, (server.settle() - before) / 1000.0

    def echo(self, server, connections):
        with server.load(self, "echo", "--connections", str(connections), "--seconds", str(self.echo_seconds)) as load:
            found, cpu_us = self.measured(server, load)
        self.keep(server, f"echo {connections}", cpu_us / found["round_trips"], p50_us=found["p50_us"],
                  load_share=found["cpu_s"] / found["wall_s"])

    def idle(self, name, detached):
        warm, more = self.idle_groups
        options = ["--connections", f"{warm},{more}", *(["--detach"] if detached else [])]
        with Server(self, name) as server, server.load(self, "idle", *options) as load:
            readings = []
            for _ in range(2):
                load.expect("held")
                server.settle()
                readings.append(memory_bytes(server.pids)["Anonymous"])
                load.go_on()
            load.result()
            self.keep(server, "detached" if detached else "idle", (readings[1] - readings[0]) / more)

    def handshake(self, server):
        with server.load(self, "handshake", "--count", str(self.handshakes)) as load:
            _, cpu_us = self.measured(server, load)
        self.keep(server, "handshake", cpu_us / self.handshakes)

    def storm(self, name):
        with Server(self, name) as server, server.load(self, "storm", "--connections", str(self.storm_links)) as load:
            found, cpu_us = self.measured(server, load)
            self.keep(server, "resume", cpu_us / found["opened"], all_back_ms=found["wall_s"] * 1000)


def gateway_round(bench, names, number):
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(bench, name)) for name in names]
        for shift, connections in enumerate(bench.echo_connections):
            for server in rotated(servers, number + shift):
                bench.echo(server, connections)
    for name in rotated(names, number):
        bench.idle(name, detached=False)
    if "rejoin resume" in names:
        bench.idle("rejoin resume", detached=True)


def storm_round(bench, names, number):
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(bench, name)) for name in names if name != "rejoin resume"]
        for server in rotated(servers, number):
            bench.handshake(server)
    bench.storm("rejoin resume")


class Report:
    def __init__(self, samples, names):
        self.samples, self.names = samples, names

    def of(self, figure, name):
        return [s["value"] for s in self.samples if s["figure"] == figure and s["server"] == name]

    def median(self, figure, name):
        values = self.of(figure, name)
        return statistics.median(values) if values else None

    def table(self, figure, title, digits=2):
        names = [name for name in self.names if self.of(figure, name)]
        if not names:
            return
        print(f"\n{title}")
        for name in names:
            values = self.of(figure, name)
            print(f"  {name:<16}{statistics.median(values):>12,.{digits}f}   "
                  f"{min(values):,.{digits}f} - {max(values):,.{digits}f}")

    def better(self, figure):
        found = [(self.median(figure, name), name) for name in COMPILED_PEERS if self.of(figure, name)]
        return min(found) if found else None


def verdict(met, text):
    print(f"  {'met   ' if met else 'MISSED'}  {text}")


def report_gateway(bench, report):
    for connections in bench.echo_connections:
        report.table(f"echo {connections}", f"CPU us of the server per echoed message of 64 bytes, {connections} connection(s)")
    report.table("idle", "User-space bytes per idle connection, with its session", 0)
    report.table("detached", "User-space bytes per session without a link", 0)
    print("\nAgainst the aims")
    for connections in bench.echo_connections:
        peer = report.better(f"echo {connections}")
        ours = report.median(f"echo {connections}", "rejoin resume")
        if peer:
            verdict(ours / peer[0] <= AIM_ECHO_RATIO, f"echo {connections}: {ours / peer[0]:.2f} x {peer[1]}, aim at most "
                    f"{AIM_ECHO_RATIO:.2f}")
        theirs = report.median(f"echo {connections}", "socket.io")
        if theirs:
            verdict(ours <= theirs / 10, f"echo {connections}: Socket.IO takes {theirs / ours:.1f} x as much, aim at least 10")
    for figure, aim in (("idle", AIM_ATTACHED_BYTES), ("detached", AIM_DETACHED_BYTES)):
        ours = report.median(figure, "rejoin resume")
        verdict(ours <= aim, f"{'attached' if figure == 'idle' else figure}: {ours:.0f} bytes a session, aim at most {aim}")


def report_storm(bench, report):
    report.table("handshake", "CPU us of the server per bare WebSocket handshake (connect, upgrade, close)", 1)
    report.table("resume", f"CPU us of the gateway per resume, {bench.storm_links} links at once (end of the old link "
                 "included)", 1)
    back = [s["all_back_ms"] for s in bench.samples if s["figure"] == "resume"]
    print(f"\nUntil all {bench.storm_links} are back: {statistics.median(back):.0f} ms ({min(back):.0f} - {max(back):.0f}), "
          "without the jitter that real clients add")
    print("\nAgainst the aims")
    ours, bare = report.median("resume", "rejoin resume"), report.median("handshake", "rejoin plain")
    if bare:
        verdict(ours / bare <= AIM_RESUME_RATIO, f"resume: {ours / bare:.2f} x a plain handshake of the same gateway")
    peer = report.better("handshake")
    if peer:
        verdict(ours / peer[0] <= AIM_RESUME_RATIO, f"resume: {ours / peer[0]:.2f} x a bare handshake of {peer[1]}, aim at "
                f"most {AIM_RESUME_RATIO:.2f}")


def arguments_of():
    parser = argparse.ArgumentParser(description="CPU and memory of sessions: rejoin beside libwebsockets, Beast, Socket.IO")
    parser.add_argument("what", choices=("gateway", "storm"))
    parser.add_argument("--rejoin", type=pathlib.Path, required=True)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--links", type=int, default=2000, help="of the storm; at most 9,000")
    parser.add_argument("--quick", action="store_true", help="a smoke of some seconds")
    return parser.parse_args()


def present(arguments):
    names = list(SERVERS)
    for name, tool in (("libwebsockets", "bench_lws_echo"), ("beast", "bench_beast_echo")):
        if not (arguments.tools / tool).exists():
            print(f"{name} is not measured: {tool} was not built (its library is missing)")
            names.remove(name)
    modules = pathlib.Path(__file__).parent / "peers" / "node_modules" / "socket.io"
    if shutil.which("node") is None or not modules.exists():
        print("socket.io is not measured: node or its modules are missing (tools/bench_modules.sh)")
        names.remove("socket.io")
    return names


def main():
    arguments = arguments_of()
    arguments.rejoin = arguments.rejoin.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    play, tell = {"gateway": (gateway_round, report_gateway), "storm": (storm_round, report_storm)}[arguments.what]
    try:
        with tempfile.TemporaryDirectory(prefix="rejoin-bench-") as folder:
            bench = Bench(arguments, folder)
            names = present(arguments)
            rounds = 1 if arguments.quick else arguments.rounds
            for number in range(rounds):
                start = time.monotonic()
                play(bench, names, number)
                print(f"round {number + 1} of {rounds}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
            tell(bench, Report(bench.samples, names))
            if arguments.quick:
                print("\nA smoke run: everything answered rightly; the numbers mean nothing.")
    except Failure as failure:
        print(f"bench/gateway.py: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
