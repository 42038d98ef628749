"""The groups of figures: each function plays one round, with its subjects in another order each time. In a round every subject
is started anew, so that a figure's spread includes how a process happened to be laid out in memory."""
import contextlib

import balancers
import gateways
from driver import Load, Subject, rotated
from machine import Failure, memory_bytes

VISITORS = 501  # odd: without affinity, round-robin over two servers would bring each of them back by chance


class Sizes:
    """How much of everything. A quick run checks that all answer rightly, and measures nothing."""

    def __init__(self, quick):
        self.seconds = 0.1 if quick else 0.8
        self.slices = 1 if quick else 5
        self.slice = self.seconds / self.slices  # seconds
        self.rate = "per_second=500 seconds=0.2" if quick else "per_second=4000 seconds=0.5"
        self.many = 8 if quick else 50
        self.crowd = 10 if quick else 100  # of a fan-out
        self.visits = 64 if quick else 3000
        self.visits_slice = 64 if quick else 1000
        self.visitors = 33 if quick else VISITORS
        self.idle = (50, 150) if quick else (1000, 4000)


def balancer(bench, name, **setup):
    return Subject(bench, name, balancers.BALANCERS[name], **setup)


def gateway(bench, name, **setup):
    command, load_options = gateways.GATEWAYS[name]
    return Subject(bench, name, command, load_options, mode="gateway", **setup)


def warm(bench, subject):
    with Load(bench, subject) as load:
        load.do("hold count=8")
        load.do("echo seconds=0.05")
        load.do("close")
        load.do("visit count=64 concurrent=8")


def warm_handshakes(bench, subject):
    """As many at once as load.cc has under way when it opens connections."""
    with Load(bench, subject) as load:
        load.do("visit count=256 concurrent=64")


def idle(bench, subject, figure, sizes, detached=False):
    """On a fresh process: an allocator that was fuller before would hide what a connection takes."""
    first, more = sizes.idle
    if not detached:
        warm(bench, subject)
        warm_handshakes(bench, subject)
        subject.settle()
        bench.keep(subject, figure.replace("idle", "rest"), memory_bytes(subject.pids))
    with Load(bench, subject) as load:
        readings = []
        for count in (first, more):
            load.do(f"hold count={count}")
            if detached:
                load.do("break")  # those of the first group stay as they are
            subject.settle()
            readings.append(memory_bytes(subject.pids))
        bench.keep(subject, figure, (readings[1] - readings[0]) / more)


# ---- relay -----------------------------------------------------------------------------------------------------------


def relay_steps(sizes):
    """(figure, commands that prepare it, the command of a slice, how many units it must do)"""
    first = f"visit count={sizes.visitors} players={sizes.visitors} concurrent=32"
    again = f"visit count={sizes.visits_slice} players={sizes.visitors} concurrent=32"
    churn = f"visit count={sizes.visits_slice // 2} players={sizes.visitors} concurrent=32 say=3"
    return (
        ("relay/echo-1", ["hold count=1"], f"echo seconds={sizes.slice}", None),
        ("relay/echo-50", [f"hold count={sizes.many}"], f"echo seconds={sizes.slice}", None),
        ("relay/rate", [f"hold count={sizes.many}"], f"rate {sizes.rate}", None),
        ("relay/fan", [f"hold count={sizes.crowd}"], f"fan seconds={sizes.slice}", None),
        ("relay/handshake-new", [], f"visit count={sizes.visits_slice} concurrent=32", sizes.visits_slice),
        ("relay/handshake-returning", [first], again, sizes.visits_slice),
        ("relay/churn", [first], churn, sizes.visits_slice // 2),
    )


def play(bench, subjects, steps, sizes, number):
    """Each step's slices, of all subjects in turn, with a load generator for each. Of a fan-out one subject after the other: the
    server behind them tells everybody, also those who came through another."""
    for shift, (figure, prepare, command, units) in enumerate(steps):
        order = rotated(subjects, number + shift)
        for together in [[subject] for subject in order] if figure.endswith("/fan") else [order]:
            with contextlib.ExitStack() as stack:
                pairs = [(subject, stack.enter_context(Load(bench, subject))) for subject in together]
                for _, load in pairs:
                    for line in prepare:
                        load.do(line)
                found = bench.measure_slices(pairs, figure, command, sizes.slices, units=units, buckets="rate" in figure)
            for subject, outcomes in found.items():
                for outcome in outcomes:
                    not_moved(subject, outcome)


def relay_round(bench, names, number):
    sizes = Sizes(bench.quick)
    with contextlib.ExitStack() as stack:
        servers = bench.serve(stack, "--servers", "127.0.0.1:0=2")
        subjects = [stack.enter_context(balancer(bench, name, servers=servers)) for name in names]
        for subject in subjects:
            warm(bench, subject)
        play(bench, subjects, relay_steps(sizes), sizes, number)
    with contextlib.ExitStack() as stack:
        servers = bench.serve(stack, "--tcp", "127.0.0.1:0")
        subjects = [stack.enter_context(balancer(bench, name, mode="tcp", servers=servers, load_options=("--transport", "tcp")))
                    for name in names if name in balancers.LAYER_4]
        for subject in subjects:
            warm(bench, subject)
        steps = [("relay/tcp-echo-50", [f"hold count={sizes.many}"], f"echo seconds={sizes.slice}", None)]
        play(bench, subjects, steps, sizes, number)
    for name in rotated(names, number):
        with contextlib.ExitStack() as stack:
            servers = bench.serve(stack, "--servers", "127.0.0.1:0=2")
            subject = stack.enter_context(balancer(bench, name, servers=servers))
            idle(bench, subject, "relay/idle", sizes)


def not_moved(subject, found):
    if found.get("moved") and subject.name in balancers.COOKIE_BALANCERS:
        raise Failure(f"{subject.name}: {found['moved']} returning clients reached another server, the first: "
                      f"{found['first_moved']}")


# ---- gateway ---------------------------------------------------------------------------------------------------------


def gateway_steps(sizes):
    visits = sizes.visits_slice // 2
    return (
        ("gateway/echo-1", ["hold count=1"], f"echo seconds={sizes.slice}", None),
        ("gateway/echo-50", [f"hold count={sizes.many}"], f"echo seconds={sizes.slice}", None),
        ("gateway/rate", [f"hold count={sizes.many}"], f"rate {sizes.rate}", None),
        ("gateway/churn", [], f"visit count={visits} concurrent=32 say=3", visits),
    )


def gateway_round(bench, names, number):
    sizes = Sizes(bench.quick)
    with contextlib.ExitStack() as stack:
        subjects = [stack.enter_context(gateway(bench, name)) for name in names]
        for subject in subjects:
            warm(bench, subject)
        play(bench, subjects, gateway_steps(sizes), sizes, number)
    through_game(bench, names, number, sizes)
    for name in rotated(names, number):
        with gateway(bench, name) as subject:
            idle(bench, subject, "gateway/idle", sizes)
    for name in names:
        if name in ("rejoin resume", "rejoin tcp"):
            with gateway(bench, name) as subject:
                idle(bench, subject, "gateway/detached", sizes, detached=True)


def through_game(bench, names, number, sizes):
    """Fan-out: whoever ends the connections tells everybody; with a gateway it is the game server behind it who does, with a
    connection for each session, so that the gateway takes in as many messages as it sends."""
    with contextlib.ExitStack() as stack:
        game = bench.serve(stack, "--game", "127.0.0.1:0")[0]
        ours = {name: {"game": game} if name.startswith("rejoin") else {} for name in names}
        subjects = [stack.enter_context(gateway(bench, name, **ours[name])) for name in names if name not in gateways.NO_FAN]
        for subject in subjects:
            warm(bench, subject)
        crowd = [f"hold count={sizes.crowd}"]
        play(bench, subjects, [("gateway/fan", crowd, f"fan seconds={sizes.slice}", None)], sizes, number)
        play(bench, [subject for subject in subjects if ours[subject.name]],
             [("gateway/game-50", crowd, f"echo seconds={sizes.slice} links={sizes.many}", None)], sizes, number)


# ---- storm -----------------------------------------------------------------------------------------------------------


def storm_round(bench, names, number):
    sizes = Sizes(bench.quick)
    links = 50 if bench.quick else bench.links
    for name in rotated([name for name in names if name in gateways.GATEWAYS], number):
        with gateway(bench, name) as subject:
            warm(bench, subject)
            if name != "rejoin resume":  # whose handshake makes a session, too; what it takes to resume is the question
                with Load(bench, subject) as load:
                    bench.measure(subject, load, "storm/handshake", f"visit count={sizes.visits} concurrent=32")
            storm(bench, subject, "storm/gateway", links)
    for name in rotated([name for name in names if name in balancers.BALANCERS], number):
        with contextlib.ExitStack() as stack:
            servers = bench.serve(stack, "--servers", "127.0.0.1:0=2")
            subject = stack.enter_context(balancer(bench, name, servers=servers))
            warm(bench, subject)
            not_moved(subject, storm(bench, subject, "storm/balancer", links))


def storm(bench, subject, figure, links):
    """All come back at once, without the jitter that real clients add; then each proves that it is there."""
    with Load(bench, subject) as load:
        load.do(f"hold count={links}")
        found = bench.measure(subject, load, figure, "storm", units=links)
        load.do(f"echo count={links}")
    return found
