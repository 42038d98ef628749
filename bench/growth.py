"""The growth group: the same figures with more connections, more servers, more workers. The cost of a unit must not grow with
what stands beside it: ten messages are under way and ten handshakes at once, however many connections are held.

What is asked is how often one subject's cost at the most is that at the fewest. So all its sizes are up at once, an instance of
it for each, and are measured in turn: a slice of one, a slice of the next, and so on, and then another of each. What else the
machine does in these seconds meets all of them, and not one. Subjects follow one another, since four instances of each are
forty processes. An instance that waits has its sockets and no work; what it takes of the core nevertheless is kept beside each
figure (`waiting`)."""
import collections
import contextlib

import balancers
import gateways
from driver import Load, rotated
from groups import balancer, gateway, not_moved, warm, warm_handshakes
from machine import memory_bytes

WORKERS = ("rejoin", "haproxy", "nginx", "caddy", "bare", "rejoin resume", "bare-echo")  # the others have one thread by design
AT_ONCE = 10


class Sizes:
    def __init__(self, quick):
        self.connections = (10, 30) if quick else (10, 100, 1000, 9000)
        self.servers = (1, 5) if quick else (1, 10, 100, 1000)
        self.workers = (1, 2)
        self.slices = 1 if quick else 5
        self.seconds = 0.05 if quick else 0.15  # of a slice, as are the visits
        self.visits = 40 if quick else 400
        # What others left in the caches meanwhile is not the question, so that messages that do not count come before a slice:
        # enough for 1,000 connections. Of 9,000 none is warm from them, since the slice goes on with those whose turn it is next.
        self.seconds_before = 0.01 if quick else 0.05
        self.visits_before = 10 if quick else 40
        self.links = 8 if quick else 50  # with more servers or workers


Step = collections.namedtuple("Step", "figure command warm_up units")


def echoes(sizes, figure, how=""):
    return Step(figure, f"echo seconds={sizes.seconds}{how}", f"echo seconds={sizes.seconds_before}{how}", None)


def visits(sizes, figure, how):
    return Step(figure, f"visit count={sizes.visits} {how}", f"visit count={sizes.visits_before} {how}", sizes.visits)


def growth_round(bench, names, number):
    sizes = Sizes(bench.quick)
    balancer_names = rotated([name for name in names if name in balancers.BALANCERS], number)
    for name in balancer_names + rotated([name for name in names if name in gateways.GATEWAYS], number):
        connections(bench, name, sizes)
    servers_behind(bench, balancer_names, sizes)
    for name in rotated([name for name in names if name in WORKERS], number):
        workers(bench, name, sizes)


class Instances:
    """One subject, as many times as there are sizes of it: all up, each with its load, and measured in turn."""

    def __init__(self, bench, sizes):
        self.bench, self.sizes = bench, sizes
        self.stack = contextlib.ExitStack()
        self.loads, self.xs = {}, {}  # by subject, the smallest first

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def start(self, name, x, servers=None, **setup):
        """Another instance, whose size is `x`. A balancer has servers of its own unless there are some."""
        if name in gateways.GATEWAYS:
            subject = self.stack.enter_context(gateway(self.bench, name, **setup))
        else:
            servers = servers or self.bench.serve(self.stack, "--servers", "127.0.0.1:0=2")
            subject = self.stack.enter_context(balancer(self.bench, name, servers=servers, **setup))
        warm(self.bench, subject)
        self.xs[subject] = x
        return subject

    def connect(self, subject):
        self.loads[subject] = self.stack.enter_context(Load(self.bench, subject))
        return self.loads[subject]

    def prepare(self, command):
        for load in self.loads.values():
            load.do(command)

    def measure(self, step):
        order = rotated(list(self.loads.items()), self.bench.round)
        found = self.bench.measure_slices(order, step.figure, step.command, self.sizes.slices, step.units, xs=self.xs,
                                          warm_up=step.warm_up)
        for subject, outcomes in found.items():
            for outcome in outcomes:
                not_moved(subject, outcome)


def connections(bench, name, sizes):
    """An instance for each number of connections, which holds them as long as all are measured."""
    figure = "growth/gateway" if name in gateways.GATEWAYS else "growth/balancer"
    with Instances(bench, sizes) as instances:
        for count in sizes.connections:
            subject = instances.start(name, count)
            if count == sizes.connections[-1]:
                fill(bench, subject, instances.connect(subject), figure + "-bytes", sizes.connections)
            else:
                instances.connect(subject).do(f"hold count={count}")
        instances.measure(echoes(sizes, figure + "-echo", f" window={AT_ONCE}"))
        instances.measure(visits(sizes, figure + "-handshake", f"concurrent={AT_ONCE}"))


def fill(bench, subject, load, figure, counts):
    """The largest is given more and more: what a connection takes is the slope from the step before. As many handshakes at once as
    will be are behind it: what those take stays with a process, and is a figure of its own (idle() in groups.py)."""
    warm_handshakes(bench, subject)
    subject.settle()
    held, memory = 0, memory_bytes(subject.pids)
    for count in counts:
        load.do(f"hold count={count - held}")
        subject.settle()
        now = memory_bytes(subject.pids)
        # A page is 4 kB: the slope over ten connections says nothing.
        if count - held >= 50 or bench.quick:
            bench.keep(subject, figure, (now - memory) / (count - held), count)
        held, memory = count, now


def servers_behind(bench, names, sizes):
    # As many with one server as with a thousand: what a balancer remembers of the cookies that it saw last is not the question.
    visitors = min(2 * max(sizes.servers) + 1, sizes.visits)
    returning = f"players={visitors} concurrent={AT_ONCE}"
    with contextlib.ExitStack() as stack:
        addresses = {count: bench.serve(stack, "--servers", f"127.1.0.1:0={count}") for count in sizes.servers}
        for name in names:
            with Instances(bench, sizes) as instances:
                for count in sizes.servers:
                    instances.connect(instances.start(name, count, servers=addresses[count]))
                instances.prepare(f"visit count={visitors} {returning}")
                instances.measure(visits(sizes, "growth/servers-handshake", returning))
                instances.measure(visits(sizes, "growth/servers-new", f"concurrent={AT_ONCE}"))
                instances.prepare(f"hold count={sizes.links}")
                instances.measure(echoes(sizes, "growth/servers-echo"))


def workers(bench, name, sizes):
    """Here a subject may use both cores, with one worker as with two, so that only their number changes. The load shares one of
    the cores, and threads move between them: what is compared is one worker with two, and not these figures with others."""
    is_gateway = name in gateways.GATEWAYS
    with Instances(bench, sizes) as instances:
        for count in sizes.workers:
            instances.connect(instances.start(name, count, workers=count, both_cores=True))
        if not is_gateway:
            instances.measure(visits(sizes, "growth/workers-handshake", "concurrent=32"))
        instances.prepare(f"hold count={sizes.links}")
        instances.measure(echoes(sizes, "growth/gateway-workers-echo" if is_gateway else "growth/workers-echo"))
