"""socket/haproxy/cookie-decisions: the same requests to Rejoin and to HAProxy, and the same decisions, but for those that
docs/decisions/0002-cookie-decisions-like-haproxy.md makes otherwise. Of those, each has to differ still.
"""

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

# (item of the decision, modes, names of scenarios as a pattern, key of the outcome, why). `.*`: wherever both balancers have one.
DELIBERATE = [
]


def deliberate(mode, scenario, key):
    return [item for item in DELIBERATE if mode in item[1] and re.fullmatch(item[2], scenario.name) and item[3] == key]


class CookieDecisions(ProgramsTest):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.rejoin, self.haproxy, self.servers = make_pair(self)

    def test_the_same_decisions(self):
        differed = set()
        for mode in MODES:
            for scenario in SCENARIOS:
                ours = self.rejoin.outcome(mode, scenario)
                theirs = self.haproxy.outcome(mode, scenario)
                for key in KEYS:
                    with self.subTest(mode, scenario=scenario.name, key=key):
                        self.compare(mode, scenario, key, getattr(ours, key), getattr(theirs, key), differed)
        for item in DELIBERATE:
            for mode in item[1]:
                self.assertIn((mode, item), differed, "a deliberate difference that no scenario shows")

    def compare(self, mode, scenario, key, ours, theirs, differed):
        allowed = deliberate(mode, scenario, key)
        if not allowed:
            self.assertEqual(ours, theirs, "first ours, second HAProxy's")
            return
        if ours != theirs:
            differed.update((mode, item) for item in allowed)
            return
        patterns = [item[2] for item in allowed if item[2] != ".*"]
        self.assertEqual(patterns, [], f"decision 0002 item {allowed[0][0]} says that they differ; both: {ours}")

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

    def test_the_decision_page_has_every_item_that_is_used_here(self):
        page = DECISION.read_text()
        for item in DELIBERATE:
            self.assertRegex(page, rf"(?m)^{item[0]}\. ", f"decision 0002 has no item {item[0]}: {item[4]}")


if __name__ == "__main__":
    unittest.main()
