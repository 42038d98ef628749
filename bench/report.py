"""The tables on the terminal."""
import statistics

from figures import FIGURES


def print_report(results, quick):
    for group in results.groups():
        print(f"\n==== {group}")
        for figure in results.figures(group):
            if FIGURES[figure].x:
                print_growth(results, figure)
            else:
                print_figure(results, figure)
    if quick:
        print("\nA smoke run: everything answered rightly; the numbers mean nothing.")
        return
    print_latencies(results)
    print_shares(results)
    verdicts = results.verdicts()
    if verdicts:
        print("\nAgainst the aims")
    for met, text, _ in verdicts:
        print(f"  {'met   ' if met else 'MISSED'}  {text}")


def print_figure(results, figure):
    what, peer, floor = FIGURES[figure], results.best(figure), results.floor(figure)
    print(f"\n{what.title}")
    head = f"  {'':<16}{'median':>10}  {'min - max':<21}"
    print(head + (f"{'x floor':>8}" if floor else "") + (f"{'x ' + peer:>18}" if peer else ""))
    for name in results.subjects(figure):
        values = results.values(figure, name)
        line = f"  {name:<16}{statistics.median(values):>10,.{what.digits}f}  "
        line += f"{min(values):,.{what.digits}f} - {max(values):,.{what.digits}f}".ljust(21)
        for other, width in ((floor, 8), (peer, 18)):
            if other:
                ratio = results.ratio(figure, name, other)
                line += (f"{ratio:.2f}" if ratio else "").rjust(width)
        print(line)


def print_growth(results, figure):
    what, xs = FIGURES[figure], results.xs(figure)
    print(f"\n{what.title}")
    print(f"  {what.x:<16}" + "".join(f"{x:>12,}" for x in xs) + "   last / first")
    for name in results.subjects(figure):
        cells = (results.median(figure, name, x) for x in xs)
        growths = results.growths(figure, name)
        print(f"  {name:<16}" + "".join(f"{'' if cell is None else f'{cell:,.{what.digits}f}':>12}" for cell in cells)
              + (f"{statistics.median(growths):>12.2f}  {min(growths):.2f} - {max(growths):.2f}" if growths else ""))


def print_latencies(results):
    for figure in ("relay/rate", "gateway/rate"):
        if figure not in results.figures():
            continue
        print(f"\nLatency in us at a fixed rate, from when a message was due ({figure}; all rounds together)")
        print(f"  {'':<16}" + "".join(f"{key:>10}" for key in ("p50", "p90", "p99", "p99.9", "max")) + "   generator late, p50")
        for name in results.subjects(figure):
            times, late = results.latency(figure, name), results.latency(figure, name, "late")
            cells = "".join(f"{times[key]:>10,.0f}" for key in ("p50_us", "p90_us", "p99_us", "p999_us", "max_us"))
            print(f"  {name:<16}{cells}{late['p50_us']:>12,.0f}")


def print_shares(results):
    """Whether the subject was the limit. CPU time per unit needs no saturation; where the subject's core was full, the figure
    also says how many units a second one core does."""
    print("\nWho was busy, in shares of a core (medians): the subject's core (subject + others), the load's (load + servers)")
    highest = 0.0
    for figure in results.figures():
        for name in results.subjects(figure):
            shares = None if FIGURES[figure].x else results.shares(figure, name)
            if not shares or "load" not in shares:
                continue
            highest = max(highest, shares["load"])
            print(f"  {figure + ', ' + name:<44} subject {shares['subject']:4.0%} + others {shares['others']:4.0%}    load "
                  f"{shares['load']:4.0%} + servers {shares['server']:4.0%}, core {shares['load_core']:4.0%}")
    print(f"  The load generator alone never took more than {highest:.0%} of its core.")
    calibration = results.meta.get("calibration")
    if calibration:
        print("  Its own cost per round trip, against its echo server without a subject between: "
              f"{calibration['load_us']:.2f} us, the server's {calibration['server_us']:.2f} us.")
    if results.is_noisy():
        print(f"  NOT A QUIET MACHINE: others took {results.others_share():.0%} of the subjects' core. Cold caches make every "
              "figure too high, and ratios rough.")
