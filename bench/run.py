#!/usr/bin/env python3
"""What rejoin costs beside others, in one run: CPU time of the subject's processes per unit of work, and bytes of its memory.

    bench/run.py [GROUP...] --rejoin PROGRAM --tools FOLDER      (./dev bench [GROUP...] builds both first)
    bench/run.py --from build/bench/bench.json [--page]          the report, or docs/benchmarks.md, of an earlier run

Groups: relay, http, tls, gateway, storm, growth; without a name all of them. Subjects run on one core, the load and the
servers behind them on another, all on loopback. Every round starts all subjects anew and measures them in turn, in another order
each round. CPU time, not wall time, is what is compared: it is the processes' own clock. Ratios are taken within a round; medians
and extremes of the rounds are shown. The exit status tells of failures (a wrong echo, a refused handshake, a client that lost its
server), never of slowness.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import balancers
import gateways
import groups
import growth
import web
from driver import Bench, Load, Subject
from machine import HERE, Cores, Failure, environment
from page import files_of, write_page
from report import print_report
from renew import renew
from results import Results

ON_DEMAND = ("bare-designed", "rejoin-epoll")  # measured only where --only names them
DEFAULT_BALANCERS = [name for name in balancers.BALANCERS if name not in (*ON_DEMAND, "rejoin-uring")]
DEFAULT_GATEWAYS = list(gateways.GATEWAYS)
HTTP = list(balancers.COOKIE_BALANCERS)
GROWTH_GATEWAYS = ["rejoin resume", "libwebsockets", "beast", "ws", "bare-echo"]
GROUPS = {  # group: (how a round is played, who is measured)
    "relay": (groups.relay_round, DEFAULT_BALANCERS + ["rejoin-uring"]),
    "http": (web.http_round, HTTP),
    "tls": (web.tls_round, HTTP),
    "gateway": (groups.gateway_round, DEFAULT_GATEWAYS),
    "storm": (groups.storm_round, [name for name in DEFAULT_GATEWAYS if name not in gateways.NO_STORM] + DEFAULT_BALANCERS),
    "growth": (growth.growth_round, DEFAULT_BALANCERS + GROWTH_GATEWAYS),
}
ROOT = HERE.parent


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="some of " + ", ".join(GROUPS) + "; default: all")
    parser.add_argument("--rejoin", type=pathlib.Path, help="the rejoin program of preset release")
    parser.add_argument("--tools", type=pathlib.Path, help="the folder with bench_load and the others")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="subjects, with commas: " + ", ".join([*balancers.BALANCERS, *gateways.GATEWAYS])
                        + "; rejoin means all of ours")
    parser.add_argument("--links", type=int, default=2000, help="of a storm; at most 9,000")
    parser.add_argument("--quick", action="store_true", help="a smoke of some seconds: right answers, no measurement")
    parser.add_argument("--json", type=pathlib.Path, default=ROOT / "build" / "bench" / "bench.json",
                        help="where samples and environment go (build/bench/bench.json)")
    parser.add_argument("--from", dest="source", type=pathlib.Path, help="report on this file instead of measuring")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md, its plots and docs/bench.json, too; "
                        "with GROUPs these are renewed, and the others stay as they are")
    arguments = parser.parse_args()
    for name in arguments.groups:
        if name not in GROUPS:
            parser.error(f"unknown group: {name} (known: {', '.join(GROUPS)})")
    if arguments.page and not arguments.source and arguments.only:
        parser.error("a page is of all subjects")
    arguments.part = bool(arguments.groups)
    arguments.groups = arguments.groups or list(GROUPS)
    wanted = arguments.only.split(",") if arguments.only else []
    known = [*balancers.BALANCERS, *gateways.GATEWAYS]
    for name in wanted:
        if name not in known:
            parser.error(f"unknown subject: {name} (known: {', '.join(known)})")
    arguments.wanted = [name for name in known if not wanted or name in wanted or name.split()[0] in wanted]
    if arguments.rounds < 1 or not 1 <= arguments.links <= 9000:
        parser.error("--rounds must be at least 1, --links from 1 to 9000")
    if arguments.source is None and arguments.tools is None:
        parser.error("--tools is needed to measure")
    if arguments.quick and arguments.page:
        parser.error("a quick run measures nothing that could be a page")
    return arguments


def absent(arguments):
    """name: why it cannot be measured. Without a peer the run goes on, without rejoin or the tools it does not."""
    os.environ["PATH"] += ":/usr/sbin:/usr/local/sbin"
    for tool in ("bench_load", "bench_ws_server", "bench_bare_relay", "bench_bare_echo"):
        if not (arguments.tools / tool).exists():
            raise Failure(f"{arguments.tools / tool} does not exist: build preset release with REJOIN_BENCH=ON first")
    found = {}
    for name in ("haproxy", "nginx", "caddy"):
        if shutil.which(name) is None:
            found[name] = f"the package {name} is missing"
    for name, tool in (("libwebsockets", "bench_lws_echo"), ("beast", "bench_beast_echo")):
        if not (arguments.tools / tool).exists():
            found[name] = f"{tool} was not built, as its library is missing"
    for name, package in gateways.NODE_PEERS.items():
        if shutil.which("node") is None or not (HERE / "peers" / "node_modules" / package).exists():
            found[name] = "node or its modules are missing (tools/bench_modules.sh)"
    return found


def check_rejoin(arguments, plan):
    if not any(name.startswith("rejoin") for names in plan.values() for name in names):
        return
    if arguments.rejoin is None or not arguments.rejoin.exists():
        raise Failure("--rejoin PROGRAM is needed, and must exist (or leave rejoin out by --only)")
    arguments.rejoin = arguments.rejoin.resolve()
    if "rejoin-uring" in plan.get("relay", ()) and (why := balancers.no_io_uring(arguments.rejoin)):
        print(f"rejoin-uring is not measured: {why}")
        plan["relay"].remove("rejoin-uring")


def plan_of(arguments):
    missing = absent(arguments)
    for name, why in missing.items():
        if name in arguments.wanted:
            print(f"{name} is not measured: {why}")
    plan = {}
    for group in arguments.groups:
        names = [name for name in GROUPS[group][1] if name in arguments.wanted and name not in missing]
        if group == "relay" and arguments.only:
            names += [name for name in ON_DEMAND if name in arguments.wanted]
        if group == "http" and shutil.which("wrk") is None:
            print("http is left out: the package wrk is missing")
        elif group == "http" and "nginx" in missing:
            print("http is left out: its servers are nginx")
        elif names:
            plan[group] = names
    if not plan:
        raise Failure("nothing is left to measure")
    check_rejoin(arguments, plan)
    return plan


def calibrate(bench):
    """The load generator against its own echo server with nothing between: what each of the two costs."""
    with contextlib.ExitStack() as stack:
        command = [bench.tools / "bench_ws_server", "--listen"]
        server = stack.enter_context(Subject(bench, "bench_ws_server", lambda made: [*command, f"127.0.0.1:{made.port}"]))
        with Load(bench, server) as load:
            load.do("hold count=50")
            before = server.settle()
            found = load.do(f"echo seconds={0.05 if bench.quick else 1}")
            server_ns = server.settle() - before
    return {"load_us": found["cpu_s"] * 1e6 / found["units"], "server_us": server_ns / 1000 / found["units"],
            "load_share": found["cpu_s"] / found["wall_s"], "per_second": found["units"] / found["wall_s"]}


def measure(arguments):
    plan, cores = plan_of(arguments), Cores()
    if cores.load == cores.subject:
        print("One core only: subjects and load share it, so that even ratios are rough.")
    meta = environment(arguments)
    rounds = 1 if arguments.quick else arguments.rounds
    meta.update(links=arguments.links, quick=arguments.quick, plan=plan)
    for name, text in meta["versions"].items():
        print(f"{name:<14} {text}")
    sys.stdout.flush()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rejoin-bench-") as folder:
        bench = Bench(arguments, folder, cores)
        meta["calibration"] = calibrate(bench)
        for number in range(rounds):
            bench.round = number
            for group, names in plan.items():
                begun = time.monotonic()
                GROUPS[group][0](bench, names, number)
                print(f"round {number + 1} of {rounds}, {group}: {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
            meta.update(rounds=number + 1, seconds=round(time.monotonic() - start), load_after=os.getloadavg()[0])
            found = {"meta": meta, "samples": bench.samples}
            if not arguments.quick:  # after each round, so that a run that fails later leaves what it had
                arguments.json.parent.mkdir(parents=True, exist_ok=True)
                arguments.json.write_text(json.dumps(found, separators=(",", ":")) + "\n")
    return found


def main():
    arguments = arguments_of()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        found = json.loads(arguments.source.read_text()) if arguments.source else measure(arguments)
        if not arguments.source and not arguments.quick:
            print(f"samples: {arguments.json}")
        results = Results(found)
        print_report(results, found["meta"]["quick"])
        if arguments.page and arguments.part:
            results = Results(renew(json.loads((ROOT / "docs" / "bench.json").read_text()), found))
        if arguments.page:
            write_page(results, ROOT / "docs")
        elif found["meta"]["quick"]:
            files_of(results)  # thrown away: that it can be made is what a smoke run shows
    except Failure as failure:
        print(f"bench/run.py: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
