#!/usr/bin/env python3
"""What other clients feel of an attack: the rejoin balancer under 5,000 slow connections, and under a flood of bad heads.

Good clients ask at a fixed rate, on kept connections and every fifth time on a new one, and each answer's time is counted
from the moment at which the request was to be sent, so that a balancer that stands still is seen. Phases: before, slow
loris (5,000 connections with the half of a head each, a byte of it now and then; those that are ended come back after two
seconds), flood (bad heads of many kinds, each on a connection of its own), after. Once without limits, once with those of
a listener that knows such guests (`connections_per_client`, `handshakes_per_client`).

The balancer runs on one core; good clients and server on another, ahead of the attackers there (SCHED_FIFO): what those take
of their own machines is not what good clients feel. Each round starts the balancer anew. A good client that is refused fails
the run, and so does an attacker who is not counted by reason in /metrics; slowness never does.
"""
import argparse
import collections
import contextlib
import http.client
import json
import os
import pathlib
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

AIM_RATIO = 2.0
KEPT = 32
NEW_EVERY = 5  # each fifth request has a connection of its own
PATIENCE_S = 10.0
START_S = 15.0
GOOD, ATTACKER = "127.0.0.9", "127.0.0.66"
LIMITS = "limits = { connections_per_client = 100, handshakes_per_client = 200 }"
NICE = 10  # of attackers
RETURN_S = 2.0  # until a slow connection that was ended is dialled again
TRICKLE_S = 5.0  # a slow connection says a byte as often

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: game.example\r\nCookie: a=b\r\n"
BAD_HEADS = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"G\xc3\xa9T / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: 1\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 17_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n",
)


class Failure(Exception):
    """The run is void: a good client was refused, an attacker not counted, or something did not start."""


def put_ahead(process):
    """`process` (0: this one) goes before all others on its core. False: that takes CAP_SYS_NICE, which a container lacks."""
    try:
        os.sched_setscheduler(process, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    return True


@contextlib.contextmanager
def ahead_of_all():
    ahead = put_ahead(0)
    try:
        yield
    finally:
        if ahead:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


# ---- good clients ----------------------------------------------------------------------------------------------------


class Good:
    """One connection of a good client. `due`: when the request that it is about was to be sent; None: it is free."""

    def __init__(self, address):
        self.socket = socket.socket()
        self.socket.bind((GOOD, 0))
        self.socket.connect(address)  # over loopback at once, or refused
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.arrived = b""
        self.due = None
        self.kept = True

    def ask(self, due, kept=True):
        self.due, self.kept, self.arrived = due, kept, b""
        self.socket.sendall(REQUEST + (b"\r\n" if kept else b"Connection: close\r\n\r\n"))

    def hear(self):
        """True when the answer is there whole."""
        more = self.socket.recv(65536)
        self.arrived += more
        if not more:
            raise Failure(f"a good client was cut off, after {self.arrived[:100]!r}")
        head, found, body = self.arrived.partition(b"\r\n\r\n")
        if not found:
            return False
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Failure(f"a good client was answered {head[:100]!r}")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        return len(body) == int(length[1] if length else 0)


def measure(address, rate, seconds):
    """Asks at `rate` for so long: milliseconds from when each request was to be sent to the end of its answer, sorted."""
    free = collections.deque(Good(address) for _ in range(KEPT))
    with ahead_of_all():
        return ask_and_hear(address, rate, seconds, free)


def ask_and_hear(address, rate, seconds, free):
    busy, waiting, taken = {}, collections.deque(), []
    begun = time.monotonic()
    count = int(rate * seconds)
    number = 0
    while len(taken) < count:
        now = time.monotonic()
        while number < count and begun + number / rate <= now:
            waiting.append((begun + number / rate, number % NEW_EVERY != 0))
            number += 1
        while waiting and (free or not waiting[0][1]):
            due, kept = waiting.popleft()
            try:
                one = free.popleft() if kept else Good(address)
                one.ask(due, kept)
            except OSError as error:
                raise Failure(f"a good client was refused: {error}") from None
            busy[one.socket.fileno()] = one
        next_due = begun + number / rate if number < count else now + PATIENCE_S
        for descriptor in select.select(list(busy), [], [], max(0.0, next_due - time.monotonic()))[0]:
            one = busy[descriptor]
            try:
                if not one.hear():
                    continue
            except OSError as error:
                raise Failure(f"a good client was reset: {error}") from None
            taken.append((time.monotonic() - one.due) * 1000)
            del busy[descriptor]
            if one.kept:
                free.append(one)
            else:
                one.socket.close()
        oldest = min((one.due for one in busy.values()), default=now)
        if time.monotonic() - oldest > PATIENCE_S:
            raise Failure(f"a good client waits for more than {PATIENCE_S:.0f} s")
    for one in free:
        one.socket.close()
    return sorted(taken)


# ---- attackers: processes of their own, told to end by the end of their stdin ----------------------------------------


def over():
    return bool(select.select([sys.stdin], [], [], 0)[0])


def dial(address):
    """A connection that does not wait; nobody is told when it is refused, who is slow does not care."""
    one = socket.socket()
    one.setblocking(False)
    one.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    one.bind((ATTACKER, 0))
    with contextlib.suppress(BlockingIOError):
        one.connect(address)
    return one


def be_loris(address, count):
    """Holds `count` connections, each within its head; who is cut off comes back RETURN_S later."""
    epoll, held = select.epoll(), {}
    begun, ended, peak = 0, 0, 0
    trickling, trickled = collections.deque(), time.monotonic()  # descriptors, whose turn is next in front
    coming = collections.deque()  # when those that were ended come back
    told = False
    while not over():
        if begun + ended >= count and not told:  # all are there, or as many as are let in
            told = True
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
            print("begun", flush=True)
        while coming and coming[0] <= time.monotonic():
            coming.popleft()
        for _ in range(min(100, count - len(held) - len(coming))):
            one = dial(address)
            try:
                one.send(REQUEST + b"X-Slow: ")
            except BlockingIOError:
                pass  # over loopback it is connected by now, or refused
            except OSError:
                one.close()
                ended += 1
                coming.append(time.monotonic() + RETURN_S)
                continue
            begun += 1
            held[one.fileno()] = one
            trickling.append(one)
            epoll.register(one.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
        for descriptor, _ in epoll.poll(0.001 if len(held) + len(coming) < count else 0.02, 1000):
            epoll.unregister(descriptor)
            held.pop(descriptor).close()
            ended += 1
            coming.append(time.monotonic() + RETURN_S)
        peak = max(peak, len(held))
        share = int((time.monotonic() - trickled) / TRICKLE_S * count)  # evenly: each has a pace of its own
        if share > 0:
            trickled = time.monotonic()
        for one in [trickling.popleft() for _ in range(min(share, len(trickling)))]:
            if one.fileno() >= 0:  # not ended meanwhile
                trickling.append(one)
                with contextlib.suppress(OSError):
                    one.send(b"y")
    print(json.dumps({"begun": begun, "ended": ended, "peak": peak, "held": len(held)}), flush=True)


def be_flood(address, rate):
    """Bad heads, each on a connection of its own, at `rate` a second or as fast as it goes."""
    epoll, open_ones = select.epoll(), {}
    statuses = collections.Counter()
    number, begun = 0, time.monotonic()
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    print("begun", flush=True)
    while not over():
        allowed = min(number + 64, int((time.monotonic() - begun) * rate)) if rate else number + 64
        while number < allowed and len(open_ones) < 256:
            one = dial(address)
            with contextlib.suppress(OSError):
                one.send(BAD_HEADS[number % len(BAD_HEADS)])
            number += 1
            open_ones[one.fileno()] = one
            epoll.register(one.fileno(), select.EPOLLIN)
        for descriptor, _ in epoll.poll(0.001, 256):
            one = open_ones.pop(descriptor)
            try:
                answer = one.recv(4096)
                statuses[answer[9:12].decode("latin-1") or "closed"] += 1
            except OSError:
                statuses["reset"] += 1
            epoll.unregister(descriptor)
            one.close()
    seconds = time.monotonic() - begun
    print(json.dumps({"sent": number, "a_second": number / seconds, "answers": statuses}), flush=True)


class Attack:
    """An attacker's process, which gives way to the others on its core. `said`: what it says when it ends."""

    def __init__(self, bench, kind, number):
        command = [sys.executable, "-B", __file__, "--be", kind, str(bench.port), str(number)]
        self.process = bench.spawn(bench.load_core, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "begun\n":
            raise Failure(f"the attacker {kind} did not start")
        self.said = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.said is None:
            self.process.stdin.close()
            self.said = json.loads(self.process.stdout.readline() or "{}")
            self.process.wait()
        return self.said


# ---- the balancer ----------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bench:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, pathlib.Path(folder)
        cores = sorted(os.sched_getaffinity(0))
        self.load_core, self.balancer_core = cores[0], cores[min(1, len(cores) - 1)]
        os.sched_setaffinity(0, {self.load_core})
        self.found = []  # dicts

    def spawn(self, core, command, **options):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})
        try:
            with open(self.folder / "log", "ab") as log:
                return subprocess.Popen([str(part) for part in command], stderr=log, **options)
        finally:
            os.sched_setaffinity(0, before)

    @contextlib.contextmanager
    def running(self, core, command, ready):
        process = self.spawn(core, command)
        try:
            deadline = time.monotonic() + START_S
            while not ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Failure(f"{command[0]} did not start: " + (self.folder / "log").read_text()[-1000:])
                time.sleep(0.02)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def listens(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def configuration(self, server, limits):
        path = self.folder / "balancer.toml"
        path.write_text(f"""
[log]
level = "error"
[admin]
listen = "127.0.0.1:{self.admin}"
[[listener]]
name = "play"
listen = "127.0.0.1:{self.port}"
head_timeout = "{self.arguments.head_timeout}"
{limits}
[[pool]]
name = "pool"
affinity = [ {{ kind = "cookie-insert" }} ]
server = [ {{ name = "a", address = "127.0.0.1:{server}" }} ]
""")
        return path

    def counts(self):
        """What /metrics says of those that were refused, by reason."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)) as admin:
            admin.request("GET", "/metrics")
            text = admin.getresponse().read().decode()
        found = re.findall(r'(?m)^rejoin_balancer_(?:edge_)?refusals_total\{(?:listener="play",)?reason="(\w+)"\} (\d+)$', text)
        return collections.Counter({reason: int(count) for reason, count in found})

    def settled(self, reason, least):
        """The counts, once `reason` has come so far: who is refused is counted a moment before or after they hear of it."""
        deadline = time.monotonic() + START_S + float(self.arguments.head_timeout.removesuffix("s"))
        while (counts := self.counts())[reason] < least and time.monotonic() < deadline:
            time.sleep(0.05)
        return counts

    def phase(self, guard, name):
        taken = measure(("127.0.0.1", self.port), self.arguments.rate, self.arguments.seconds)
        self.found.append({"guard": guard, "phase": name, "p50": taken[len(taken) // 2], "p99": taken[int(len(taken) * 0.99)],
                           "most": taken[-1], "count": len(taken)})

    def round(self, guard, limits):
        server, self.port, self.admin = free_port(), free_port(), free_port()
        tool = [self.arguments.tools / "bench_ws_server", "--listen", f"127.0.0.1:{server}=a"]
        with self.running(self.load_core, tool, lambda: self.listens(server)) as process:
            if not put_ahead(process.pid):
                print("SCHED_FIFO is not allowed here: what the attackers take of the core is in the good clients' times, too")
            command = [self.arguments.rejoin, "balancer", "-c", self.configuration(server, limits)]
            with self.running(self.balancer_core, command, lambda: self.listens(self.port)):
                measure(("127.0.0.1", self.port), self.arguments.rate, 0.5)  # warm
                self.phase(guard, "before")
                with Attack(self, "loris", self.arguments.slow) as loris:
                    self.phase(guard, "slow loris")
                    if not limits:
                        self.settled("head_timeout", 1)
                self.judge_loris(guard, loris.said, bool(limits))
                before = self.counts()
                with Attack(self, "flood", self.arguments.flood) as flood:
                    self.phase(guard, "flood of bad heads")
                self.judge_flood(guard, flood.said, self.counts() - before, bool(limits))
                self.phase(guard, "after")

    def judge_loris(self, guard, said, limited):
        """Every slow connection that was ended has its reason."""
        reasons = ("client_full",) if limited else ("head_timeout",)
        counts = self.settled(reasons[0], 1)
        if not all(counts[reason] for reason in reasons) or sum(counts.values()) < said["ended"]:
            raise Failure(f"{guard}: slow connections are not counted as {reasons}: {dict(+counts)}, attacker: {said}")
        if not limited and said["peak"] < self.arguments.slow * 0.98:
            raise Failure(f"only {said['peak']} slow connections were held")
        self.found[-1].update(attack=f"{said['begun']} begun, at most {said['peak']} held", counted=dict(+counts))

    def judge_flood(self, guard, said, counts, limited):
        """Each bad head is answered with 4xx or 5xx and counted, or its connection turned away for its client's sake."""
        answered = sum(count for status, count in said["answers"].items() if status.isdigit())
        if any(status[0] not in "45" for status in said["answers"] if status.isdigit()):
            raise Failure(f"{guard}: a bad head was answered {said['answers']}")
        if answered == 0 or counts["bad_head"] < answered:
            raise Failure(f"{guard}: {answered} bad heads were answered, {counts['bad_head']} counted")
        if limited and not counts["client_too_fast"]:
            raise Failure(f"{guard}: nobody was turned away: {dict(counts)}")
        self.found[-1].update(attack=f"{said['sent']} sent, {said['a_second']:.0f} a second", counted=dict(+counts))


def report(bench):
    rate, rounds = bench.arguments.rate, bench.arguments.rounds
    print(f"\nGood clients: {rate} requests a second, each {NEW_EVERY}th on a new connection; ms from when each was to be sent. "
          f"Medians of {rounds} round(s).")
    for guard in dict.fromkeys(one["guard"] for one in bench.found):
        print(f"\n{guard}")
        print(f"  {'':<20}{'p50':>8}{'p99':>8}{'most':>9}{'p99 x before':>14}  requests  attackers")
        of = [one for one in bench.found if one["guard"] == guard]
        before = [one["p99"] for one in of if one["phase"] == "before"]
        for phase in dict.fromkeys(one["phase"] for one in of):
            some = [one for one in of if one["phase"] == phase]
            ratio = statistics.median(one["p99"] / calm for one, calm in zip(some, before))
            middle = {key: statistics.median(one[key] for one in some) for key in ("p50", "p99", "most")}
            last = some[-1]
            counted = ", ".join(f"{reason} {count}" for reason, count in last.get("counted", {}).items())
            print(f"  {phase:<20}{middle['p50']:>8.2f}{middle['p99']:>8.2f}{middle['most']:>9.2f}{ratio:>13.2f}x"
                  f"{sum(one['count'] for one in some):>10}  {last.get('attack', '')}{'; counted ' + counted if counted else ''}")
            if phase in ("slow loris", "flood of bad heads") and not bench.arguments.quick:
                print(f"  {'':<20}{'met' if ratio <= AIM_RATIO else 'MISSED'}: aim at most {AIM_RATIO:.0f} x")
    print("\nNobody good was refused, and whoever was is counted by reason.")


def arguments_of():
    parser = argparse.ArgumentParser(description="What good clients feel of a slow loris and of a flood of bad heads")
    parser.add_argument("--rejoin", type=pathlib.Path, required=True)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12, help="of each phase")
    parser.add_argument("--rate", type=int, default=500, help="good requests a second")
    parser.add_argument("--slow", type=int, default=5000, help="slow connections; at most half of the descriptors allowed")
    parser.add_argument("--flood", type=int, default=2000, help="bad heads a second; 0: as fast as it goes")
    parser.add_argument("--head-timeout", default="10s", help="the listener's, in seconds")
    parser.add_argument("--quick", action="store_true", help="a smoke of some seconds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.slow, arguments.head_timeout = 1, 1.0, 300, "1s"
    arguments.rejoin = arguments.rejoin.resolve()
    return arguments


def main():
    if sys.argv[1:2] == ["--be"]:
        kind, port, number = sys.argv[2:]
        {"loris": be_loris, "flood": be_flood}[kind](("127.0.0.1", int(port)), int(number))
        return 0
    arguments = arguments_of()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with tempfile.TemporaryDirectory(prefix="rejoin-bench-") as folder:
            bench = Bench(arguments, folder)
            for number in range(arguments.rounds):
                for guard, limits in (("Without limits", ""), (LIMITS, LIMITS)):
                    bench.round(guard, limits)
                print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
            report(bench)
    except Failure as failure:
        print(f"bench/attack.py: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
