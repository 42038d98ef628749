"""What a run found: medians, extremes, ratios within a round, verdicts. Made from the samples alone, so that a report can be
written again from a JSON file."""
import collections
import statistics

from figures import AIMS, FIGURES, FLOORS, OURS
from gateways import COMPILED_PEERS

QUIET_SHARE = 0.15
SUB_BITS = 6  # as in histogram.h


def upper_us(index):
    """The highest value of a bucket of the load generator's histogram."""
    if index < 2 << SUB_BITS:
        return index / 1000
    shift = (index >> SUB_BITS) - 1
    return ((((index - (shift << SUB_BITS)) + 1) << shift) - 1) / 1000


class Results:
    def __init__(self, found):
        self.meta, self.samples = found["meta"], found["samples"]
        self.by_key = collections.defaultdict(dict)  # (figure, subject, x) -> round -> sample
        for sample in self.samples:
            self.by_key[sample["figure"], sample["subject"], sample.get("x")][sample["round"]] = sample

    def figures(self, group=None):
        found = {sample["figure"] for sample in self.samples}
        return [figure for figure in FIGURES if figure in found and (group is None or figure.startswith(group + "/"))]

    def groups(self):
        return list(dict.fromkeys(figure.partition("/")[0] for figure in self.figures()))

    def subjects(self, figure):
        return list(dict.fromkeys(s["subject"] for s in sorted(self.samples, key=lambda s: order_of(s["subject"]))
                                  if s["figure"] == figure))

    def xs(self, figure):
        return sorted({s["x"] for s in self.samples if s["figure"] == figure and "x" in s})

    def rounds(self, figure, subject, x=None):
        return self.by_key.get((figure, subject, x), {})

    def values(self, figure, subject, x=None):
        """In the unit that is shown."""
        return [FIGURES[figure].shown(s["value"]) for s in self.rounds(figure, subject, x).values()]

    def median(self, figure, subject, x=None):
        values = self.values(figure, subject, x)
        return statistics.median(values) if values else None

    def ratio(self, figure, subject, other, x=None, figure_of_other=None):
        """The median of the ratios within rounds."""
        ours, theirs = self.rounds(figure, subject, x), self.rounds(figure_of_other or figure, other, x)
        ratios = [ours[n]["value"] / theirs[n]["value"] for n in ours if n in theirs and theirs[n]["value"] > 0]
        return statistics.median(ratios) if ratios else None

    def best(self, figure, kind="peers", x=None):
        """The peer that takes least, floors and ours left out."""
        names = [name for name in self.subjects(figure) if name not in OURS + FLOORS
                 and (kind == "peers" or name in COMPILED_PEERS) and self.values(figure, name, x)]
        return min(names, key=lambda name: self.median(figure, name, x), default=None)

    def floor(self, figure):
        """The name of the floor that was measured; None."""
        return next((name for name in ("bare", "bare-echo") if name in self.subjects(figure)), None)

    def verdicts(self):
        """(met, text, ratio or None) for each aim of which both sides were measured: said, never enforced."""
        found = []
        for aim in AIMS:
            ours = self.median(aim.figure, aim.ours)
            if ours is None:
                continue
            title = f"{aim.figure}, {aim.ours}"
            if not aim.against:
                found.append((ours <= aim.most, f"{title}: {ours:,.0f} bytes, aim at most {aim.most:,.0f}", None))
                continue
            other = aim.against
            if other in ("peers", "compiled"):
                other = self.best(aim.figure_of_theirs or aim.figure, other)
            ratio = other and self.ratio(aim.figure, aim.ours, other, figure_of_other=aim.figure_of_theirs or None)
            if ratio is not None and ratio:
                floor = self.floor(aim.figure)
                least = floor and other not in FLOORS and self.ratio(aim.figure, floor, other)
                of = f" (its {aim.figure_of_theirs.partition('/')[2]})" if aim.figure_of_theirs else ""
                found.append((round(ratio, 2) <= round(aim.most, 2),
                              f"{title}: {ratio:.2f} x {other}{of}, aim at most {aim.most:.2f}"
                              + (f"; the floor, `{floor}`, is {least:.2f} x {other} itself" if least and least > aim.most else ""),
                              ratio))
        return found

    def shares(self, figure, subject, x=None):
        """Who was busy, as medians of the rounds: the subject, others on its core, the load, the servers, the load's core."""
        rows = [s["shares"] for s in self.rounds(figure, subject, x).values() if "shares" in s]
        if not rows:
            return None
        return {key: statistics.median(row[key] for row in rows if key in row)
                for key in ("subject", "others", "load", "server", "load_core") if any(key in row for row in rows)}

    def latency(self, figure, subject, name="latency"):
        """Percentiles in us of all rounds together where their buckets were kept, else medians of the rounds' own."""
        rows = [s[name] for s in self.rounds(figure, subject).values() if name in s]
        if not rows:
            return None
        if not all("buckets" in row for row in rows):
            return {key: statistics.median(row[key] for row in rows) for key in rows[0] if key.endswith("_us")}
        counts = collections.Counter()
        for row in rows:
            for index, count in row["buckets"]:
                counts[index] += count
        total, found = sum(counts.values()), {"max_us": max(row["max_us"] for row in rows)}
        for key, part in (("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999)):
            seen = 0
            for index in sorted(counts):
                seen += counts[index]
                if seen >= part * total:
                    found[key] = min(upper_us(index), found["max_us"])
                    break
        return found

    def others_share(self):
        rows = [s["shares"]["others"] for s in self.samples if "shares" in s]
        return statistics.median(rows) if rows else 0.0

    def is_noisy(self):
        return self.others_share() > QUIET_SHARE

    def waiting_share(self):
        """(median, highest, whose) of what instances that waited for their turn took of a core; None where it was not kept."""
        rows = [(s["shares"]["waiting"], s["subject"]) for s in self.samples if "waiting" in s.get("shares", {}) and "x" in s]
        return (statistics.median(share for share, _ in rows), *max(rows)) if rows else None

    def growth_pairs(self, figure, subject):
        """[[(at the smallest x, at the largest x)]], in the unit that is shown: for each round that has both, a pair for each turn.
        Slices of one turn are neighbours in time, so that a pair has more in common than a round's two medians."""
        xs = [x for x in self.xs(figure) if self.rounds(figure, subject, x)]
        if len(xs) < 2:
            return []
        shown, first, last = FIGURES[figure].shown, self.rounds(figure, subject, xs[0]), self.rounds(figure, subject, xs[-1])
        both = [(turns_of(first[n]), turns_of(last[n])) for n in sorted(last) if n in first and first[n]["value"] > 0]
        return [[(shown(few), shown(many)) for few, many in zip(*turns)] for turns in both]

    def growths(self, figure, subject):
        """How often the cost at the largest x is that at the smallest, in each round: the median of its turns."""
        return [statistics.median(many / few for few, many in turns) for turns in self.growth_pairs(figure, subject)]

    def growth(self, figure, subject):
        """The median of the rounds' ratios."""
        ratios = self.growths(figure, subject)
        return statistics.median(ratios) if ratios else None

    def grown(self, figure, subject):
        """How much more a unit takes at the largest x than at the smallest: the median of the rounds."""
        rounds = [statistics.median(many - few for few, many in turns) for turns in self.growth_pairs(figure, subject)]
        return statistics.median(rounds) if rounds else None


def turns_of(sample):
    """What each turn found; bytes are not taken in turns."""
    return sample.get("slices") or [sample["value"]]


ORDER = ("rejoin", "rejoin-uring", "rejoin-epoll", "rejoin resume", "rejoin plain", "rejoin tcp", "haproxy", "nginx", "caddy", "libwebsockets", "beast", "ws",
         "socket.io", "bare", "bare-designed", "bare-echo")


def order_of(name):
    return ORDER.index(name) if name in ORDER else len(ORDER)
