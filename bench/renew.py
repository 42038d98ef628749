"""A page of several runs: some groups measured anew, the others as they were."""
from machine import Failure

SAME = ("kernel", "cpu", "cores", "memory_gib", "distribution", "build", "versions")  # of the machine and of who is measured


def renew(page, found):
    """`page`, what docs/bench.json holds, with the groups of `found`, a later run, in the place of its own. Ratios are taken
    within a group's rounds, so that groups need not be of one run; but of one machine, and of the same programs."""
    was, now = page["meta"], found["meta"]
    other = [name for name in SAME if was[name] != now[name]]
    if other:
        raise Failure(f"docs/bench.json is of another {', '.join(other)}: measure all groups (no GROUP)")
    fresh = set(now["plan"])
    again = [dict(one, groups=left) for one in was.get("again", ()) if (left := [g for g in one["groups"] if g not in fresh])]
    again.append({"groups": list(now["plan"]), **{name: now[name] for name in ("date", "commit", "rounds", "seconds")}})
    kept = [sample for sample in page["samples"] if sample["figure"].partition("/")[0] not in fresh]
    return {"meta": {**was, "plan": {**was["plan"], **now["plan"]}, "again": again}, "samples": kept + found["samples"]}
