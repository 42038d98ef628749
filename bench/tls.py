#!/usr/bin/env python3
"""What TLS costs at a listener: the rejoin balancer beside HAProxy and nginx, in one run, with the same certificate (ECDSA P-256).

Three figures, each of the relay's own process: CPU time per wss handshake (TCP, TLS 1.3, WebSocket upgrade with cookie affinity,
close) with a full TLS handshake and with a resumed session, and user-space bytes per idle relayed wss connection. The relays run on
one core; load (Python's ssl, which is slow: CPU time of the relay is what counts) and servers on another. As relay.py: every round
starts all relays anew, in another order each round; ratios are taken within a round. The exit status tells of failures (a session
that was not resumed, a refused handshake), never of slowness.
"""
import argparse
import contextlib
import http.client
import json
import pathlib
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

from relay import START_SECONDS, Bench, Failure, Relay, memory_bytes, rotated
from relays import PEERS

AIM_IDLE_BYTES = 14_000 + 600
NAME = "play.example"
UPGRADE = (
    f"GET /play HTTP/1.1\r\nHost: {NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()
FIGURES = {
    "full": "CPU us of the relay per wss handshake, full",
    "resumed": "CPU us of the relay per wss handshake, TLS session resumed",
    "idle": "User-space bytes per idle relayed wss connection",
}


class Sizes:
    def __init__(self, quick):
        self.handshakes = 30 if quick else 1000
        self.idle_groups = (30, 60) if quick else (500, 1500)


class TlsRelay(Relay):
    def _answers(self):
        context = ssl._create_unverified_context()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=1, context=context)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/healthz")
                if connection.getresponse().status == 200:
                    return True
            connection.close()
            time.sleep(0.01)
        return False


class TlsBench(Bench):
    def __init__(self, arguments, folder):
        super().__init__(arguments, folder)
        self.sizes = Sizes(arguments.quick)
        self.tls = self.folder / "play.pem"  # what relays.py looks for
        key = self.folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
             f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", key, "-out", self.tls],
            check=True, capture_output=True)  # fmt: skip
        self.context = ssl.create_default_context(cafile=self.tls)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.tls.write_text(self.tls.read_text() + key.read_text())

    def open(self, relay, session=None):
        plain = socket.create_connection(("127.0.0.1", relay.port), timeout=START_SECONDS)
        secure = self.context.wrap_socket(plain, server_hostname=NAME, session=session)
        secure.sendall(UPGRADE)
        head = b""
        while b"\r\n\r\n" not in head:
            got = secure.recv(4096)
            if not got:
                raise Failure(f"{relay.name}: closed in the handshake, after {head[:200]!r}")
            head += got
        if not head.startswith(b"HTTP/1.1 101 ") or b"set-cookie" not in head.lower():
            raise Failure(f"{relay.name}: {head[:200]!r}")
        return secure

    def handshakes(self, relay, resumed):
        session = None
        if resumed:
            with self.open(relay) as first:
                session = first.session
        before = relay.settle()
        for _ in range(self.sizes.handshakes):
            with self.open(relay, session) as connection:
                if connection.session_reused != resumed:
                    raise Failure(f"{relay.name}: a session was {'not ' if resumed else ''}resumed")
                if resumed:
                    session = connection.session
        cpu = (relay.settle() - before) / 1000 / self.sizes.handshakes
        self._keep(relay, "resumed" if resumed else "full", cpu)

    def idle(self, name):
        groups = self.sizes.idle_groups
        with TlsRelay(self, name) as relay, contextlib.ExitStack() as held:
            readings = []
            for count in groups:
                for _ in range(count):
                    held.enter_context(self.open(relay))
                relay.settle()
                readings.append(memory_bytes(relay.pids))
        slope = (readings[1]["Anonymous"] - readings[0]["Anonymous"]) / groups[1]
        self._keep(relay, "idle", slope, rss=(readings[1]["Rss"] - readings[0]["Rss"]) / groups[1])

    def round(self, names, number, _figures):
        with contextlib.ExitStack() as stack:
            relays = [stack.enter_context(TlsRelay(self, name)) for name in names]
            for relay in relays:
                self.open(relay).close()
            for shift, resumed in enumerate((False, True)):
                for relay in rotated(relays, number + shift):
                    self.handshakes(relay, resumed)
        for name in rotated(names, number):
            self.idle(name)


def print_report(samples, names, quick):
    def of(figure, name):
        return [s["value"] for s in samples if s["figure"] == figure and s["relay"] == name]

    for figure, title in FIGURES.items():
        print(f"\n{title}")
        for name in names:
            values = of(figure, name)
            line = f"  {name:<10}{statistics.median(values):>10,.0f}   {min(values):,.0f} - {max(values):,.0f}".ljust(44)
            if name in PEERS and of(figure, "rejoin"):
                ratios = [ours / theirs for ours, theirs in zip(of(figure, "rejoin"), values)]
                line += f"  rejoin has {statistics.median(ratios):.2f} x of it"
            if figure != "idle":
                line += f"   {1e6 / statistics.median(values):>8,.0f} a CPU second"
            print(line)
    if of("idle", "rejoin"):
        print(f"\n  idle: {statistics.median(of('idle', 'rejoin')):,.0f} bytes, aim at most {AIM_IDLE_BYTES:,}")
    if quick:
        print("\n--quick: the figures mean nothing.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rejoin", type=pathlib.Path, required=True)
    parser.add_argument("--tools", type=pathlib.Path, required=True, help="folder of bench_ws_server")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="rejoin,haproxy,nginx")
    parser.add_argument("--json", type=pathlib.Path, help="write every sample here")
    parser.add_argument("--quick", action="store_true", help="some seconds: does everything answer rightly?")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    missing = [name for name in names if name in PEERS and not shutil.which(name)]
    if missing:
        print(f"not here, and left out: {', '.join(missing)}")
        names = [name for name in names if name not in missing]
    with tempfile.TemporaryDirectory(prefix="rejoin-bench-tls-") as folder, contextlib.ExitStack() as stack:
        bench = TlsBench(arguments, folder)
        bench.start_servers(stack)
        try:
            for number in range(1 if arguments.quick else arguments.rounds):
                bench.round(names, number, ())
        except (Failure, OSError, ssl.SSLError) as failure:
            print(f"FAILED: {failure}", file=sys.stderr)
            return 1
        print_report(bench.samples, names, arguments.quick)
        if arguments.json:
            arguments.json.write_text(json.dumps(bench.samples, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
