#!/usr/bin/env python3
"""What a proxied HTTP request costs: the rejoin balancer beside HAProxy and nginx, in one run.

Figures, each CPU time of the proxy's own process (relay.py says why and how): per request on kept connections of clients
that bring their affinity cookie (`returning`) and of those that have none yet and are given one (`new`), and per new
connection with one request on it (`connections`), with the cookie. The load is wrk (Debian's), the servers are one nginx
with two listeners, all on loopback; the proxies run on one core, load and servers on another. Every round starts all
proxies anew and measures them in turn, in another order each round; ratios are taken within a round.

An answer that is not 200, a socket error, or a cookie that does not lead to its server fails the run; slowness never does.
"""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import relay as relays_of_websockets
from relay import PEERS, QUIET_SHARE, Bench, Failure, Relay, Report, core_busy_s, cpu_ns, end, free_port, rotated, spawn
from relays import COOKIE_RELAYS, RELAYS, version_of

BODY = "x" * 200
COOKIE_CHECKS = 5


class Sizes:
    def __init__(self, quick):
        self.connections = (1, 8) if quick else (1, 50)
        self.seconds = 1 if quick else 3  # wrk knows whole seconds only
        self.idle_groups = (50, 150) if quick else (1000, 4000)


# Each is measured by a method of HttpBench: (title, method, its arguments by the sizes). TLS handshakes (full, resumed)
# and bytes of an idle WebSocket over TLS belong here, too, as soon as listeners speak TLS.
FIGURES = {
    "returning": ("CPU us of the proxy per request, kept connections, cookie brought", "requests"),
    "new": ("CPU us of the proxy per request, kept connections, cookie given", "requests"),
    "connections": ("CPU us of the proxy per new connection with one request, cookie brought", "requests"),
    "idle": ("User-space bytes per idle relayed WebSocket", "idle"),
}


class Wrk:
    """One run of wrk, and what it has counted."""

    def __init__(self, bench, proxy, connections, fields):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{bench.sizes.seconds}s", "--latency"]
        for field in fields:
            command += ["-H", field]
        command.append(f"http://127.0.0.1:{proxy.port}/game/state?room=7")
        self.process = spawn(bench.load_core, command, bench.folder / "load.log", stdout=subprocess.PIPE, text=True)
        said, _ = self.process.communicate(timeout=bench.sizes.seconds + 30)
        who = f"{proxy.name}, wrk -c{connections}"
        if self.process.returncode != 0:
            raise Failure(f"{who} ended with {self.process.returncode}: {said}")
        wrong = re.search(r"Non-2xx.*|Socket errors.*", said)
        if wrong:
            raise Failure(f"{who}: {wrong[0]}")
        self.count = int(re.search(r"(\d+) requests in", said)[1])
        self.p99 = re.search(r"99%\s+(\S+)", said)[1]


class HttpBench(Bench):
    def __init__(self, arguments, folder):
        super().__init__(arguments, folder)
        self.sizes = Sizes(arguments.quick)
        self.web_servers, self.websocket_servers = [], []

    def start_servers(self, stack):
        super().start_servers(stack)
        self.websocket_servers = self.servers
        ports = [free_port(), free_port()]
        log = self.folder / "web-server.log"
        self.web = spawn(self.load_core, ["nginx", "-p", self.folder, "-c", self.web_configuration(ports)], log)
        stack.callback(end, self.web)
        self.web_servers = self.servers = [f"127.0.0.1:{port}" for port in ports]
        for address in self.servers:
            self.wait_for_web(address, log)

    def web_configuration(self, ports):
        path = self.folder / "web-server.conf"
        temporary = "\n".join(f"  {kind}_temp_path {self.folder}/web-{kind};" for kind in
                              ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        servers = "\n".join(f"""  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ add_header X-Server b{i + 1}; default_type text/plain; return 200 "{BODY}"; }}
  }}""" for i, port in enumerate(ports))
        path.write_text(f"""
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
worker_processes 1;
error_log stderr error;
pid {self.folder}/web-server.pid;
events {{ worker_connections 4000; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 10m;
{temporary}
{servers}
}}
""")
        return path

    def wait_for_web(self, address, log):
        deadline = time.monotonic() + relays_of_websockets.START_SECONDS
        while True:
            with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection(address, timeout=1)) as web:
                web.request("GET", "/")
                if web.getresponse().status == 200:
                    return
            if time.monotonic() > deadline or self.web.poll() is not None:
                raise Failure("the nginx behind the proxies did not start: " + log.read_text())
            time.sleep(0.01)

    def cookie_of(self, proxy):
        """The cookie that a client is given, as it brings it; whoever brings it must reach the same server each time."""
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            server, cookie = answer.getheader("X-Server"), (answer.getheader("Set-Cookie") or "").partition(";")[0]
            for _ in range(COOKIE_CHECKS if proxy.name in COOKIE_RELAYS else 0):
                connection.request("GET", "/", headers={"Cookie": cookie})
                answer = connection.getresponse()
                answer.read()
                if answer.getheader("X-Server") != server:
                    raise Failure(f"{proxy.name}: {cookie} leads to {answer.getheader('X-Server')}, was given by {server}")
        return cookie

    def requests(self, proxy, figure, connections):
        fields = [] if figure == "new" else ["Cookie: a=b; " + self.cookie_of(proxy)]
        if figure == "connections":
            fields.append("Connection: close")
        core_before, servers_before = core_busy_s(self.relay_core), self.servers_ns()
        before, start = proxy.settle(), time.monotonic()
        load = Wrk(self, proxy, connections, fields)
        wall = time.monotonic() - start
        servers_after, after = self.servers_ns(), proxy.settle()
        if load.count < connections:
            raise Failure(f"{proxy.name}: {load.count} requests on {connections} connections")
        cpu = after - before
        self._keep(proxy, f"{figure} {connections}", cpu / 1000.0 / load.count, requests=load.count, p99=load.p99,
                   relay_share=cpu / 1e9 / wall, server_share=(servers_after - servers_before) / 1e9 / wall,
                   load_share=0.0, others_share=max(0.0, (core_busy_s(self.relay_core) - core_before - cpu / 1e9) / wall))

    def servers_ns(self):
        return cpu_ns([self.web.pid, *relays_of_websockets.children_of(self.web.pid)])

    def idle(self, name):
        self.servers = self.websocket_servers
        try:
            super().idle(name)
        finally:
            self.servers = self.web_servers

    def round(self, names, number, figures):
        steps = [(figure, connections) for figure in figures if FIGURES[figure][1] == "requests"
                 for connections in (self.sizes.connections if figure != "connections" else self.sizes.connections[1:])]
        with contextlib.ExitStack() as stack:
            proxies = [stack.enter_context(Relay(self, name)) for name in names] if steps else []
            for proxy in proxies:
                Wrk(self, proxy, 8, [])  # warm
            for shift, (figure, connections) in enumerate(steps):
                for proxy in rotated(proxies, number + shift):
                    self.requests(proxy, figure, connections)
        for name in rotated(names, number) if "idle" in figures else []:
            self.idle(name)


class HttpReport(Report):
    """Figures by how many connections; 1e6 / us is requests per CPU second."""

    def table(self, figure, title, digits):
        if not any(self.of(figure, name) for name in self.names):
            return
        peer = self.better_peer(figure)
        print(f"\n{title}")
        print(f"  {'proxy':<12}{'median':>10}  {'min - max':<19}{'x ' + peer if peer else '':>12}   per CPU second")
        for name in self.names:
            values = self.of(figure, name)
            middle = statistics.median(values)
            line = f"  {name:<12}{middle:>10,.{digits}f}  " + f"{min(values):,.{digits}f} - {max(values):,.{digits}f}".ljust(19)
            line += self._ratio(figure, name, peer).rjust(12)
            print(line + ("" if figure == "idle" else f"   {1e6 / middle:>10,.0f}"))

    def verdicts(self):
        found = []
        for figure in dict.fromkeys(s["figure"] for s in self.samples):
            ours, peer = self.median(figure, "rejoin"), self.better_peer(figure)
            if ours is None:
                continue
            if figure == "idle":
                found.append((ours <= relays_of_websockets.AIM_IDLE_BYTES, f"idle: {ours:.0f} bytes, aim at most "
                              f"{relays_of_websockets.AIM_IDLE_BYTES}"))
            elif peer:
                ratio = statistics.median(self.ratios(figure, "rejoin", peer))
                found.append((ratio <= 1, f"{figure} connection(s): {ratio:.2f} x the CPU time of {peer}, aim at most 1"))
        return found


def print_report(bench, names, quick):
    report = HttpReport(bench.samples, names)
    for figure in dict.fromkeys(s["figure"] for s in bench.samples):
        kind, _, connections = figure.partition(" ")
        title = FIGURES[kind][0] + (f", {connections} connection(s)" if connections else "")
        report.table(figure, title, 0 if kind == "idle" else 2)
    if quick:
        print("\nA smoke run: everything answered rightly; the numbers mean nothing.")
        return
    others = statistics.median(s.get("others_share", 0.0) for s in bench.samples)
    if others > QUIET_SHARE:
        print(f"\nNOT A QUIET MACHINE: others took {others:.0%} of the proxies' core: every figure is too high, ratios rough.")
    for met, text in report.verdicts():
        print(f"  {'met   ' if met else 'MISSED'}  {text}")


def arguments_of():
    parser = argparse.ArgumentParser(description="CPU time of proxied HTTP requests: rejoin, HAProxy, nginx")
    parser.add_argument("--rejoin", type=pathlib.Path, help="the rejoin program of preset release")
    parser.add_argument("--tools", type=pathlib.Path, required=True, help="the folder with bench_ws_load and the others")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a smoke of some seconds: right answers, no measurement")
    parser.add_argument("--only", help="some of " + ",".join(COOKIE_RELAYS))
    parser.add_argument("--figures", default="returning,new,connections,idle", help="some of " + ",".join(FIGURES))
    parser.add_argument("--json", type=pathlib.Path, help="write every sample to this file")
    arguments = parser.parse_args()
    arguments.figures = arguments.figures.split(",")
    arguments.names = arguments.only.split(",") if arguments.only else list(COOKIE_RELAYS)
    for given, known in ((arguments.names, RELAYS), (arguments.figures, FIGURES)):
        for name in given:
            if name not in known:
                parser.error(f"unknown: {name} (known: {', '.join(known)})")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def main():
    arguments = arguments_of()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        relays_of_websockets.check_present(arguments)
        for needed in ("wrk", "nginx"):
            if relays_of_websockets.shutil.which(needed) is None:
                raise Failure(f"{needed} is missing: apt-get install {needed}")
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rejoin-bench-"))
            bench = HttpBench(arguments, folder)
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
        print(f"bench/http_requests.py: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
