#!/usr/bin/env python3
"""More sockets in one process than the limit of open files: `descriptors = "per_worker"` (docs/decisions/0024). Whether the cost of a
unit stays what it is: bytes a connection, CPU time an echoed message and a handshake, with thousands to 72,000 links in one
gateway and 38,000 relayed connections (76,000 sockets) in one balancer, four workers each. Beside them the same with one table
as far as that goes, and a bare epoll loop with as many threads and tables.

    bench/many.py --rejoin PROGRAM --tools FOLDER [--rounds N] [--io epoll|io_uring] [--write]      (./dev bench many builds both first)

As in run.py: subjects on one core, load and servers on the other, CPU time of the subject's own process. Load and servers are
several processes, since each of them has the limit, too; ten messages are under way and ten handshakes at once, however many
connections are held. A process is given more and more: what a connection takes is the slope from the step before.
"""
import argparse
import contextlib
import json
import pathlib
import re
import resource
import statistics
import sys
import tempfile
import time

import balancers
import gateways
from driver import Bench, Load, Subject
from machine import HERE, Cores, Failure, environment, memory_bytes

ROOT = HERE.parent
WORKERS = 4
LOADS = 4  # processes of the load generator
SERVERS = 3  # processes behind a balancer, each at two addresses: a balancer has 28,000 ports to one
AT_ONCE = 12  # messages under way: as many of each load process
PER_LOAD_MAX = 19_000
GATEWAY_STEPS = (9_000, 20_000, 40_000, 72_000)
BALANCER_STEPS = (9_000, 20_000, 38_000)
QUICK_STEPS = (40, 100)
VISITS = 2000
ECHO_S = 0.8
ECHOES = 3  # measured so often at each step


def with_tables(kind, io, command):
    return lambda setup: ["env", f"REJOIN_DESCRIPTORS={kind}", f"REJOIN_IO={io}", *command(setup)]


def bare_relay(setup):
    to = [word for address in setup.servers for word in ("--to", address)]
    listen = f"127.0.0.1:{setup.port}"
    return [setup.tools / "bench_bare_relay", "--listen", listen, *to, "--workers", str(setup.workers)]


def bare_echo(setup):
    return [*gateways.bare_echo_command(setup), "--own-tables"]


class Crowd:
    """Several load processes as one: what is held and said is shared out evenly, and a visit is the first one's."""

    def __init__(self, bench, subject):
        self.stack = contextlib.ExitStack()
        self.loads = [self.stack.enter_context(Load(bench, subject)) for _ in range(LOADS)]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def hold(self, count):
        for load in self.loads:
            load.do(f"hold count={count // LOADS}")

    def do(self, command):
        if command.startswith("visit"):
            return self.loads[0].do(command)
        for load in self.loads:
            load.process.stdin.write(command + "\n")
            load.process.stdin.flush()
        found = [self.answer(load, command) for load in self.loads]
        return {"units": sum(one["units"] for one in found), "cpu_s": sum(one["cpu_s"] for one in found),
                "wall_s": max(one["wall_s"] for one in found)}

    @staticmethod
    def answer(load, command):
        line = load.process.stdout.readline()
        found = json.loads(line) if line else {"errors": 1, "first_error": "no answer"}
        if found["errors"]:
            raise Failure(f"{load.who}, {command}: {found['errors']} errors, the first: {found['first_error']}")
        return found


def play(bench, subject, figure, steps):
    seconds, visits = (0.1, 100) if bench.quick else (ECHO_S, VISITS)
    with Load(bench, subject) as load:
        load.do("hold count=8")
        load.do("echo seconds=0.05")
        load.do("close")
        load.do("visit count=256 concurrent=64")
    subject.settle()
    with Crowd(bench, subject) as crowd:
        held, memory = 0, memory_bytes(subject.pids)
        for count in steps:
            crowd.hold(count - held)
            subject.settle()
            bench.keep(subject, figure + "-bytes", (memory_bytes(subject.pids) - memory) / (count - held), count)
            for _ in range(ECHOES):
                bench.measure(subject, crowd, figure + "-echo", f"echo seconds={seconds} window={AT_ONCE // LOADS}", count)
                bench.measure(subject, crowd, figure + "-handshake", f"visit count={visits} concurrent=10", count, units=visits)
            subject.settle()
            held, memory = count, memory_bytes(subject.pids)


def fitting(steps, sockets, tables):
    """As far as one table goes, with room for the visits."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 500
    return tuple(count for count in steps if count * sockets <= limit * tables * 0.98)


def play_round(bench, arguments):
    io = arguments.io
    ours = {"rejoin": "per_worker", "rejoin, one table": "per_process"}
    steps = QUICK_STEPS if bench.quick else GATEWAY_STEPS
    resume, plain = gateways.GATEWAYS["rejoin resume"][1], gateways.GATEWAYS["bare-echo"][1]
    for name, kind in ours.items():
        command = with_tables(kind, io, gateways.gateway_command)
        of_kind = fitting(steps, 1, WORKERS if kind == "per_worker" else 1)
        with Subject(bench, name, command, resume, mode="gateway", workers=WORKERS) as subject:
            play(bench, subject, "many/gateway", of_kind)
    with Subject(bench, "bare epoll", bare_echo, plain, mode="gateway", workers=WORKERS) as subject:
        play(bench, subject, "many/gateway", fitting(steps, 1, WORKERS))
    steps = QUICK_STEPS if bench.quick else BALANCER_STEPS
    with contextlib.ExitStack() as stack:
        addresses = []
        for i in range(SERVERS):
            addresses += bench.serve(stack, "--servers", f"127.2.{i}.1:0=2")
        for name, kind in ours.items():
            command = with_tables(kind, io, balancers.rejoin_command)
            of_kind = fitting(steps, 2, WORKERS if kind == "per_worker" else 1)
            with Subject(bench, name, command, servers=addresses, workers=WORKERS) as subject:
                play(bench, subject, "many/balancer", of_kind)
        with Subject(bench, "bare epoll", bare_relay, servers=addresses, workers=WORKERS) as subject:
            play(bench, subject, "many/balancer", fitting(steps, 2, WORKERS))


# ---- what is said of it ------------------------------------------------------------------------------------------------

ROWS = (("-bytes", "bytes a connection", 1, "{:,.0f}"), ("-echo", "us a message and its echo", 1000, "{:.1f}"),
        ("-handshake", "us a handshake, its end included", 1000, "{:.0f}"))


def tables(samples):
    """Markdown: medians and extremes of all rounds."""
    out = []
    for group, what in (("many/gateway", "links in one gateway"), ("many/balancer", "connections in one balancer, two sockets each")):
        steps = sorted({s["x"] for s in samples if s["figure"].startswith(group)})
        out.append("| " + " | ".join([what] + [f"{x:,}" for x in steps]) + " |\n| --- |" + " ---: |" * len(steps))
        for suffix, title, scale, form in ROWS:
            for name in dict.fromkeys(s["subject"] for s in samples if s["figure"].startswith(group)):
                cells = []
                for x in steps:
                    values = [s["value"] / scale for s in samples
                              if s["figure"] == group + suffix and s["subject"] == name and s["x"] == x]
                    middle = form.format(statistics.median(values)) if values else ""
                    spread = f" ({form.format(min(values))} to {form.format(max(values))})" if len(values) > 2 else ""
                    cells.append(middle + spread)
                if any(cells):
                    out.append("| " + " | ".join([f"{title}, {name}"] + cells) + " |")
        out.append("")
    return "\n".join(out)


def keep(arguments, machine, samples, rounds):
    meta = {**machine, "rounds": rounds, "io": arguments.io}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps({"meta": meta, "samples": samples}, separators=(",", ":")) + "\n")
    if arguments.write:
        path = ROOT / "docs" / "scale.json"
        kept = json.loads(path.read_text())
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        kept["many"] = {"table": tables(samples), "rounds": rounds, "limit": limit, "workers": WORKERS, "commit": meta.get("commit")}
        path.write_text(json.dumps(kept, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rejoin", type=pathlib.Path, required=True)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--io", choices=("epoll", "io_uring"), default="epoll")
    parser.add_argument("--quick", action="store_true", help="some seconds: right answers, no measurement")
    parser.add_argument("--write", action="store_true", help="into docs/scale.json, for docs/scale.md (bench/model.py --write)")
    parser.add_argument("--json", type=pathlib.Path, default=ROOT / "build" / "bench" / "many.json")
    arguments = parser.parse_args()
    arguments.links, arguments.rejoin = 0, arguments.rejoin.resolve()
    bench, machine = None, environment(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="rejoin-many-") as folder:
            bench = Bench(arguments, folder, Cores())
            for number in range(1 if arguments.quick else arguments.rounds):
                bench.round, begun = number, time.monotonic()
                play_round(bench, arguments)
                print(f"round {number + 1}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
                if not arguments.quick:
                    keep(arguments, machine, bench.samples, number + 1)  # a run that fails later leaves what it had
    except Failure as failure:
        print(f"bench/many.py: {failure}", file=sys.stderr)
        return 1
    if arguments.quick:
        return 0
    print(tables(bench.samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
