"""docs/benchmarks.md: the page on which a sceptical engineer decides. Every figure of a group comes from one run's JSON; the sentences
that explain a figure stand here, and those that say who wins are made from the figures."""
import json
import statistics

import plots
from figures import FIGURES, FLOORS
from results import QUIET_SHARE, order_of

GROUP_TEXTS = {
    "relay": ("The balancer between WebSockets and servers", """Clients in front, an echo server behind, cookie affinity on. `bare` is
a floor and no product: bytes from socket to socket in one epoll loop, with no HTTP, no cookie, no time-outs. A figure for one
connection contains a sleep and a wake-up for each message; with 50, many messages are handled per wake-up. `rejoin-uring` is
rejoin with `io = "io_uring"` in `[process]`; `rejoin` is on epoll, the default."""),
    "http": ("HTTP/1.1 through the balancer", """Requests for 200 bytes from wrk, answered by an nginx, cookie affinity on."""),
    "tls": ("TLS at the balancer", """The same certificate (ECDSA P-256) everywhere, TLS 1.3, AES-128-GCM with SHA-256 and X25519 (HAProxy
and nginx are told so, as OpenSSL would begin with AES-256 and SHA-384), WebSocket upgrade with cookie affinity behind it. Clients
that come again bring a session ticket and their cookie; nobody takes leave by close_notify. Most of a handshake is the cryptography, which three of the four take from OpenSSL."""),
    "gateway": ("The gateway, beside echo servers", """The gateway ends the players' connections and keeps their sessions. `rejoin
resume` is the resume protocol over WebSocket: numbered, acknowledged and kept for a replay; `rejoin tcp` is the same over framed TCP;
`rejoin plain` is plain WebSocket messages. `bare-echo` is a floor and no product: bytes go back as they came, one `recv` and one
`send` a message, with no WebSocket and no session. The others echo, and keep nothing; Socket.IO runs with its connection state
recovery. With fan-out and through a game server, the gateway has a game server behind it, and a connection to it for each
session, so that it receives as many messages as it sends; the others make the copies themselves."""),
    "storm": ("Storms: everybody's connection breaks at once", """Links are broken by RST and come back at once, without the jitter
that real clients add. `rejoin resume` resumes its sessions with a RESUME in the handshake, Socket.IO recovers its own; the others
only reconnect, so they are compared by their handshakes. Each client then proves by an echo that it is there; at balancers, that
its cookie brought it back to its server."""),
    "growth": ("Growth: does a unit cost more beside more of them?", """Ten messages are under way and ten handshakes at once, however
many connections are held, and the messages go round over all of them. Flat is good. All sizes of a subject are up at once, an
instance for each, and take turns; `last / first` is the ratio of the largest to the smallest within a turn, as the median of the
rounds, and so no quotient of the medians beside it. What grows for everybody, the floor included, is the memory that a message
touches: with 9,000 connections a connection's state, mostly the kernel's, has left the processor's caches when its next message
comes. Bytes are the slope from one number of connections to the next while the largest instance is filled, after 64 handshakes at
once: what those take stays with a process (for rejoin about a megabyte, `process at rest` in the tables above), and the first hundred
connections take some of it again. With 1 and 2 workers a subject may use both cores, one of which it shares with the load: the
two are compared with each other, and not with the rest of the page."""),
}

# Why, where we lose, as far as somebody has looked: by perf and strace, not by guess.
REMARKS = {
    "relay/fan": "`strace -c` shows the same calls for bare, nginx and rejoin, one `recv` and one `send` a message and an `epoll_wait` "
                 "for every 35 of them: what differs is how many messages a wake-up finds",
    "gateway/fan": "every copy comes from the game server by its session's own connection, so that the gateway makes two calls a copy "
                   "where the echo servers make one; it has no broadcast of its own",
    "gateway/rest": "of 1,244 KiB after the start 392 are libcrypto's relocated tables, 40 libssl's, and 286 what OpenSSL makes at the first "
                    "random number (a program of three lines shows them); Beast's echo server links no cryptography. The rest is what 64 "
                    "handshakes at once leave in our pools",
    "growth/balancer-echo": "`perf` finds 96 % of it in the kernel with 10 connections and with 9,000",
    "growth/gateway-echo": "it is the kernel's memory of a socket: the floor keeps nothing of a connection in its own, and pays most of it. "
                           "A ratio flatters whose message costs more anyway; look at the microseconds. Of our own memory a message "
                           "touches 12 lines of cache (callgrind, 8,000 sessions)",
    "growth/gateway-workers-echo": "with two workers the load's one thread is the limit, so that they sleep between messages: 0.18 "
                                   "times a message, 0.002 times with one worker (`voluntary_ctxt_switches`). Of the difference "
                                   "`perf` finds 84 % in the kernel, and a floor of two threads pays for it, too",
    "gateway/echo-1": "with one connection each message pays for a sleep and a wake-up, and that is most of it for everybody in C",
}

METHOD = """
- **CPU time, not wall time.** What is counted is the CPU clock of the subject's own processes (user and kernel, in nanoseconds, all
  threads and children), read before and after a known number of units. It needs no saturated machine, and noise from elsewhere
  enters it only through cold caches. CPU microseconds per unit are a million divided by units per second and core.
- **Interleaved rounds.** In each round all subjects are started anew and measured in turn, in another order each round. Ratios are
  taken within a round. Tables show medians, with the lowest and the highest round in brackets.
- **Slices.** Within a round a figure is taken in slices of some tenths of a second: one of each subject in turn, then another of
  each. A round's value is the subject's median slice, since whoever else is busy on the machine, or on the one below it, is so for
  moments.
- **Growth** asks how often a subject's cost at the most is that at the fewest. So all its sizes are up at once, an instance of it for
  each number of connections, servers or workers, with its connections held, and slices of them take turns: one of each size, then
  another of each. Ratios are taken within a turn; a round's ratio is the median of its turns. What other instances left in the
  caches is not the question, so that before each slice there are 0.05 seconds of the same that do not count. (Of ten rounds of
  `rejoin resume` with 9,000 connections and with 10: a message 1.56, a handshake 1.02; with slices four times as long and nothing
  before them, 1.56 and 1.02; with short ones and nothing before them, 1.45 and 0.99, as few connections are dear while they are cold.)
  Only the clock of the instance whose turn it is counts; what the waiting ones took meanwhile is said above the tables. In this
  group subjects follow one another.
- **Pinned.** The subject has one core; the load generator and the servers behind the subject have the other. Everything is on
  loopback, so that the kernel's TCP work, the same for everybody, is most of each figure, as it is in production.
- **The load generator** (`bench/load.cc`) is one thread on one epoll that sends, receives and checks a message without an
  allocation. It verifies every 101 and its accept key, every byte of every message, its order, and which server a returning
  client reached: one wrong answer makes the run void. It speaks rejoin.v1 by code of its own, so that no fault is measured
  against itself.
- **Latency without coordinated omission.** At a fixed rate each message has a time at which it is due, whatever came back before,
  and its latency counts from then.
- **Batches.** Whoever is slower finds more messages waiting at each wake-up, and pays less for each. That flatters slow subjects in
  the closed loops a little; with one connection, and at a fixed rate, it does not happen.
- **Memory** is anonymous memory of the subject (`smaps_rollup`), as the slope between two numbers of connections, each of which
  has sent a message. The kernel's socket buffers are not in it; they are the same for everybody.
- **Peers are configured as their manuals say for production** (`bench/balancers.py`, `bench/gateways.py`, `bench/peers/`): cookie
  affinity, X-Forwarded-For, time-outs, TCP keep-alive on both sides; no access logs and no health checks anywhere. nginx of Debian has no cookie affinity, and
  does the same by a map. Caddy plants its cookie by `lb_policy cookie`.
"""

LIMITS = """
- One machine with two cores and loopback: no network card, no packet loss, no real distance. Absolute figures are this machine's;
  ratios carry further.
- One core per subject. How several workers share a listener is measured only as far as two cores show it.
- Debian's versions of the peers, which are what many run, and not their newest.
- No compression, and messages of 64 bytes: larger ones cost everybody the same copies.
- A gateway that keeps sessions does more than an echo server. That is the point of the comparison, and it is not the same work.
"""


GROWN_MAX = 1.15  # last / first: beyond it a figure of ours stands among those in which we lose


def cell(results, figure, name, x=None):
    values, digits = results.values(figure, name, x), FIGURES[figure].digits
    if not values:
        return ""
    middle = f"{statistics.median(values):,.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1),
                      *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def main_of(results, figure):
    names = results.subjects(figure)
    return next((name for name in ("rejoin", "rejoin resume", "rejoin plain") if name in names), None)


def row_title(figure):
    return FIGURES[figure].title.replace("CPU us of the subject per ", "us per ").replace("User-space bytes per ", "bytes per ")


def figure_tables(results, group):
    """A row for each figure, a column for each subject, and ours as a multiple of the best peer's. Figures of balancers and of
    gateways have tables of their own."""
    figures = [figure for figure in results.figures(group) if not FIGURES[figure].x]
    balancers = [figure for figure in figures if "rejoin" in results.subjects(figure)]
    parts = [balancers, [figure for figure in figures if figure not in balancers]]
    return "\n".join(figure_table(results, part) for part in parts if part)


def figure_table(results, figures):
    names = sorted({name for figure in figures for name in results.subjects(figure)}, key=order_of)
    rows = []
    for figure in figures:
        ours, peer = main_of(results, figure), results.best(figure)
        ratio = results.ratio(figure, ours, peer) if ours and peer else None
        rows.append([row_title(figure), *(cell(results, figure, name) for name in names),
                     f"**{ratio:.2f}** x {peer}" if ratio else ""])
    return table(["", *names, "ours / best peer"], rows)


def growth_tables(results):
    parts = []
    for figure in results.figures("growth"):
        what, xs = FIGURES[figure], results.xs(figure)
        rows = []
        for name in results.subjects(figure):
            rows.append([name, *(cell(results, figure, name, x) for x in xs), growth_cell(results, figure, name)])
        parts.append(f"**{what.short}**: {what.title}.\n\n" + table([what.x, *(f"{x:,}" for x in xs), "last / first"], rows))
    return "\n".join(parts)


def growth_cell(results, figure, name):
    growths = results.growths(figure, name) if FIGURES[figure].unit == "us" else []
    if not growths:
        return ""
    middle = f"{statistics.median(growths):.2f}"
    return middle if len(growths) == 1 else f"{middle} ({min(growths):.2f}–{max(growths):.2f})"


def waiting_text(results):
    found = results.waiting_share()
    if not found:
        return ""
    middle, highest, name = found
    return f"Instances that waited for their turn took {middle:.2%} of a core (median of all figures; at most {highest:.2%}, {name}).\n\n"


def latency_table(results):
    parts = []
    for figure in ("relay/rate", "gateway/rate"):
        if figure not in results.figures():
            continue
        rows = []
        for name in results.subjects(figure):
            times, late = results.latency(figure, name), results.latency(figure, name, "late")
            rows.append([name, *(f"{times[key]:,.0f}" for key in ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")),
                         f"{late['p50_us']:,.0f} / {late['p99_us']:,.0f}"])
        parts.append(table([figure.partition("/")[0] + ", us", "p50", "p90", "p99", "p99.9", "max", "generator late, p50 / p99"],
                           rows))
    return "\n".join(parts)


def storm_times(results):
    rows = []
    for figure in ("storm/gateway", "storm/balancer"):
        for name in results.subjects(figure) if figure in results.figures() else []:
            times = results.latency(figure, name)
            rows.append([f"{figure.partition('/')[2]}: {name}", f"{times['p50_us'] / 1000:,.0f}", f"{times['max_us'] / 1000:,.0f}"])
    return table(["until they are back, ms after the break", "half of them", "all"], rows) if rows else ""


def share_table(results):
    rows = []
    for figure in results.figures():
        for name in results.subjects(figure):
            shares = None if FIGURES[figure].x else results.shares(figure, name)
            if shares and "load" in shares:
                rows.append([figure, name, *(f"{shares[key]:.0%}" for key in ("subject", "others", "load", "server", "load_core"))])
    return table(["figure", "subject", "its own share of its core", "others there", "load generator", "servers", "load's core in all"],
                 rows).replace("| --- | ---: |", "| --- | --- |", 1)


def losses(results):
    """Every figure in which the best peer takes less than we do, by more than two hundredths in the median of the rounds."""
    found = []
    for figure in results.figures():
        if FIGURES[figure].x:
            continue
        ours, peer = main_of(results, figure), results.best(figure)
        ratio = results.ratio(figure, ours, peer) if ours and peer else None
        if ratio and ratio > 1.02:
            rounds, theirs = results.rounds(figure, ours), results.rounds(figure, peer)
            lost = sum(rounds[n]["value"] > theirs[n]["value"] for n in rounds if n in theirs)
            found.append(f"- **{figure}**, {FIGURES[figure].short}: {ratio:.2f} x {peer}, more in {lost} of {len(rounds)} rounds"
                         + remark(figure))
    return found + grown(results)


def grown(results):
    """Every figure of ours that costs more by more than a seventh beside the most."""
    found = []
    for figure in results.figures("growth"):
        floor = results.floor(figure)
        for name in results.subjects(figure):
            growth = results.growth(figure, name)
            if not name.startswith("rejoin") or FIGURES[figure].unit != "us" or not growth or growth <= GROWN_MAX:
                continue
            peers = [value for value in (results.growth(figure, other) for other in results.subjects(figure)
                                         if not other.startswith("rejoin") and other not in FLOORS) if value]
            beside = [f"the floor {growth_cell(results, figure, floor)}, {results.grown(figure, floor):+.1f} us"] if floor else []
            if peers:
                beside.append("the others " + " to ".join(f"{value:.2f}" for value in sorted({min(peers), max(peers)})))
            found.append(f"- **{figure}**: {name} takes {growth_cell(results, figure, name)} times as much at the most "
                         f"{FIGURES[figure].x} as at the fewest, {results.grown(figure, name):+.1f} us"
                         + (f" ({'; '.join(beside)})" if beside else "") + remark(figure))
    return found


def remark(figure):
    return f": {REMARKS[figure]}." if figure in REMARKS else "."


def aims_table(results):
    rows = [["met" if met else "**missed**", text] for met, text, _ in results.verdicts()]
    return table(["", "aim"], rows).replace("---:", "---")


def environment_text(meta):
    build, parts = meta["build"], []
    parts.append(f"Measured on {meta['date']} at commit `{meta['commit']}`, {meta['rounds']} rounds, {meta['seconds'] // 60} minutes, "
                 f"on {meta['cores']} cores of {meta['cpu']} with {meta['memory_gib']} GiB, Linux {meta['kernel']}, "
                 f"{meta['distribution']}. Built by {build['compiler']} with `{build['flags']}`"
                 + (" and link-time optimisation." if build["lto"] == "ON" else "."))
    again = [f"{', '.join(one['groups'])} on {one['date']} at commit `{one['commit']}`, {one['rounds']} rounds, "
             f"{one['seconds'] // 60} minutes" for one in meta.get("again", ())]
    if again:
        parts.append("Measured anew since, on the same machine: " + "; ".join(again) + ".")
    return " ".join(parts)


def noise_text(results):
    share = results.others_share()
    if share > QUIET_SHARE:
        return (f"> **A noisy run.** Other programs took {share:.0%} of the subjects' core (median). Their traces in the caches make "
                "every absolute figure too high, and a ratio rough by a tenth or two. A quiet run renews this page by the command "
                "below.\n")
    return f"Other programs took {share:.0%} of the subjects' core (median): a quiet run.\n"


def page(results):
    meta, parts = results.meta, []
    add = parts.append
    add("# Benchmarks: what it costs, beside others\n")
    add("<!-- Made by `./dev bench --page` from docs/bench.json. Change bench/page.py, not this file. -->\n")
    add("What a unit of work costs in CPU time and in memory: the balancer beside HAProxy, nginx, Caddy and a bare epoll relay, the "
        "gateway beside libwebsockets, Boost.Beast, `ws` for Node and Socket.IO; and whether that stays so with more connections, "
        "servers and workers.\n")
    add(environment_text(meta) + "\n")
    add(noise_text(results))
    add("## To repeat it\n")
    add("```\n./dev bench --page          # all of it, and this page anew; about 40 minutes\n./dev bench relay           # one group: "
        "relay, http, tls, gateway, storm, growth; 2 to 18 minutes\n./dev bench growth --page   # and renews it on this page\n./dev bench gateway --only rejoin,beast --rounds 9\n```\n")
    add("As root on Debian 12 it installs what it needs. All samples are in [bench.json](bench.json); "
        "`bench/run.py --from docs/bench.json` prints its tables. A machine that does something else meanwhile is found out and "
        "said, as are answers that are wrong.\n")
    add("## Where we lose\n")
    lost = losses(results)
    add(("\n".join(lost) if lost else "Nowhere in this run.") + "\n")
    add("## Against the aims\n")
    add(aims_table(results))
    add("## How it is measured\n" + METHOD + "\nIn the tables, us are microseconds of CPU time, and the brackets hold the lowest and the highest round.\n")
    for group in results.groups():
        title, text = GROUP_TEXTS[group]
        add(f"## {title}\n\n{text}\n\n![{title}](bench-{group}.svg)\n")
        if group == "growth":
            add(waiting_text(results) + growth_tables(results))
            continue
        add(figure_tables(results, group))
        if group == "storm":
            add(f"With {meta['links']:,} links:\n\n" + storm_times(results))
    if any(figure.endswith("/rate") for figure in results.figures()):
        add("## Latency at a fixed rate\n\n4,000 messages a second over 50 connections, all rounds together. This is a load at which "
            "nobody is busy, so that the tail is the scheduler's and, on a machine that is shared, other people's. How late the "
            "generator itself was is in the last column.\n\n![latency](bench-latency.svg)\n\n" + latency_table(results))
    add("## Was the subject the limit?\n")
    calibration = meta["calibration"]
    add("CPU time per unit needs no saturation, but who doubts a figure wants to see who was busy. In the closed loops (echo with 50 "
        "connections, handshakes) the subject's core should be full; where the load's core is full as well, both were. Against "
        f"its echo server with nothing between, the generator takes {calibration['load_us']:.1f} us of CPU per round trip "
        f"({calibration['load_share']:.0%} of its core at {calibration['per_second']:,.0f} a second) and that server "
        f"{calibration['server_us']:.1f} us.\n")
    add("<details><summary>Shares of the cores, medians of the rounds</summary>\n\n" + share_table(results) + "\n</details>\n")
    add("## With which versions\n")
    add(table(["program", "version"], [[name, text] for name, text in meta["versions"].items()]).replace("---:", "---"))
    add("## What this does not show\n" + LIMITS)
    return "\n".join(parts)


def files_of(results):
    """name: text, of everything that is written to docs/."""
    found = {f"bench-{group}.svg": plots.growth(results) if group == "growth" else plots.bars(results, group)
             for group in results.groups()}
    if any(figure.endswith("/rate") for figure in results.figures()):
        found["bench-latency.svg"] = plots.latency(results)
    text = json.dumps({"meta": results.meta, "samples": results.samples}, separators=(",", ":"))
    found["bench.json"] = text.replace('},{"figure"', '},\n{"figure"') + "\n"
    found["benchmarks.md"] = page(results)
    return found


def write_page(results, folder):
    for name, text in files_of(results).items():
        (folder / name).write_text(text)
    print(f"written: {folder / 'benchmarks.md'}, its plots, {folder / 'bench.json'}")
