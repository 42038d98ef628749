"""Which samples stand on a page of which some groups were measured anew, and what it says of them."""
import sys
import unittest

from machine import Failure
from page import environment_text
from renew import SAME, renew


def run(commit, plan, values, **more):
    meta = {**{name: name for name in SAME}, "build": {"compiler": "c++", "flags": "-O2", "lto": "ON"}, "date": "today", "commit": commit,
            "rounds": 5, "seconds": 600, "plan": plan, **more}
    return {"meta": meta, "samples": [{"figure": figure, "value": value} for figure, value in values]}


PAGE = run("old", {"relay": ["rejoin"], "growth": ["rejoin", "bare"]},
           [("relay/idle", 1), ("growth/balancer-echo", 2), ("growth/servers-echo", 3)])


class Renew(unittest.TestCase):
    def test_a_group_measured_anew_replaces_all_of_its_own_samples_and_no_others(self):
        found = renew(PAGE, run("new", {"growth": ["rejoin"]}, [("growth/balancer-echo", 4)]))
        self.assertEqual([(one["figure"], one["value"]) for one in found["samples"]], [("relay/idle", 1), ("growth/balancer-echo", 4)])
        self.assertEqual(found["meta"]["plan"], {"relay": ["rejoin"], "growth": ["rejoin"]})
        self.assertEqual(found["meta"]["commit"], "old")

    def test_the_page_says_of_which_commit_each_group_is(self):
        once = renew(PAGE, run("new", {"growth": ["rejoin"]}, []))
        twice = renew(once, run("newer", {"growth": ["rejoin"]}, []))
        self.assertEqual([(one["groups"], one["commit"]) for one in twice["meta"]["again"]], [(["growth"], "newer")])
        both = renew(once, run("newer", {"relay": ["rejoin"]}, []))
        self.assertEqual([(one["groups"], one["commit"]) for one in both["meta"]["again"]], [(["growth"], "new"), (["relay"], "newer")])
        text = environment_text(both["meta"])
        self.assertIn("commit `old`", text)
        self.assertIn("growth on today at commit `new`, 5 rounds, 10 minutes", text)
        self.assertNotIn("anew", environment_text(PAGE["meta"]))

    def test_another_machine_or_other_programs_are_not_mixed_in(self):
        for name in SAME:
            with self.assertRaisesRegex(Failure, name):
                renew(PAGE, run("new", {"growth": ["rejoin"]}, [], **{name: "another"}))


if __name__ == "__main__":
    sys.exit(unittest.main())
