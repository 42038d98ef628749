#!/usr/bin/env python3
"""What one machine cannot show: a million sessions on a node, a hundred million on a fleet, from what was measured.

    bench/model.py                          prints docs/scale.md from docs/bench.json and docs/scale.json
    bench/model.py --write                  writes it
    bench/model.py --measure --tools DIR    measures anew what bench.json has not, into docs/scale.json: a million sessions on
                                            the simulated network (bench_million), and the kernel's bytes for a connection

The model is sums and products, on purpose: bytes are so many a session, CPU is so much a message and so much a resume. Whether
that may be done, i.e. whether the cost of one stays what it is when there are more, is what its checks are about.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH, OWN, PAGE = ROOT / "docs" / "bench.json", ROOT / "docs" / "scale.json", ROOT / "docs" / "scale.md"
GATEWAY = "rejoin resume"
MILLION = 1_000_000
LINK_MINUTES = 5  # how long a phone's link lives: pessimistic
BUSY = 0.6  # of a core, at most
GAME_BYTES = 256  # the record of a game server's connection, at most: tcp_connection.h
NODE_GIB, NODE_CORES = 64, 16
RATES = {"a turn in ten seconds": 0.1, "a message a second": 1, "five a second": 5}


def kernel_bytes():
    """Of a TCP connection's end: what the slab grows by, for each socket of 8,000 pairs that are open and idle. The last of three
    processes that hold as many: the first ones take what others had left free in the slab."""

    def slab():  # all of it: an open socket's inode counts as reclaimable, and is not
        return int(re.search(r"Slab:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) * 1024

    hold = (
        "import socket, sys\n"
        "server, held = socket.create_server(('127.0.0.1', 0), backlog=4096), []\n"
        "for _ in range(8000): held += [socket.create_connection(server.getsockname()), server.accept()[0]]\n"
        "print(len(held), flush=True)\n"
        "sys.stdin.read()\n"
    )
    holders = []
    try:
        for _ in range(3):
            before = slab()
            holders.append(subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            count = int(holders[-1].stdout.readline())
            time.sleep(1)
            grown = (slab() - before) / count
    finally:
        for holder in holders:
            holder.communicate()
    return grown


def measure(tools):
    kept = json.loads(OWN.read_text()) if OWN.exists() else {}
    found = json.loads(subprocess.run([tools / "bench_million"], check=True, capture_output=True, text=True).stdout)
    found["kernel_bytes"] = round(kernel_bytes())
    found.update({key: kept[key] for key in ("many",) if key in kept})  # bench/many.py --write
    OWN.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{OWN}: {found}")


class Measured:
    def __init__(self):
        self.run = json.loads(BENCH.read_text())
        self.own = json.loads(OWN.read_text())

    def median(self, figure, subject, x=None):
        values = [s["value"] for s in self.run["samples"]
                  if s["figure"] == figure and s["subject"] == subject and s.get("x") == x]
        if not values:
            raise SystemExit(f"{BENCH} has no {figure} of {subject}: ./dev bench --page")
        return statistics.median(values)

    def xs(self, figure, subject):
        return sorted({s["x"] for s in self.run["samples"] if s["figure"] == figure and s["subject"] == subject})


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def page():
    m = Measured()
    kernel = m.own["kernel_bytes"]
    attached, detached = m.median("gateway/idle", GATEWAY), m.median("gateway/detached", GATEWAY)
    relayed = m.median("relay/idle", "rejoin")
    xs = m.xs("growth/gateway-echo", GATEWAY)
    most = xs[-1]
    # To a game server and back with some links, times what the same without a game server grows by to the most.
    growth = m.median("growth/gateway-echo", GATEWAY, most) / m.median("growth/gateway-echo", GATEWAY, xs[0])
    message_ns = m.median("gateway/game-50", GATEWAY) * max(growth, 1)
    relay_ns = m.median("growth/balancer-echo", "rejoin", m.xs("growth/balancer-echo", "rejoin")[-1])
    resume_ns = m.median("storm/gateway", GATEWAY)
    relay_handshake_ns = m.median("relay/handshake-returning", "rejoin")

    # Client's link and game server's connection: two ends at the gateway; two at the balancer.
    attached_all, detached_all = attached + GAME_BYTES + 2 * kernel, detached + GAME_BYTES + kernel
    relayed_all = relayed + 2 * kernel
    gib = 1 << 30

    def cores(sessions, rate):
        return sessions * (rate * message_ns + resume_ns / (60 * LINK_MINUTES)) / 1e9

    def balancer_cores(sessions, rate):
        return sessions * (rate * relay_ns + relay_handshake_ns / (60 * LINK_MINUTES)) / 1e9

    out = []
    add = out.append
    add("# Scale: what one machine cannot show\n")
    add("<!-- Made by bench/model.py from docs/bench.json and docs/scale.json. -->\n")
    add("A model, of sums and products: so many bytes a session, so much CPU time a message and a resume, as "
        "[benchmarks.md](benchmarks.md) measured them with thousands. First what it says, then why it may be believed.\n")
    add("## What goes in\n")
    add(table(["", "measured"], [
        ["a session with its link, in the gateway's own memory", f"{attached:,.0f} bytes"],
        ["the same while its player is away", f"{detached:,.0f} bytes"],
        ["a relayed connection, in the balancer's own memory", f"{relayed:,.0f} bytes"],
        ["its connection to a game server, at most", f"{GAME_BYTES} bytes"],
        ["an open TCP connection's end, in the kernel", f"{kernel:,.0f} bytes"],
        [f"a message to the game server and its answer, at the gateway, {most:,} players", f"{message_ns / 1000:.1f} us"],
        ["a message and its answer, relayed by the balancer", f"{relay_ns / 1000:.1f} us"],
        ["a resume at the gateway, the end of the old link included", f"{resume_ns / 1000:.1f} us"],
        ["a returning client's handshake at the balancer", f"{relay_handshake_ns / 1000:.1f} us"],
    ]))
    add("Not in it: messages that wait in a window (the window's bytes come on top, up to `session.window_bytes` each way), TLS "
        "(14 kB a connection at whoever ends it), the game servers.\n")
    add("## A million sessions on one node\n")
    add(f"Memory: {attached_all * MILLION / gib:.1f} GiB when all are there ({(attached + GAME_BYTES) * MILLION / gib:.2f} GiB of it the gateway's own, the rest the "
        f"kernel's two ends each), {detached_all * MILLION / gib:.1f} GiB when all are away with their game servers' connections open. The "
        f"balancer before it: {relayed_all * MILLION / gib:.1f} GiB.\n")
    add(f"CPU, when a link lives {LINK_MINUTES} minutes:\n")
    add(table(["each player says", "gateway", "balancer"],
              [[name, f"{cores(MILLION, rate):.1f} cores", f"{balancer_cores(MILLION, rate):.1f} cores"] for name, rate in RATES.items()]))
    add(f"A storm in which all million lose their link at once costs the gateway {MILLION * resume_ns / 1e9:.0f} s of CPU time: "
        f"{MILLION * resume_ns / 1e9 / NODE_CORES:.0f} s on {NODE_CORES} cores, if the clients' `spread` lets them.\n")
    add("## A hundred million on a fleet\n")
    rows = []
    for name, rate in RATES.items():
        by_memory = 100 * MILLION * attached_all / (NODE_GIB * gib * BUSY)
        by_cpu = cores(100 * MILLION, rate) / (NODE_CORES * BUSY)
        by_balancer = max(100 * MILLION * relayed_all / (NODE_GIB * gib * BUSY), balancer_cores(100 * MILLION, rate) / (NODE_CORES * BUSY))
        rows.append([name, f"{max(by_memory, by_cpu):,.0f}", "CPU" if by_cpu > by_memory else "memory", f"{by_balancer:,.0f}"])
    add(f"Nodes of {NODE_CORES} cores and {NODE_GIB} GiB, {BUSY:.0%} full:\n")
    add(table(["each player says", "gateways", "bound by", "balancers"], rows))
    add("Nothing of this grows with the fleet: a session is in one gateway, its ticket says in which, and no balancer keeps a table "
        "of them. Clients that use the addresses that WELCOME tells need no balancer after their login.\n")
    add("## Why it may be believed\n")
    add(f"**Bytes stay what they are.** {m.own['sessions']:,} sessions in one process, on the simulated network "
        f"(`bench_million`; {m.own['resumed']:,} of {m.own['of']:,} of them resumed at the end):\n")
    rows = [["session with its link", f"{attached:,.0f}", f"{m.own['attached_bytes']:,}", f"{m.own['attached_bytes'] / attached:.2f}"],
            ["session without", f"{detached:,.0f}", f"{m.own['detached_bytes']:,}", f"{m.own['detached_bytes'] / detached:.2f}"]]
    add(table(["bytes", "some thousand, real sockets", f"{m.own['sessions']:,}, simulated", "ratio"], rows))
    add("The simulated link is TCP, the measured one a WebSocket, and malloc's own share differs between the two processes.\n")
    add("**CPU time, as far as it was measured.** The model takes the dearest point, the last:\n")
    for title, figure, subject in (("message and echo at the gateway", "growth/gateway-echo", GATEWAY),
                                   ("message and echo relayed", "growth/balancer-echo", "rejoin"),
                                   ("handshake at the gateway", "growth/gateway-handshake", GATEWAY),
                                   ("handshake at the balancer", "growth/balancer-handshake", "rejoin")):
        xs = m.xs(figure, subject)
        add(table([f"{title}, us"] + [f"{x:,} connections" for x in xs],
                  [["measured"] + [f"{m.median(figure, subject, x) / 1000:.1f}" for x in xs]]))
    add("What grows there is the kernel's share: with thousands of sockets in turn each one's memory has left the caches. Beyond "
        "what was measured this is the model's weakest point, and the reason for the 40 % that it leaves free.\n")
    if "many" in m.own:
        many = m.own["many"]
        add("## More than the limit of open files in one process\n")
        add(f"One process with {many['workers']} workers, each with a table of descriptors of its own, where the limit is {many['limit']:,} a table "
            f"(`[process] descriptors = \"per_worker\"`, [decision 24](decisions/0024-a-table-of-descriptors-for-each-worker.md)). All threads on one core; "
            f"medians and extremes of {many['rounds']} rounds with three looks each (`./dev bench many --write`, at {many['commit']}).\n")
        add(many["table"])
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--tools", type=pathlib.Path, default=ROOT / "build" / "release" / "bench")
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.tools)
    elif arguments.write:
        PAGE.write_text(page())
        print(f"written: {PAGE}")
    else:
        print(page())


if __name__ == "__main__":
    main()
