"""The growth group: the same figures with more connections, more servers, more workers. The cost of a unit must not grow with
what stands beside it: ten messages are under way and ten handshakes at once, however many connections are held."""
import contextlib

import balancers
import gateways
from driver import Load, rotated
from groups import balancer, gateway, not_moved, warm, warm_handshakes
from machine import memory_bytes

WORKERS = ("rejoin", "haproxy", "nginx", "caddy", "rejoin resume", "bare-echo")  # the others have one thread by design
AT_ONCE = 10


class Sizes:
    def __init__(self, quick):
        self.connections = (10, 30) if quick else (10, 100, 1000, 9000)
        self.servers = (1, 5) if quick else (1, 10, 100, 1000)
        self.slices = 1 if quick else 3
        self.seconds = 0.05 if quick else 0.15  # of a slice, as are the visits
        self.visits = 40 if quick else 400
        self.workers_links = 8 if quick else 50


def growth_round(bench, names, number):
    sizes = Sizes(bench.quick)
    balancer_names = [name for name in names if name in balancers.BALANCERS]
    for name in rotated(balancer_names, number):
        with contextlib.ExitStack() as stack:
            servers = bench.serve(stack, "--servers", "127.0.0.1:0=2")
            connections(bench, stack.enter_context(balancer(bench, name, servers=servers)), "growth/balancer", sizes)
    for name in rotated([name for name in names if name in gateways.GATEWAYS], number):
        with gateway(bench, name) as subject:
            connections(bench, subject, "growth/gateway", sizes)
    for count in sizes.servers:
        with contextlib.ExitStack() as stack:
            addresses = bench.serve(stack, "--servers", f"127.1.0.1:0={count}")
            for name in rotated(balancer_names, number):
                with balancer(bench, name, servers=addresses) as subject:
                    servers_behind(bench, subject, count, sizes)
    for name in rotated([name for name in names if name in WORKERS], number):
        for count in (1, 2):
            workers(bench, name, count, sizes)


def in_slices(bench, subject, load, sizes):
    """What measures a figure of one subject, whose median slice counts."""

    def measure(figure, command, x, units=None):
        found = bench.measure_slices([(subject, load)], figure, command, sizes.slices, x, units)
        for outcome in found[subject]:
            not_moved(subject, outcome)

    return measure


def connections(bench, subject, figure, sizes):
    """One process, which is given more and more: what a connection takes is the slope from the step before. As many handshakes
    at once as will be are behind it: what those take stays with a process, and is a figure of its own (idle() in groups.py)."""
    warm(bench, subject)
    warm_handshakes(bench, subject)
    subject.settle()
    with Load(bench, subject) as load:
        measure = in_slices(bench, subject, load, sizes)
        held, memory = 0, memory_bytes(subject.pids)
        for count in sizes.connections:
            load.do(f"hold count={count - held}")
            subject.settle()
            now = memory_bytes(subject.pids)
            # A page is 4 kB: the slope over ten connections says nothing.
            if count - held >= 50 or bench.quick:
                bench.keep(subject, figure + "-bytes", (now - memory) / (count - held), count)
            measure(figure + "-echo", f"echo seconds={sizes.seconds} window={AT_ONCE}", count)
            measure(figure + "-handshake", f"visit count={sizes.visits} concurrent={AT_ONCE}", count, units=sizes.visits)
            subject.settle()
            held, memory = count, memory_bytes(subject.pids)


def servers_behind(bench, subject, count, sizes):
    # As many with one server as with a thousand: what a balancer remembers of the cookies that it saw last is not the question.
    visitors = min(2 * max(sizes.servers) + 1, sizes.visits)
    warm(bench, subject)
    with Load(bench, subject) as load:
        load.do(f"visit count={visitors} players={visitors} concurrent={AT_ONCE}")
        command = f"visit count={sizes.visits} players={visitors} concurrent={AT_ONCE}"
        measure = in_slices(bench, subject, load, sizes)
        measure("growth/servers-handshake", command, count, units=sizes.visits)
        measure("growth/servers-new", f"visit count={sizes.visits} concurrent={AT_ONCE}", count, units=sizes.visits)
    with Load(bench, subject) as load:
        load.do(f"hold count={sizes.workers_links}")
        in_slices(bench, subject, load, sizes)("growth/servers-echo", f"echo seconds={sizes.seconds}", count)


def workers(bench, name, count, sizes):
    """Here a subject may use both cores, with one worker as with two, so that only their number changes. The load shares one of
    the cores, and threads move between them: what is compared is one worker with two, and not these figures with others."""
    echo = f"echo seconds={sizes.seconds}"
    with contextlib.ExitStack() as stack:
        if name in gateways.GATEWAYS:
            subject = stack.enter_context(gateway(bench, name, workers=count, both_cores=True))
        else:
            servers = bench.serve(stack, "--servers", "127.0.0.1:0=2")
            subject = stack.enter_context(balancer(bench, name, servers=servers, workers=count, both_cores=True))
        warm(bench, subject)
        with Load(bench, subject) as load:
            load.do(f"hold count={sizes.workers_links}")
            is_gateway = name in gateways.GATEWAYS
            figure = "growth/gateway-workers-echo" if is_gateway else "growth/workers-echo"
            in_slices(bench, subject, load, sizes)(figure, echo, count)
        if is_gateway:
            return
        with Load(bench, subject) as load:
            visits = f"visit count={sizes.visits} concurrent=32"
            in_slices(bench, subject, load, sizes)("growth/workers-handshake", visits, count, units=sizes.visits)
