#!/usr/bin/env python3
"""What a relayed WebSocket costs: the rejoin balancer beside HAProxy, nginx and a bare epoll relay, in one run.

Three figures, each of the relay's own process: CPU time per relayed round trip (64-byte echo, 1 and 50 connections), CPU
time per WebSocket handshake with cookie affinity (new and returning clients apart; TCP connect, upgrade and close, on
both sides), and user-space bytes per idle relayed WebSocket. The relays run on one core, load and echo server on
another, all on loopback. Every round starts all relays anew and measures them in turn, in another order each round.

CPU time, not wall time, is what is compared: it is the process's own clock (nanoseconds, all threads; nginx is master
and worker). Ratios are taken within a round, the medians and extremes of the rounds are shown. The exit status tells of
failures (a wrong echo, a refused handshake, a client that lost its server), never of slowness.
"""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from relays import COOKIE_RELAYS, DEFAULT_RELAYS, PEERS, RELAYS, version_of

AIM_ECHO_RATIO = 1.10
AIM_IDLE_BYTES = 600
QUIET_SHARE = 0.15
START_TRIES = 5
START_SECONDS = 10.0


class Failure(Exception):
    """The run is void: something answered wrongly or did not start."""


class Sizes:
    """How much of everything. Visitors are odd: without affinity round-robin over two servers would else bring each
    of them back by chance, and the count of the moved would prove nothing."""

    def __init__(self, quick):
        self.echo_connections = (1, 8) if quick else (1, 50)
        self.echo_seconds = 0.1 if quick else 1.2
        self.handshakes = 101 if quick else 4000
        self.visitors = 33 if quick else 501
        self.idle_groups = (50, 150) if quick else (1000, 4000)


# ---- processes -------------------------------------------------------------------------------------------------------


def spawn(core, command, log, **options):
    """Starts a process that is pinned from its first instruction, as its children will be."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with open(log, "ab") as errors:
            return subprocess.Popen([str(part) for part in command], stderr=errors, **options)
    finally:
        os.sched_setaffinity(0, before)


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def cpu_ns(pids):
    """The processes' CPU clocks (the encoding of clock_getcpuclockid: exact, and ended threads count too)."""
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)


def core_busy_s(core):
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _idle, _wait, irq, softirq, *_ = (int(field) for field in line.split()[1:])
            return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return 0.0


def memory_bytes(pids):
    sums = dict.fromkeys(("Anonymous", "Private_Dirty", "Rss"), 0)
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in sums:
                sums[name] += int(rest.split()[0]) * 1024
    return sums


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- the relays ------------------------------------------------------------------------------------------------------


class Relay:
    """One relay's running process. A port that was free a moment ago may be taken: then another one is tried."""

    def __init__(self, bench, name):
        self.name = name
        for _ in range(START_TRIES):
            folder = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=bench.folder))
            self.log = folder / "log"
            self.port = free_port()
            command = RELAYS[name](bench, folder, self.port)
            self.process = spawn(bench.relay_core, command, self.log, stdout=subprocess.DEVNULL)
            if self._answers():
                self.pids = [self.process.pid, *children_of(self.process.pid)]
                return
            end(self.process)
        raise Failure(f"{name} did not start; its last words:\n" + self.log.read_text(errors="replace")[-1500:])

    def _answers(self):
        """Whether a request through the relay reaches one of our servers."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
            try:
                connection.request("GET", "/healthz")
                answer = connection.getresponse()
                if answer.status == 200 and answer.getheader("X-Server"):
                    return True
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(0.01)
        return False

    def settle(self):
        """Waits until it has closed what its clients left (its clock stands still), and returns its CPU time."""
        before = cpu_ns(self.pids)
        for _ in range(40):
            time.sleep(0.025)
            now = cpu_ns(self.pids)
            if now - before < 20_000:
                return now
            before = now
        return before

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)


def children_of(parent):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


class Load:
    """bench_ws_load, led step by step: it says a line and waits for one."""

    def __init__(self, bench, relay, mode, *options):
        self.who = f"{relay.name}, {mode} {' '.join(str(option) for option in options)}"
        command = [bench.tools / "bench_ws_load", mode, "--to", f"127.0.0.1:{relay.port}", "--wait", *options]
        self.process = spawn(bench.load_core, command, bench.folder / "load.log", text=True, bufsize=1,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def expect(self, word):
        line = self.process.stdout.readline()
        if not line.startswith(word):
            raise Failure(f"{self.who}: {line.strip() or 'the load generator ended'}")

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self):
        line = self.process.stdout.readline()
        try:
            found = json.loads(line)
        except ValueError:
            raise Failure(f"{self.who}: no result but {line!r}") from None
        if found["errors"]:
            raise Failure(f"{self.who}: {found['errors']} errors, the first: {found['first_error']}")
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        end(self.process)
        self.process.stdout.close()


# ---- the three figures -----------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, arguments, folder):
        self.rejoin = arguments.rejoin
        self.tools = arguments.tools
        self.folder = pathlib.Path(folder)
        self.sizes = Sizes(arguments.quick)
        cores = sorted(os.sched_getaffinity(0))
        self.load_core, self.relay_core = cores[0], cores[min(1, len(cores) - 1)]
        os.sched_setaffinity(0, {self.load_core})
        self.servers = []
        self.backend = None
        self.samples = []  # one dict for each measurement

    def start_servers(self, stack):
        log = self.folder / "server.log"
        command = [self.tools / "bench_ws_server", "--listen", "127.0.0.1:0=b1", "--listen", "127.0.0.1:0=b2"]
        self.backend = spawn(self.load_core, command, log)
        stack.callback(end, self.backend)
        deadline = time.monotonic() + START_SECONDS
        while "ready" not in log.read_text():
            if time.monotonic() > deadline or self.backend.poll() is not None:
                raise Failure("bench_ws_server did not start: " + log.read_text())
            time.sleep(0.01)
        self.servers = [line.split()[-1] for line in log.read_text().splitlines() if line.startswith("listening on ")]

    def _run(self, relay, load):
        """The measured part between two readings of the clocks; everything in flight has come back at its end."""
        load.expect("ready")
        core_before = core_busy_s(self.relay_core)
        backend_before = cpu_ns([self.backend.pid])
        before = relay.settle()
        start = time.monotonic()
        load.go_on()
        found = load.result()
        wall = time.monotonic() - start
        after = relay.settle()
        cpu = after - before
        return found, cpu / 1000.0, {
            "relay_share": cpu / 1e9 / wall, "load_share": found["cpu_s"] / wall,
            "server_share": (cpu_ns([self.backend.pid]) - backend_before) / 1e9 / wall,
            # The kernel counts ticks of 10 ms: a hint of noise, no measurement.
            "others_share": max(0.0, (core_busy_s(self.relay_core) - core_before - cpu / 1e9) / wall)}

    def echo(self, relay, connections):
        with Load(self, relay, "echo", "--connections", str(connections), "--seconds",
                  str(self.sizes.echo_seconds)) as load:
            found, cpu_us, shares = self._run(relay, load)
        trips = found["round_trips"]
        if trips < connections:
            raise Failure(f"{relay.name}: {trips} round trips on {connections} connections")
        self._keep(relay, f"echo {connections}", cpu_us / trips, round_trips=trips, p50_us=found["p50_us"],
                   p99_us=found["p99_us"], **shares)

    def handshake(self, relay, kind):
        count = self.sizes.handshakes
        options = ["--count", str(count)]
        if kind == "returning":
            options += ["--returning", str(self.sizes.visitors)]
        with Load(self, relay, "handshake", *options) as load:
            found, cpu_us, shares = self._run(relay, load)
        if found["opened"] != count:
            raise Failure(f"{relay.name}: {found['opened']} of {count} handshakes")
        if found["moved"] and relay.name in COOKIE_RELAYS:
            raise Failure(f"{relay.name}: {found['moved']} returning clients reached another server, the "
                          f"first: {found['first_moved']}")
        self._keep(relay, f"handshake {kind}", cpu_us / count, moved=found["moved"], **shares)

    def idle(self, name):
        """On a fresh process: an allocator that was fuller before would hide what a connection takes."""
        warm, more = self.sizes.idle_groups
        with Relay(self, name) as relay, Load(self, relay, "idle", "--connections", f"{warm},{more}") as load:
            readings = []
            for _ in range(2):
                load.expect("held")
                relay.settle()
                readings.append(memory_bytes(relay.pids))
                load.go_on()
            load.result()
        slopes = {key: (readings[1][key] - readings[0][key]) / more for key in readings[0]}
        self._keep(relay, "idle", slopes["Anonymous"], private_dirty=slopes["Private_Dirty"], rss=slopes["Rss"])

    def _keep(self, relay, figure, value, **details):
        self.samples.append({"relay": relay.name, "figure": figure, "value": value, **details})

    def round(self, names, number, figures):
        steps = []
        if "echo" in figures:
            steps += [(self.echo, connections) for connections in self.sizes.echo_connections]
        if "handshake" in figures:
            steps += [(self.handshake, "new"), (self.handshake, "returning")]
        if steps:
            with contextlib.ExitStack() as stack:
                relays = [stack.enter_context(Relay(self, name)) for name in names]
                for relay in relays:
                    self._warm(relay)
                for shift, (measure, argument) in enumerate(steps):
                    for relay in rotated(relays, number + shift):
                        measure(relay, argument)
        if "idle" in figures:
            for name in rotated(names, number):
                self.idle(name)

    def _warm(self, relay):
        for mode, *options in (("echo", "--seconds", "0.05"), ("handshake", "--count", "100")):
            with Load(self, relay, mode, *options) as load:
                load.expect("ready")
                load.go_on()
                load.result()


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


# ---- the report ------------------------------------------------------------------------------------------------------


class Report:
    def __init__(self, samples, names):
        self.samples = samples
        self.names = names

    def of(self, figure, name):
        """One value for each round."""
        return [s["value"] for s in self.samples if s["figure"] == figure and s["relay"] == name]

    def median(self, figure, name):
        values = self.of(figure, name)
        return statistics.median(values) if values else None

    def ratios(self, figure, name, to):
        """Within each round, so that a slow minute of the machine weighs on both."""
        return [a / b for a, b in zip(self.of(figure, name), self.of(figure, to)) if b > 0]

    def better_peer(self, figure):
        found = [(self.median(figure, name), name) for name in PEERS if self.of(figure, name)]
        return min(found)[1] if found else None

    def table(self, figure, title, digits):
        if not any(self.of(figure, name) for name in self.names):
            return
        peer = self.better_peer(figure)
        print(f"\n{title}")
        print(f"  {'relay':<14}{'median':>10}  {'min - max':<19}{'x bare':>8}{'x ' + peer if peer else '':>12}")
        for name in self.names:
            values = self.of(figure, name)
            line = f"  {name:<14}{statistics.median(values):>10,.{digits}f}  "
            line += f"{min(values):,.{digits}f} - {max(values):,.{digits}f}".ljust(19)
            line += self._ratio(figure, name, "bare").rjust(8) + (self._ratio(figure, name, peer).rjust(12))
            if figure.startswith("handshake"):
                line += f"   {1e6 / statistics.median(values):>8,.0f} handshakes per CPU second"
            print(line)

    def _ratio(self, figure, name, to):
        values = self.ratios(figure, name, to) if to else []
        return f"{statistics.median(values):.2f}" if values else ""

    def shares(self):
        busy = [s for s in self.samples if "load_share" in s]
        if not busy:
            return
        print("\nWho was busy (share of a core, medians)")
        for figure in dict.fromkeys(s["figure"] for s in busy):
            for name in self.names:
                found = [s for s in busy if s["figure"] == figure and s["relay"] == name]
                relay, load, server, others = (statistics.median(s[key] for s in found) for key in
                                               ("relay_share", "load_share", "server_share", "others_share"))
                print(f"  {figure + ', ' + name:<36} relay {relay:4.0%}   load {load:4.0%} + server {server:4.0%} = "
                      f"{load + server:4.0%}   others beside the relay {others:4.0%}")
        print(f"  The load generator alone never took more than {max(s['load_share'] for s in busy):.0%} of its core.")
        others = statistics.median(s["others_share"] for s in busy)
        if others > QUIET_SHARE:
            print(f"  NOT A QUIET MACHINE: others took {others:.0%} of the relays' core. Cold caches make every figure too "
                  "high, and ratios rough.")

    def verdicts(self):
        """Lines against the aims of docs: said, never enforced."""
        found = []
        for figure in dict.fromkeys(s["figure"] for s in self.samples):
            ours = self.median(figure, "rejoin")
            if ours is None:
                continue
            if figure.startswith("echo") and self.of(figure, "bare"):
                ratio = statistics.median(self.ratios(figure, "rejoin", "bare"))
                found.append((ratio <= AIM_ECHO_RATIO, f"{figure} connection(s): {ratio:.3f} x the bare relay, "
                              f"aim at most {AIM_ECHO_RATIO:.2f}"))
            peer = self.better_peer(figure)
            if figure.startswith("handshake") and peer:
                theirs = self.median(figure, peer)
                found.append((ours < theirs, f"{figure}: {ours:.1f} us, {peer} {theirs:.1f} us, aim fewer than both peers"
                              f" ({theirs / ours:.2f} x the handshakes per CPU second)"))
            if figure == "idle":
                found.append((ours <= AIM_IDLE_BYTES, f"idle: {ours:.0f} bytes a relayed WebSocket, "
                              f"aim at most {AIM_IDLE_BYTES}"))
        return found


def print_report(bench, names, quick):
    report = Report(bench.samples, names)
    for connections in bench.sizes.echo_connections:
        report.table(f"echo {connections}", f"CPU us of the relay per round trip of 64 bytes, {connections} connection(s)",
                     2)
    for kind in ("new", "returning"):
        report.table(f"handshake {kind}", f"CPU us of the relay per WebSocket handshake, {kind} clients", 1)
    warm, more = bench.sizes.idle_groups
    report.table("idle", f"User-space bytes per idle relayed WebSocket (anonymous memory of smaps_rollup, slope from {warm:,}"
                 f" to {warm + more:,} connections)", 0)
    if quick:
        print("\nA smoke run: everything answered rightly; the numbers mean nothing.")
        return
    report.shares()
    verdicts = report.verdicts()
    print("\nAgainst the aims" if verdicts else "\nNo verdict without rejoin.")
    for met, text in verdicts:
        print(f"  {'met   ' if met else 'MISSED'}  {text}")


def arguments_of():
    parser = argparse.ArgumentParser(description="CPU and memory of relayed WebSockets: rejoin, HAProxy, nginx, bare")
    parser.add_argument("--rejoin", type=pathlib.Path, help="the rejoin program of preset release")
    parser.add_argument("--tools", type=pathlib.Path, required=True, help="the folder with bench_ws_load and the others")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a smoke of some seconds: right answers, no measurement")
    parser.add_argument("--only", help="some of " + ",".join(RELAYS))
    parser.add_argument("--figures", default="echo,handshake,idle", help="some of echo,handshake,idle")
    parser.add_argument("--json", type=pathlib.Path, help="write every sample to this file")
    arguments = parser.parse_args()
    arguments.figures = arguments.figures.split(",")
    arguments.names = arguments.only.split(",") if arguments.only else list(DEFAULT_RELAYS)
    for given, known in ((arguments.names, RELAYS), (arguments.figures, ("echo", "handshake", "idle"))):
        for name in given:
            if name not in known:
                parser.error(f"unknown: {name} (known: {', '.join(known)})")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def check_present(arguments):
    """Says what is missing. Without a peer the run goes on, without rejoin or the tools it does not."""
    for tool in ("bench_ws_load", "bench_ws_server", "bench_bare_relay"):
        if not (arguments.tools / tool).exists():
            raise Failure(f"{arguments.tools / tool} does not exist: build preset release with REJOIN_BENCH=ON first")
    if "rejoin" in arguments.names:
        if arguments.rejoin is None:
            raise Failure("--rejoin PATH is needed (or leave rejoin out: --only haproxy,nginx,bare)")
        if not arguments.rejoin.exists():
            raise Failure(f"{arguments.rejoin} does not exist: build preset release first")
        arguments.rejoin = arguments.rejoin.resolve()
    os.environ["PATH"] += ":/usr/sbin:/usr/local/sbin"
    for peer in PEERS:
        if peer in arguments.names and shutil.which(peer) is None:
            print(f"{peer} is not measured: the package {peer} is missing (apt-get install {peer})")
            arguments.names.remove(peer)
    if not arguments.names:
        raise Failure("nothing is left to measure")


def main():
    arguments = arguments_of()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        check_present(arguments)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rejoin-bench-"))
            bench = Bench(arguments, folder)
            if bench.load_core == bench.relay_core:
                print("One core only: relay and load share it, so that even ratios are rough.")
            bench.start_servers(stack)
            for peer in PEERS:
                if peer in arguments.names:
                    print(version_of(peer))
            sys.stdout.flush()
            rounds = 1 if arguments.quick else arguments.rounds
            for number in range(rounds):
                start = time.monotonic()
                bench.round(arguments.names, number, arguments.figures)
                print(f"round {number + 1} of {rounds}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
            print_report(bench, arguments.names, arguments.quick)
            if arguments.json:
                arguments.json.write_text(json.dumps({"rounds": rounds, "samples": bench.samples}, indent=1) + "\n")
    except Failure as failure:
        print(f"bench/relay.py: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
