"""conform/counts: what the calculators cost, in instructions, beside a budget.

Counts are repeatable where times are not: the same program takes the same instructions on every machine with the same compiler
and libraries. More than the budget allows fails, and so does less: then the budget is to be lowered, so that what was won is kept.

    counts_test.py PROGRAM PRESET            checks
    counts_test.py PROGRAM PRESET --write    puts what was counted into budget.json

PROGRAM is the built counted.cc, PRESET how it was built (dev, release); budget.json has a budget for each.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TIMES = 1000  # counted.cc, kTimes
SLACK = 0.06  # another model of CPU has another memcpy
BUDGET = Path(__file__).parent / "budget.json"


def counted(program):
    """Instructions of each case, once."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={folder}/out", program]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stdout}\nended with status {done.returncode}")
        out = {}
        for name in os.listdir(folder):
            text = (Path(folder) / name).read_text(errors="replace")
            case = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.M)
            total = re.search(r"^(?:summary|totals): (\d+)$", text, re.M)
            if case and total:
                out[case[1]] = round(int(total[1]) / TIMES)
        return out


def main():
    program, preset = sys.argv[1], sys.argv[2]
    budgets = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
    found = counted(program)
    if "--write" in sys.argv[3:]:
        budgets[preset] = dict(sorted(found.items()))
        BUDGET.write_text(json.dumps(budgets, indent=1) + "\n")
        print(f"{BUDGET}: {len(found)} counts of {preset}")
        return
    budget = budgets.get(preset, {})
    wrong = []
    for case in sorted(found.keys() | budget.keys()):
        is_now, was = found.get(case), budget.get(case)
        print(f"{case:<48}{is_now or '-':>10}   budget {was or '-':>8}")
        if is_now is None or was is None:
            wrong.append(f"{case}: {'it is counted no more' if is_now is None else 'it has no budget'}")
        elif abs(is_now - was) > max(SLACK * was, 3):
            wrong.append(f"{case}: {is_now} instructions, budget {was}")
    if wrong:
        print("\n" + "\n".join(wrong))
        sys.exit(f"\nIf it is meant: {sys.argv[0]} {program} {preset} --write, and say why in the commit.")


main()
