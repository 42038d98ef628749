"""Plots as SVG, by hand: bars with the extremes of the rounds for the groups, lines for growth and latencies. Readable on a light
and on a dark page: text and axes follow prefers-color-scheme, colours are of a middle brightness, the ground is transparent."""
import html
import math

from figures import FIGURES, FLOORS, OURS

WIDTH, COLUMNS, GAP = 920, 2, 24
COLOURS = {
    "rejoin": "#2f81f7", "rejoin-uring": "#58a6ff", "rejoin-epoll": "#58a6ff", "rejoin resume": "#2f81f7", "rejoin plain": "#58a6ff", "rejoin tcp": "#79c0ff", "haproxy": "#d29922",
    "nginx": "#2ea043", "caddy": "#a371f7", "libwebsockets": "#d29922", "beast": "#2ea043", "ws": "#a371f7",
    "socket.io": "#e85aad", "bare": "#8b949e", "bare-designed": "#8b949e", "bare-echo": "#8b949e"}  # fmt: skip
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 13px; }
  .small { font-size: 11px; fill: #57606a; }
  .axis { stroke: #8c959f; stroke-width: 1; }
  .grid { stroke: #8c959f; stroke-width: 1; opacity: .25; }
  .range { stroke: #24292f; stroke-width: 1.2; opacity: .75; }
  .line { fill: none; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9198a1; } .range { stroke: #e6edf3; }
  }
"""


class Svg:
    def __init__(self, title):
        self.title, self.parts = title, []

    def text(self, x, y, text, kind="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{html.escape(text)}</text>')

    def line(self, x1, y1, x2, y2, kind):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def bar(self, x, y, width, height, colour, faint=False):
        opacity = ' opacity=".55"' if faint else ""
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" '
                          f'fill="{colour}"{opacity}/>')

    def path(self, points, colour, dashed=False):
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{line}" class="line" stroke="{colour}"{dash}/>')
        for x, y in points:
            self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>')

    def written(self, height):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
                f'height="{height:.0f}" role="img" aria-label="{html.escape(self.title)}">\n<title>{html.escape(self.title)}</title>'
                f"\n<style>{STYLE}</style>\n" + "\n".join(self.parts) + "\n</svg>\n")


def step_of(highest, ticks=4):
    """The distance of round numbers, so that about `ticks` of them reach `highest`."""
    if highest <= 0:
        return 1
    rough = highest / ticks
    power = 10 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def tick(value):
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"


def panels(count, height):
    """Top left corners, and the whole height."""
    width = (WIDTH - GAP * (COLUMNS - 1)) / COLUMNS
    rows = math.ceil(count / COLUMNS)
    return [((i % COLUMNS) * (width + GAP), (i // COLUMNS) * (height + GAP)) for i in range(count)], width, rows * (height + GAP)


# ---- bars ------------------------------------------------------------------------------------------------------------


def bars(results, group):
    """A panel for each figure of the group, a bar for each subject, a line from the lowest to the highest round."""
    figures = results.figures(group)
    rows = max(len(results.subjects(figure)) for figure in figures)
    height = 20 + rows * 20 + 34
    svg = Svg(f"{group}: CPU time per unit and bytes, median of the rounds with extremes")
    corners, width, total = panels(len(figures), height)
    for figure, (x, y) in zip(figures, corners):
        bar_panel(svg, results, figure, x, y, width)
    return svg.written(total)


def bar_panel(svg, results, figure, left, top, width):
    what, names = FIGURES[figure], results.subjects(figure)
    svg.text(left, top + 13, f"{what.short} ({'bytes' if what.unit == 'bytes' else 'us of CPU'})", "title")
    label, values_right = 96, 62
    start, room = left + label, width - label - values_right
    highest = max(1, *(max(results.values(figure, name)) for name in names))
    step = step_of(highest)
    scale = room / highest
    bottom = top + 20 + len(names) * 20 + 4
    for i in range(int(highest / step + 1e-9) + 1):
        x = start + i * step * scale
        svg.line(x, top + 20, x, bottom, "grid" if i else "axis")
        svg.text(x, bottom + 13, tick(i * step), "small", "middle")
    for i, name in enumerate(names):
        y, values = top + 22 + i * 20, results.values(figure, name)
        middle = results.median(figure, name)
        svg.text(start - 6, y + 12, name, "", "end")
        svg.bar(start, y, middle * scale, 15, COLOURS.get(name, "#8b949e") if name in OURS else "#8b949e", name in FLOORS)
        if len(values) > 1:
            low, high = start + min(values) * scale, start + max(values) * scale
            svg.line(low, y + 7.5, high, y + 7.5, "range")
            svg.line(low, y + 4, low, y + 11, "range")
            svg.line(high, y + 4, high, y + 11, "range")
        svg.text(start + max(values) * scale + 5, y + 12, number(middle), "small")
    svg.line(start, bottom, start + room, bottom, "axis")


# ---- lines -----------------------------------------------------------------------------------------------------------


def legend(svg, names, left, top, width):
    """In lines; returns where it ends."""
    x = left
    for name in names:
        space = 30 + 6.2 * len(name)
        if x + space > left + width:
            x, top = left, top + 15
        svg.parts.append(f'<line x1="{x:.1f}" y1="{top - 4:.1f}" x2="{x + 16:.1f}" y2="{top - 4:.1f}" class="line" '
                         f'stroke="{COLOURS[name]}"/>')
        svg.text(x + 20, top, name, "small")
        x += space
    return top + 6


class Frame:
    """Axes of a panel: x is a list of places, y goes from 0 (or in powers of ten) up."""

    def __init__(self, svg, left, top, width, height, labels, highest, lowest=None):
        self.svg, self.left, self.bottom = svg, left + 52, top + height
        self.right, self.top = left + width - 14, top + 8
        self.lowest, self.highest = lowest, highest
        self.labels = labels
        for value in self.ticks():
            y = self.y(value)
            svg.line(self.left, y, self.right, y, "grid")
            svg.text(self.left - 6, y + 4, tick(value), "small", "end")
        for i, text in enumerate(labels):
            svg.text(self.x(i), self.bottom + 15, text, "small", "middle")
        svg.line(self.left, self.top, self.left, self.bottom, "axis")
        svg.line(self.left, self.bottom, self.right, self.bottom, "axis")

    def ticks(self):
        if self.lowest is None:
            step = step_of(self.highest)
            return [i * step for i in range(int(self.highest / step + 1e-9) + 1)]
        first, last = math.floor(math.log10(self.lowest)), math.floor(math.log10(self.highest))
        powers = [10**p * f for p in range(first, last + 1) for f in (1, 3)]
        return [value for value in powers if self.lowest <= value <= self.highest]

    def x(self, i):
        inset = 18
        return self.left + inset + (self.right - self.left - 2 * inset) * i / max(1, len(self.labels) - 1)

    def y(self, value):
        if self.lowest is None:
            part = value / self.highest
        else:
            part = math.log(max(value, self.lowest) / self.lowest) / math.log(self.highest / self.lowest)
        return self.bottom - (self.bottom - self.top) * part


def growth(results):
    figures = results.figures("growth")
    inner, height = 170, 256
    svg = Svg("growth: cost of a unit beside more connections, servers, workers")
    corners, width, total = panels(len(figures), height)
    for figure, (left, top) in zip(figures, corners):
        what, names, xs = FIGURES[figure], results.subjects(figure), results.xs(figure)
        unit = "bytes" if what.unit == "bytes" else "us of CPU"
        svg.text(left, top + 13, f"{what.short} ({unit}) by number of {what.x}", "title")
        legend(svg, names, left, top + 30, width)
        shown = [value for name in names for x in xs for value in results.values(figure, name, x)]
        frame = Frame(svg, left, top + 36, width, inner, [f"{x:,}" for x in xs], max(1, max(shown) * 1.05))
        svg.text((frame.left + frame.right) / 2, frame.bottom + 30, what.x, "small", "middle")
        for name in names:
            points = []
            for i, x in enumerate(xs):
                values = results.values(figure, name, x)
                if not values:
                    continue
                points.append((frame.x(i), frame.y(max(0, results.median(figure, name, x)))))
                svg.line(frame.x(i), frame.y(max(0, min(values))), frame.x(i), frame.y(max(0, *values)), "range")
            svg.path(points, COLOURS[name], name in FLOORS)
    return svg.written(total)


def latency(results):
    figures = [figure for figure in ("relay/rate", "gateway/rate") if figure in results.figures()]
    keys = ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")
    svg = Svg("latency at a fixed rate, from when a message was due")
    corners, width, total = panels(len(figures), 288)
    for figure, (left, top) in zip(figures, corners):
        names = results.subjects(figure)
        times = {name: results.latency(figure, name) for name in names}
        svg.text(left, top + 13, f"{figure.partition('/')[0]}: latency in us (log) at 4,000 messages a second", "title")
        below = legend(svg, names, left, top + 30, width)
        shown = [times[name][key] for name in names for key in keys]
        frame = Frame(svg, left, below, width, 190, ["p50", "p90", "p99", "p99.9", "max"], max(shown) * 1.2, min(shown) / 1.3)
        svg.text((frame.left + frame.right) / 2, frame.bottom + 30, "share of the messages", "small", "middle")
        for name in names:
            svg.path([(frame.x(i), frame.y(times[name][key])) for i, key in enumerate(keys)], COLOURS[name], name in FLOORS)
    return svg.written(total)
