"""bench/growth/in-turn: the growth group on a fake machine, whose clock is a list of rules: that the sizes of a subject are up at
once and take turns, that a machine which becomes slower meanwhile does not pass for growth, and that the page says what was found."""

import contextlib
import re
import unittest
from unittest import mock

import driver
import growth
import page
from figures import FIGURES
from machine import Failure
from results import Results

REST_BYTES = 1_000_000


def held_bytes(held):
    """The first hundred connections take 2,000 bytes each, those until 1,000 take 800, and the others 700."""
    return 2000 * min(held, 100) + 800 * max(0, min(held, 1000) - 100) + 700 * max(0, held - 1000)


class FakeSubject:
    def __init__(self, bench, name, setup):
        self.bench, self.name, self.setup = bench, name, setup
        self.pids, self.held, self.said = [self], 0, []

    def settle(self):
        return 0

    def __enter__(self):
        self.bench.up.append(self)
        return self

    def __exit__(self, *_):
        self.bench.up.remove(self)


class FakeLoad:
    def __init__(self, bench, subject):
        self.subject = subject

    def do(self, command):
        self.subject.said.append(command)
        if found := re.match(r"hold count=(\d+)", command):
            self.subject.held += int(found[1])
        return {"moved": 0}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.subject.held = 0


class FakeBench(driver.Bench):
    """`cost(subject, command, number)`: what a unit takes in the slice with this number of all slices."""

    def __init__(self, cost=lambda subject, command, number: 1000.0, moved=0):
        self.quick, self.round, self.samples, self.up, self.cost, self.moved = False, 0, [], [], cost, moved
        self.slices = []  # (subject, command, how much each subject that is up holds)

    def serve(self, stack, *options):
        return [f"127.1.0.1:{options[1].rpartition('=')[2]}"]

    def take(self, subject, load, command, units=None, buckets=False):
        value = self.cost(subject, command, len(self.slices))
        self.slices.append((subject, command, {other: other.held for other in self.up}))
        subject.said.append("slice: " + command)
        return value, {}, {"moved": self.moved, "first_moved": "b1 to b2"}


def subject_of(bench, name, **setup):
    return FakeSubject(bench, name, setup)


def play(bench, what, *arguments):
    """Calls growth's `what` with everything beneath it faked."""
    with contextlib.ExitStack() as stack:
        for name, fake in {
            "balancer": subject_of, "gateway": subject_of, "Load": FakeLoad, "warm": mock.Mock(), "warm_handshakes": mock.Mock(),
            "memory_bytes": lambda pids: REST_BYTES + held_bytes(sum(subject.held for subject in pids)),
        }.items():  # fmt: skip
            stack.enter_context(mock.patch.object(growth, name, fake))
        what(bench, *arguments)
    return bench


def connections(bench, name="rejoin resume", quick=False):
    return play(bench, growth.connections, name, growth.Sizes(quick))


def results_of(bench):
    return Results({"meta": {}, "samples": bench.samples})


AXES = {  # name: (how it is played, the figures it makes, the sizes)
    "connections of a gateway": (connections, ["growth/gateway-echo", "growth/gateway-handshake"], [10, 100, 1000, 9000]),
    "connections of a balancer": (lambda bench: connections(bench, "haproxy"), ["growth/balancer-echo", "growth/balancer-handshake"],
                                  [10, 100, 1000, 9000]),
    "servers": (lambda bench: play(bench, growth.servers_behind, ["rejoin"], growth.Sizes(False)),
                ["growth/servers-handshake", "growth/servers-new", "growth/servers-echo"], [1, 10, 100, 1000]),
    "workers of a balancer": (lambda bench: play(bench, growth.workers, "nginx", growth.Sizes(False)),
                              ["growth/workers-handshake", "growth/workers-echo"], [1, 2]),
    "workers of a gateway": (lambda bench: play(bench, growth.workers, "rejoin resume", growth.Sizes(False)),
                             ["growth/gateway-workers-echo"], [1, 2]),
}  # fmt: skip


class InTurn(unittest.TestCase):
    def test_every_size_has_a_slice_before_any_has_another(self):
        for axis, (axis_play, figures, sizes) in AXES.items():
            with self.subTest(axis):
                bench = axis_play(FakeBench())
                turns = [bench.slices[at : at + len(sizes)] for at in range(0, len(bench.slices), len(sizes))]
                self.assertEqual(len(turns), len(figures) * growth.Sizes(False).slices)
                for turn in turns:
                    self.assertEqual(len({subject for subject, _, _ in turn}), len(sizes), "one instance was measured twice in a turn")
                    self.assertEqual(len({command for _, command, _ in turn}), 1, "a turn is of one figure")
                self.assertEqual(len({turn[0][0] for turn in turns}), len(sizes), "each is the first of some turn")

    def test_a_machine_that_slows_down_is_no_growth(self):
        for axis, (axis_play, figures, sizes) in AXES.items():
            with self.subTest(axis):
                # By 60 % over the slices of a figure: measured one after another, the last size would be at 1.4 and more.
                bench = FakeBench(lambda subject, command, number, of=len(sizes) * 5: 1000 * (1 + 0.6 * (number % of) / of))
                results = results_of(axis_play(bench))
                for figure in figures:
                    self.assertEqual(results.xs(figure), sizes)
                    self.assertAlmostEqual(results.growth(figure, results.subjects(figure)[0]), 1.0, delta=0.1)

    def test_growth_is_seen_on_a_machine_that_slows_down(self):
        def cost(subject, command, number):
            return (1500 if subject.held == 9000 else 1000) * (1 + 0.6 * (number % 20) / 20)

        results = results_of(connections(FakeBench(cost)))
        self.assertAlmostEqual(results.growth("growth/gateway-echo", "rejoin resume"), 1.5, delta=0.15)

    def test_one_slow_moment_does_not_count(self):
        bench = FakeBench(lambda subject, command, number: 9000.0 if number in (3, 4, 5, 7) else 1000.0)
        results = results_of(connections(bench))
        self.assertEqual(results.growths("growth/gateway-echo", "rejoin resume"), [1.0])
        for x in results.xs("growth/gateway-echo"):
            kept = results.rounds("growth/gateway-echo", "rejoin resume", x)[0]
            self.assertEqual(kept["value"], 1000.0)
            self.assertEqual(sorted(kept["slices"]), [1000.0, 1000.0, 1000.0, 1000.0, 9000.0])

    def test_all_sizes_hold_their_connections_meanwhile(self):
        for name, sizes in (("rejoin resume", [10, 100, 1000, 9000]), ("nginx", [10, 100, 1000, 9000])):
            for _, _, held in connections(FakeBench(), name).slices:
                self.assertEqual(sorted(held.values()), sizes)

    def test_instances_of_an_axis_differ_in_it_alone(self):
        servers = AXES["servers"][0](FakeBench()).slices
        self.assertEqual([subject.setup["servers"] for subject, _, _ in servers[:4]],
                         [[f"127.1.0.1:{count}"] for count in (1, 10, 100, 1000)])  # fmt: skip
        workers = AXES["workers of a balancer"][0](FakeBench()).slices
        self.assertEqual([subject.setup["workers"] for subject, _, _ in workers[:2]], [1, 2])
        self.assertTrue(all(subject.setup["both_cores"] for subject, _, _ in workers))

    def test_a_slice_follows_a_warm_up_of_its_own_kind_that_does_not_count(self):
        for axis, (axis_play, _, _) in AXES.items():
            with self.subTest(axis):
                for subject in {subject for subject, _, _ in axis_play(FakeBench()).slices}:
                    for before, said in zip(subject.said, subject.said[1:]):
                        if said.startswith("slice: "):  # the same but for how long
                            without = re.compile(r"(count|seconds)=[\d.]+ ?")
                            self.assertEqual(without.sub("", before), without.sub("", said.removeprefix("slice: ")))

    def test_rounds_begin_with_another_size(self):
        first = []
        for number in range(4):
            bench = FakeBench()
            bench.round = number
            subject, _, held = connections(bench).slices[0]
            first.append(held[subject])
        self.assertEqual(sorted(first), [10, 100, 1000, 9000])

    def test_a_client_that_reaches_another_server_makes_the_run_void(self):
        for name in ("servers", "workers of a balancer"):
            with self.assertRaises(Failure):
                AXES[name][0](FakeBench(moved=1))


class Bytes(unittest.TestCase):
    def test_bytes_are_the_slope_from_one_number_to_the_next(self):
        results = results_of(connections(FakeBench()))
        found = {x: results.median("growth/gateway-bytes", "rejoin resume", x) for x in results.xs("growth/gateway-bytes")}
        self.assertEqual(found, {100: 2000, 1000: 800, 9000: 700})  # over ten connections a page of 4 kB would say nothing

    def test_a_process_that_served_handshakes_before_is_measured(self):
        order = []
        with mock.patch.object(growth, "warm_handshakes", lambda bench, subject: order.append("handshakes")):
            with mock.patch.object(growth, "memory_bytes", lambda pids: order.append("memory") or 0):
                subject = FakeSubject(FakeBench(), "ws", {})
                growth.fill(subject.bench, subject, FakeLoad(subject.bench, subject), "growth/gateway-bytes", (10, 100))
        self.assertEqual(order, ["handshakes", "memory", "memory", "memory"])


class Clocks(unittest.TestCase):
    def test_only_the_measured_instance_counts_and_the_others_are_told_apart(self):
        clocks, busy = {"measured": 0, "waiting": 0, "server": 0}, [0.0]
        bench = FakeBench()
        bench.helpers = ["server"]
        bench.cores = mock.Mock(subject=1, load=0)
        subjects = {name: mock.Mock(pids=[name]) for name in ("measured", "waiting")}
        subjects["measured"].settle = lambda: clocks["measured"]
        bench.up = list(subjects.values())
        with (mock.patch.object(driver, "cpu_ns", lambda pids: sum(clocks[pid] for pid in pids)),
              mock.patch.object(driver, "core_busy_s", lambda core: busy[0]),
              mock.patch.object(driver.time, "monotonic", mock.Mock(side_effect=[100.0, 101.0]))):  # fmt: skip
            with bench.clocks(subjects["measured"]) as found:
                clocks.update(measured=500_000_000, waiting=20_000_000, server=100_000_000)
                busy[0] = 0.6
        self.assertEqual(found["cpu_ns"], 500_000_000)
        self.assertEqual(found["shares"], {"subject": 0.5, "server": 0.1, "waiting": 0.02, "others": 0.08, "load_core": 0.6})


def sample(figure, subject, number, x, value, **details):
    return {"figure": figure, "subject": subject, "round": number, "x": x, "value": value, **details}


class Said(unittest.TestCase):
    """What the report and the page make of samples."""

    ROUNDS = ((10_000, 13_000), (20_000, 24_000), (40_000, 44_000))  # the machine is another one in each round

    def results(self, subject="rejoin", figure="growth/servers-echo", more=()):
        samples = [sample(figure, subject, number, x, value)
                   for number, (first, last) in enumerate(self.ROUNDS) for x, value in ((1, first), (10, 7), (1000, last))]
        return Results({"meta": {}, "samples": samples + list(more)})

    def test_ratios_are_of_a_round_and_not_of_medians(self):
        results = self.results()
        self.assertEqual([round(ratio, 3) for ratio in results.growths("growth/servers-echo", "rejoin")], [1.3, 1.2, 1.1])
        self.assertAlmostEqual(results.growth("growth/servers-echo", "rejoin"), 1.2)
        self.assertAlmostEqual(results.grown("growth/servers-echo", "rejoin"), 4.0)
        self.assertEqual(page.growth_cell(results, "growth/servers-echo", "rejoin"), "1.20 (1.10–1.30)")

    def test_ratios_are_of_a_turn(self):
        """The machine became twice as slow after some turns; the medians of the slices are of different times."""
        slices = {1: [1000, 1000, 2000, 2000, 1000], 1000: [1200, 1200, 2400, 2400, 2400]}
        more = [sample("growth/servers-echo", "bare", 0, x, sorted(values)[2], slices=values) for x, values in slices.items()]
        results = self.results(more=more)
        self.assertEqual(results.growths("growth/servers-echo", "bare"), [1.2])
        self.assertAlmostEqual(results.grown("growth/servers-echo", "bare"), 0.4)

    def test_a_round_without_the_last_size_has_no_ratio(self):
        results = self.results(more=[sample("growth/servers-echo", "rejoin", 3, 1, 1)])
        self.assertEqual(len(results.growths("growth/servers-echo", "rejoin")), 3)

    def test_what_grows_is_said_with_floor_and_others(self):
        beside = [sample("growth/servers-echo", name, 0, x, value) for name, last in (("bare", 1010), ("nginx", 900), ("caddy", 1100))
                  for x, value in ((1, 1000), (1000, last))]  # fmt: skip
        said = page.grown(self.results(more=beside))
        self.assertEqual(said, ["- **growth/servers-echo**: rejoin takes 1.20 (1.10–1.30) times as much at the most servers as at the "
                                "fewest, +4.0 us (the floor 1.01, +0.0 us; the others 0.90 to 1.10)."])  # fmt: skip

    def test_a_reason_stands_only_beside_a_loss(self):
        figure = "growth/gateway-workers-echo"
        self.assertIn(page.REMARKS[figure], page.grown(self.results("rejoin resume", figure))[0])
        self.ROUNDS = ((1000, 1100), (2000, 1900))
        self.assertEqual(page.grown(self.results("rejoin resume", figure)), [])
        self.assertEqual(page.grown(self.results("haproxy")), [])

    def test_reasons_are_of_figures_that_exist(self):
        self.assertLessEqual(set(page.REMARKS), set(FIGURES))

    def test_what_waits_is_said(self):
        more = [sample("growth/servers-echo", name, 9, 10, 5, shares={"waiting": share})
                for name, share in (("ws", 0.03), ("nginx", 0.0), ("bare", 0.001))]  # fmt: skip
        more.append({"figure": "relay/echo-1", "subject": "nginx", "round": 9, "value": 5, "shares": {"waiting": 0.5}})
        self.assertEqual(self.results(more=more).waiting_share(), (0.001, 0.03, "ws"))
        self.assertIn("0.10% of a core (median of all figures; at most 3.00%, ws)", page.waiting_text(self.results(more=more)))
        self.assertEqual(page.waiting_text(self.results()), "")


if __name__ == "__main__":
    unittest.main()
