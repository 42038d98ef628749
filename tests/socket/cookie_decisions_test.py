"""socket/haproxy/cookie-decisions: the same requests to Rejoin and to HAProxy, and the same decisions, but for those that
docs/decisions/0002-cookie-decisions-like-haproxy.md makes otherwise. Of those, each has to differ still.
"""

import dataclasses
import re
import unittest
from pathlib import Path

from balancer_pair import KEYS, MODES, Connection, Scenario, make_pair
from programs import ProgramsTest

DECISION = Path(__file__).resolve().parents[2] / "docs" / "decisions" / "0002-cookie-decisions-like-haproxy.md"

SCENARIOS = [
    Scenario("nothing"),
    Scenario("only others", ("x=1; y=2",)),
    # what the client brings
    Scenario("valid a", ("SRV={A}",)),
    Scenario("valid b", ("SRV={B}",)),
    Scenario("unknown", ("SRV=nobody",)),
    Scenario("tampered", ("SRV={tampered}",)),
    Scenario("tampered, then ~", ("SRV={tampered}~inner",)),
    Scenario("empty", ("SRV=",)),
    Scenario("plain name of a server", ("SRV=b",)),
    Scenario("plain name of a server, then ~", ("SRV=b~inner",)),
    Scenario("quoted", ('SRV="{a}"',)),
    Scenario("quoted, then ~", ('SRV="{a}~inner"',)),
    Scenario("down", ("SRV={C}",)),
    Scenario("down, among others", ("x=1; SRV={C}; y=2",)),
    Scenario("no tilde", ("SRV={a}",)),
    Scenario("two tildes", ("SRV={a}~in~ner",)),
    Scenario("nothing before the tilde", ("SRV=~inner",)),
    Scenario("name alone", ("SRV",)),
    Scenario("name alone, among others", ("x=1; SRV; y=2",)),
    Scenario("small letters", ("srv={A}",)),
    Scenario("names that are like ours", ("SRV2={A}; XSRV={B}; x=SRV",)),
    Scenario("comma behind", ("SRV={A},x=1",)),
    Scenario("comma before", ("x=1,SRV={A}",)),
    Scenario("inside a quoted string", ('x="1; SRV={A}"',)),
    # where it stands
    Scenario("first", ("SRV={A}; x=1; y=2",)),
    Scenario("in the middle", ("x=1; SRV={A}; y=2",)),
    Scenario("last", ("x=1; y=2; SRV={A}",)),
    Scenario("without spaces", ("x=1;SRV={A};y=2",)),
    Scenario("on the second line", ("x=1", "SRV={B}; y=2")),
    Scenario("alone on the second line", ("x=1", "SRV={B}")),
    Scenario("unknown in the middle", ("x=1; SRV=nobody; y=2",)),
    # more than one
    Scenario("twice", ("SRV={A}; SRV={B}",)),
    Scenario("twice, the other way", ("SRV={B}; SRV={A}",)),
    Scenario("twice, on two lines", ("SRV={A}", "SRV={B}")),
    Scenario("unknown and valid", ("SRV=nobody; SRV={B}",)),
    Scenario("down and valid", ("SRV={C}; SRV={B}",)),
    Scenario("valid and down", ("SRV={B}; SRV={C}",)),
    Scenario("valid, other, unknown", ("SRV={A}; x=1; SRV=nobody",)),
    # what the server says
    Scenario("server sets it", (), ("SRV=own; Path=/; HttpOnly",)),
    Scenario("server sets it, valid", ("SRV={A}",), ("SRV=own; Path=/; HttpOnly",)),
    Scenario("server sets it, unknown", ("SRV=nobody",), ("SRV=own",)),
    Scenario("server sets it, down", ("SRV={C}",), ("SRV=own; Secure",)),
    Scenario("server sets it twice", (), ("SRV=own; Path=/", "SRV=more; Path=/x")),
    Scenario("server sets it and others", ("SRV={A}",), ("x=1; Path=/", "SRV=own", "y=2; Max-Age=5")),
    Scenario("server sets others", (), ("x=1; Path=/", "y=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT")),
    Scenario("server sets others, valid", ("SRV={A}; x=0",), ("x=1; Path=/",)),
    Scenario("server deletes it", ("SRV={A}",), ("SRV=; Max-Age=0; Path=/",)),
    Scenario("server deletes it, nothing", (), ("SRV=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",)),
    Scenario("server sets it quoted", (), ('SRV="own"; Path=/',)),
    Scenario("server sets it without =", (), ("SRV; Path=/",)),
    Scenario("server sets it in small letters", (), ("srv=own; Path=/",)),
    Scenario("server sets names like ours", (), ("SRV2=own", "XSRV=own")),
    # how it is asked, and answered
    Scenario("HEAD", (), ("SRV=own",), "HEAD"),
    Scenario("HEAD, valid", ("x=1; SRV={B}",), (), "HEAD"),
    Scenario("POST", (), ("SRV=own",), "POST"),
    Scenario("POST, valid", ("x=1; SRV={B}",), (), "POST"),
    Scenario("POST, down", ("x=1; SRV={C}",), (), "POST"),
    Scenario("WebSocket", (), (), "WebSocket"),
    Scenario("WebSocket, server sets it", (), ("SRV=own; Path=/", "x=1"), "WebSocket"),
    Scenario("WebSocket, valid", ("x=1; SRV={B}; y=2",), (), "WebSocket"),
    Scenario("WebSocket, valid, server sets it", ("SRV={B}",), ("SRV=own; Path=/",), "WebSocket"),
    Scenario("WebSocket, unknown", ("SRV=nobody",), (), "WebSocket"),
    Scenario("WebSocket, down", ("SRV={C}",), (), "WebSocket"),
    *(Scenario(f"status {status}", (), ("SRV=own",), "GET", status) for status in (204, 302, 304, 404, 500)),
    *(Scenario(f"status {status}, valid", ("SRV={A}",), (), "GET", status) for status in (204, 302, 304, 404, 500)),
]

CACHES = [
    Scenario("cacheable", more=(("Cache-Control", "max-age=60"),)),
    Scenario("cacheable with a validator", more=(("ETag", '"1"'),)),
    Scenario("private already", more=(("Cache-Control", "private"),)),
    Scenario("no-store", more=(("Cache-Control", "no-store"),)),
    Scenario("no-cache", more=(("Cache-Control", "no-cache"),)),
    Scenario("cacheable, valid", ("SRV={A}",), more=(("Cache-Control", "max-age=60"),)),
]


@dataclasses.dataclass(frozen=True)
class Difference:
    """A decision that we make otherwise: in these modes, this key of the outcome differs in exactly the scenarios of `where`: a
    pattern of names, or a function of scenario and our outcome."""

    item: int  # of the decision's list
    modes: tuple
    where: object
    key: str
    why: str

    def covers(self, mode, scenario, ours):
        if mode not in self.modes:
            return False
        return self.where(scenario, ours) if callable(self.where) else bool(re.fullmatch(self.where, scenario.name))


def planted(scenario, ours):
    return bool(ours.attributes)


def planted_without_a_word_on_caches(scenario, ours):
    """HAProxy sees something to cache only where the server speaks of it. no-cache: it is a word, and says too little."""
    return planted(scenario, ours) and scenario.kind != "WebSocket" and (not scenario.more or scenario.name == "no-cache")


INSERT, ALL = ("insert",), MODES
FORGED = "anybody can write a server's name; ours is sealed"
COMMA = "a comma is no separator of cookies (RFC 6265 4.2)"
QUOTES = "quotation marks hold nothing together (RFC 6265 4.2)"
DIFFERENCES = [
    Difference(2, ALL, "plain name of a server", "reached", FORGED),
    Difference(2, INSERT, "plain name of a server", "set_cookie", FORGED),
    Difference(2, ("prefix",), "plain name of a server, then ~", "reached", FORGED),
    Difference(3, INSERT, planted_without_a_word_on_caches, "private", "a shared cache may keep what says nothing of caches"),
    Difference(4, ("insert", "rewrite"), "comma (behind|before)", "reached", COMMA),
    Difference(4, INSERT, "comma (behind|before)", "set_cookie", COMMA),
    Difference(4, INSERT, "comma (behind|before)", "saw", COMMA),
    Difference(4, ("prefix",), "comma before", "reached", COMMA),
    Difference(4, ("prefix",), "comma before", "saw", COMMA),
    Difference(4, INSERT, "inside a quoted string", "saw", QUOTES),
    Difference(4, ("prefix",), "inside a quoted string", "reached", QUOTES),
    Difference(4, ("prefix",), "inside a quoted string", "saw", QUOTES),
    Difference(5, ("prefix",), "quoted, then ~", "saw", "half a quoted string is nobody's value"),
    Difference(6, INSERT, planted, "attributes", "HttpOnly and SameSite=Lax by default"),
]


class CookieDecisions(ProgramsTest):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.rejoin, self.haproxy, self.servers = make_pair(self)

    def test_the_same_decisions(self):
        shown = set()
        for mode in MODES:
            for scenario in SCENARIOS + CACHES:
                ours = self.rejoin.outcome(mode, scenario)
                theirs = self.haproxy.outcome(mode, scenario)
                for key in KEYS:
                    with self.subTest(mode, scenario=scenario.name, key=key):
                        self.compare(mode, scenario, key, ours, theirs, shown)
        for difference in DIFFERENCES:
            for mode in difference.modes:
                self.assertIn((mode, difference), shown, "no scenario shows this difference any more")

    def compare(self, mode, scenario, key, ours, theirs, shown):
        deliberate = [one for one in DIFFERENCES if one.key == key and one.covers(mode, scenario, ours)]
        a, b = getattr(ours, key), getattr(theirs, key)
        if not deliberate:
            self.assertEqual(a, b, "first ours, second HAProxy's")
            return
        self.assertNotEqual(a, b, f"decision 0002 item {deliberate[0].item} ({deliberate[0].why}) says that they differ")
        shown.update((mode, one) for one in deliberate)

    def test_the_same_decisions_on_one_connection(self):
        """Keep-alive: each request is judged for itself."""
        chosen = ["valid a", "valid b", "in the middle", "down", "valid a", "unknown", "server sets it, valid", "valid b", "twice"]
        scenarios = [next(one for one in SCENARIOS if one.name == name) for name in chosen]
        for mode in MODES:
            with Connection(self.rejoin.addresses[mode]) as ours, Connection(self.haproxy.addresses[mode]) as theirs:
                for scenario in scenarios:
                    with self.subTest(mode, scenario=scenario.name):
                        a = self.rejoin.outcome(mode, scenario, ours)
                        b = self.haproxy.outcome(mode, scenario, theirs)
                        alone = self.rejoin.outcome(mode, scenario)
                        self.assertEqual(a, alone, "it does not matter what came before")
                        self.assertEqual((a.reached, a.set_cookie, a.saw), (b.reached, b.set_cookie, b.saw))

    def test_a_pinned_server_that_has_just_gone(self):
        """Whether a check has seen it or not, both send the client to another one, with a new cookie (item 9: we at once)."""
        self.servers[0].die()
        for mode in MODES:
            scenario = Scenario("refuses", ("x=1; SRV={A}",), ("SRV=own",))
            ours = self.rejoin.outcome(mode, scenario, times=1)
            theirs = self.haproxy.outcome(mode, scenario, times=1)
            for outcome in (ours, theirs):
                self.assertEqual((outcome.status, outcome.reached), (200, "b"))
            self.assertEqual((ours.set_cookie, ours.saw), (theirs.set_cookie, theirs.saw))

    def test_the_decision_page_knows_every_difference(self):
        page = DECISION.read_text()
        for difference in DIFFERENCES:
            self.assertRegex(page, rf"(?m)^{difference.item}\. ", difference.why)


if __name__ == "__main__":
    unittest.main()
