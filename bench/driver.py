"""What every group of figures stands on: the load generator led step by step, subjects as processes, and the one way in which
everything is measured: clocks of the subject's processes before and after a command of the load generator, nothing in between."""
import collections
import contextlib
import http.client
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import tempfile
import time

from machine import Failure, children_of, core_busy_s, cpu_ns, end, free_port, spawn

START_TRIES = 5
START_SECONDS = 15.0
SETTLED_NS = 20_000  # of CPU time in 25 ms: whatever was left to be closed is closed


class Load:
    """bench_load: one command, one answer."""

    def __init__(self, bench, subject, *options):
        self.who = subject.name
        command = [bench.tools / "bench_load", "--to", f"127.0.0.1:{subject.port}", *subject.load_options, *options]
        self.log = bench.folder / "load.log"
        self.process = spawn({bench.cores.load}, command, self.log, text=True, bufsize=1, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)

    def do(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        try:
            found = json.loads(line)
        except ValueError:
            raise Failure(f"{self.who}, {command}: no result but {line!r} {self.log.read_text()[-300:]}") from None
        if found["errors"]:
            raise Failure(f"{self.who}, {command}: {found['errors']} errors, the first: {found['first_error']}")
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        end(self.process)
        self.process.stdout.close()


class Setup:
    """What a subject's configuration is made from. `servers` are addresses behind it, `tls` a PEM file of certificate and key,
    `game` the address of a game server behind a gateway."""

    def __init__(self, bench, name, mode="http", servers=(), workers=1, tls=None, game=None):
        self.rejoin, self.tools = bench.rejoin, bench.tools
        self.name, self.mode, self.servers, self.workers = name, mode, list(servers), workers
        self.tls, self.game = tls, game
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=name.replace(" ", "-") + "-", dir=bench.folder))
        self.port = free_port()
        self.environment = {}


class Subject:
    """One subject's running process. A port that was free a moment ago may be taken: then another one is tried."""

    def __init__(self, bench, name, command_of, load_options=(), both_cores=False, **setup):
        self.name, self.load_options, self.up = name, list(load_options), bench.up
        cores = {bench.cores.load, bench.cores.subject} if both_cores else {bench.cores.subject}
        for _ in range(START_TRIES):
            made = Setup(bench, name, **setup)
            self.port, self.log = made.port, made.folder / "log"
            command = command_of(made)
            self.process = spawn(cores, command, self.log, stdout=subprocess.DEVNULL, cwd=made.folder,
                                 env={**os.environ, **made.environment})
            if self._answers(made):
                self.pids = [self.process.pid, *children_of(self.process.pid)]
                return
            end(self.process)
        raise Failure(f"{name} did not start; its last words:\n" + self.log.read_text(errors="replace")[-1500:])

    def _answers(self, setup):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if probe(setup):
                    return True
            time.sleep(0.01)
        return False

    def settle(self):
        """Waits until it has closed what its clients left (its clock stands still), and returns its CPU time."""
        before = cpu_ns(self.pids)
        for _ in range(30):
            time.sleep(0.025)
            now = cpu_ns(self.pids)
            if now - before < SETTLED_NS:
                return now
            before = now
        return before

    def __enter__(self):
        self.up.append(self)
        return self

    def __exit__(self, *_):
        self.up.remove(self)
        end(self.process)


def probe(setup):
    """Whether a subject serves: a balancer is asked for something that a server behind it answers."""
    if setup.mode == "gateway":
        socket.create_connection(("127.0.0.1", setup.port), timeout=1).close()
        return True
    if setup.mode == "tcp":
        with socket.create_connection(("127.0.0.1", setup.port), timeout=1) as link:
            link.sendall(struct.pack(">I", 1) + b"e")
            return link.recv(5) != b""
    if setup.tls:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", setup.port, timeout=1, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", setup.port, timeout=1)
    with contextlib.closing(connection):
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status == 200 and bool(answer.getheader("X-Server"))


class Bench:
    """One run: the tools, the cores, the servers behind subjects, and the samples."""

    def __init__(self, arguments, folder, cores):
        self.rejoin, self.tools, self.quick = arguments.rejoin, arguments.tools.resolve(), arguments.quick
        self.links = arguments.links
        self.folder, self.cores = pathlib.Path(folder), cores
        self.samples = []
        self.round = 0
        self.helpers = []  # pids of the servers behind the subjects
        self.up = []  # subjects that run: one is measured, the others wait for their turn

    def serve(self, stack, *options):
        """Starts a bench_ws_server; returns its addresses, in the order of the options."""
        log = self.folder / f"server-{len(self.helpers)}-{time.monotonic_ns()}.log"
        process = spawn({self.cores.load}, [self.tools / "bench_ws_server", *options], log)
        stack.callback(end, process)
        deadline = time.monotonic() + START_SECONDS
        while "ready" not in log.read_text():
            if time.monotonic() > deadline or process.poll() is not None:
                raise Failure("bench_ws_server did not start: " + log.read_text())
            time.sleep(0.01)
        self.helpers.append(process.pid)
        stack.callback(self.helpers.remove, process.pid)
        return [line.split()[-1] for line in log.read_text().splitlines() if line.startswith("listening on ")]

    def keep(self, subject, figure, value, x=None, **details):
        sample = {"figure": figure, "subject": subject.name, "round": self.round, "value": round(value, 1)}
        if x is not None:
            sample["x"] = x
        self.samples.append({**sample, **details})

    @contextlib.contextmanager
    def clocks(self, subject):
        """Fills a dict with the subject's CPU time of what happens inside, and with who was busy meanwhile."""
        found = {}
        others_up = [pid for other in self.up if other is not subject for pid in other.pids]
        before = subject.settle()
        busy = [core_busy_s(core) for core in (self.cores.subject, self.cores.load)]
        helpers, waiting, start = cpu_ns(self.helpers), cpu_ns(others_up), time.monotonic()
        yield found
        wall = time.monotonic() - start
        during = cpu_ns(subject.pids) - before  # what it does afterwards counts as its work, and not as its share
        helpers, waiting = cpu_ns(self.helpers) - helpers, cpu_ns(others_up) - waiting
        busy = [core_busy_s(core) - then for core, then in zip((self.cores.subject, self.cores.load), busy)]
        found["cpu_ns"] = subject.settle() - before
        found["shares"] = {
            "subject": round(during / 1e9 / wall, 3), "server": round(helpers / 1e9 / wall, 3),
            "waiting": round(waiting / 1e9 / wall, 4),
            "others": round(max(0.0, (busy[0] - (during + waiting) / 1e9) / wall), 3), "load_core": round(busy[1] / wall, 3)}
        found["wall_s"] = wall

    def measure(self, subject, load, figure, command, x=None, units=None):
        """The subject's CPU time of one command of the load generator, per unit of work."""
        value, details, outcome = self.take(subject, load, command, units)
        self.keep(subject, figure, value, x, **details)
        return outcome

    def measure_slices(self, pairs, figure, command, slices, units=None, buckets=False, xs=None, warm_up=None):
        """The same of several (subject, load) that are up at once. `buckets`: keep the latencies of all slices. `warm_up`: a
        command before each slice that counts for nothing. Returns the outcomes, by subject."""
        loads = dict(pairs)

        def take(subject):
            if warm_up:
                loads[subject].do(warm_up)
            return self.take(subject, loads[subject], command, units, buckets)

        taken = self.in_turn(figure, loads, slices, take, xs)
        return {subject: [outcome for _, _, outcome in takes] for subject, takes in taken.items()}

    def in_turn(self, figure, subjects, slices, take, xs=None):
        """A slice of each subject, then another of each, and so on. What counts is each one's median slice: whoever else is busy on
        this machine, or on the one below it, is so for moments. `take` returns the value, and what is to be kept with it; `xs` has
        the x of each subject, where several are the same one with more of something."""
        subjects = list(subjects)
        taken = {subject: [] for subject in subjects}
        for number in range(slices):
            for subject in rotated(subjects, number):
                taken[subject].append(take(subject))
        for subject, takes in taken.items():
            value, details, *_ = sorted(takes, key=lambda it: it[0])[slices // 2]
            latencies = [it[1]["latency"] for it in takes if "buckets" in it[1].get("latency", {})]
            if latencies:
                details = {**details, "latency": together(latencies)}
            x = xs[subject] if xs else None
            self.keep(subject, figure, value, x, slices=[round(it[0], 1) for it in takes], **details)
        return taken

    def take(self, subject, load, command, units=None, buckets=False):
        """(CPU ns per unit, what else is to be kept, what the load generator answered)"""
        details = {}
        with self.clocks(subject) as found:
            outcome = load.do(command)
        done = outcome["units"]
        if units is not None and done != units:
            raise Failure(f"{subject.name}, {command}: {done} of {units}")
        if done == 0:
            raise Failure(f"{subject.name}, {command}: nothing was done")
        found["shares"]["load"] = round(outcome["cpu_s"] / outcome["wall_s"], 3)
        for name in ("latency", "late"):
            if name in outcome:
                times = outcome[name]
                if not buckets or name == "late":
                    del times["buckets"]
                kept = times if buckets else {key: times[key] for key in ("p50_us", "p99_us", "max_us")}
                details[name] = {key: round(value, 1) if isinstance(value, float) else value for key, value in kept.items()}
        details.update(units=done, per_second=round(done / outcome["wall_s"], 1), shares=found["shares"])
        return found["cpu_ns"] / done, details, outcome


def together(latencies):
    """One of several, of which only the buckets and the highest say something together."""
    counts = collections.Counter()
    for one in latencies:
        for index, count in one["buckets"]:
            counts[index] += count
    return {"max_us": max(one["max_us"] for one in latencies), "buckets": sorted(counts.items())}


def rotated(items, by):
    by %= max(1, len(items))
    return items[by:] + items[:by]
