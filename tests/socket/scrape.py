"""Prometheus' text format (0.0.4), read strictly; and the tables of docs/metrics.md beside it."""

import os
import re
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
LABEL = r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(r"([a-z_]+)(?:\{(" + LABEL + "(?:," + LABEL + r")*)\})? (-?[0-9.]+|\+Inf)")


class Family:
    def __init__(self, name, says):
        self.name, self.says, self.kind = name, says, None
        self.samples = {}  # (suffix, frozenset of labels) to value

    def labels(self):
        """Names of labels, without a histogram's `le`, in the order of the document."""
        order = ["listener", "what", "by", "how", "pool", "server", "decision", "outcome", "reason", "class", "phase", "version", "compiler"]
        names = {name for _, labels in self.samples for name, _ in labels} - {"le"}
        return sorted(names, key=lambda name: (order.index(name) if name in order else 99, name))

    def value(self, suffix="", **labels):
        return self.samples[(suffix, frozenset(labels.items()))]

    def row(self, prefix=""):
        labels = ", ".join(f"`{label}`" for label in self.labels())
        return f"| `{self.name}` | {self.kind} | {labels} | {self.says} |"


def read(text):
    """Name to Family. Raises AssertionError for what Prometheus would not take, or take otherwise than it is meant."""
    families = {}
    family = None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, says = line[7:].split(" ", 1)
            assert name not in families, f"{name} stands twice"
            assert says, f"{name} has no help"
            family = families[name] = Family(name, says)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert family and family.name == name and family.kind is None, line
            assert kind in ("counter", "gauge", "histogram"), line
            family.kind = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, f"no sample: {line!r}"
            suffix = match[1].removeprefix(family.name)
            allowed = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
            assert match[1].startswith(family.name) and suffix in allowed, f"{line!r} stands in {family.name}"
            labels = re.findall(LABEL, match[2] or "")
            key = (suffix, frozenset(labels))
            assert len(dict(labels)) == len(labels) and key not in family.samples, f"twice: {line!r}"
            family.samples[key] = float(match[match.lastindex].replace("+Inf", "inf"))
    for family in families.values():
        assert family.samples or family.name.endswith("_ends_total"), f"{family.name} has no sample"
        if family.kind == "histogram":
            check_histogram(family)
    return families


def check_histogram(family):
    """Buckets grow, the last one is +Inf and says as much as _count."""
    owners = {labels for suffix, labels in family.samples if suffix == "_count"}
    for owner in owners:
        buckets = {}
        for (suffix, labels), value in family.samples.items():
            bound = dict(labels).get("le")
            if suffix == "_bucket" and labels - {("le", bound)} == owner:
                buckets[float(bound.replace("+Inf", "inf"))] = value
        values = [value for _, value in sorted(buckets.items())]
        assert values == sorted(values), f"{family.name}: buckets fall"
        assert values[-1] == family.samples[("_count", owner)], family.name
        assert max(buckets) == float("inf"), family.name
        assert ("_sum", owner) in family.samples, family.name


def rows_of(title):
    """The rows of the table under `## title`, as they stand in the document."""
    section = re.search(rf"(?ms)^## {re.escape(title)}\n(.*?)(?=^## |\Z)", DOCUMENT.read_text())
    assert section, f"docs/metrics.md has no section {title}"
    return [line for line in section[1].splitlines() if line.startswith("| `")]


def hold_beside_document(title, families):
    """Nothing, or what the document says otherwise. REJOIN_UPDATE_DOCS=1 writes the table anew."""
    rows = [family.row() for family in families.values()]
    if os.environ.get("REJOIN_UPDATE_DOCS"):
        text = DOCUMENT.read_text()
        head = "| metric | type | labels | what it is |\n| --- | --- | --- | --- |\n"
        table = head + "\n".join(rows) + "\n"
        pattern = rf"(?ms)(^## {re.escape(title)}\n.*?)^\| metric .*?\n(?=\n|\Z)"
        assert re.search(pattern, text), title
        DOCUMENT.write_text(re.sub(pattern, lambda match: match[1] + table, text))
    return [row for row in rows if row not in rows_of(title)] + [row for row in rows_of(title) if row not in rows]
