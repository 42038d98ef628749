"""What tests of upgrades stand on: processes that take over from each other, all on the first one's stderr."""

import os
import re
import signal

from programs import ProgramsTest, poll

# A binary that takes its time to start: until somebody writes into the pipe. No shell: some unblock the signals.
WAITS = """#!%s -IS
import os, sys
open("%s").read()
os.unlink("%s")
os.symlink("%s", sys.argv[0])
os.execv("%s", sys.argv)
"""


class UpgradesTest(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.children = []

    def upgrade(self, program):
        """The process that has taken over. Its log is on the same stderr."""
        program.signal(signal.SIGUSR2)
        found = re.search(r"process (\d+) serves", program.wait_for("upgrade: process .* serves"))
        child = int(found[1])
        self.keep(child)
        return child

    def have_served(self, program):
        """All that have taken over, in their order."""
        found = (re.search(r"upgrade: process (\d+) serves", line) for line in program.lines)
        return [int(one[1]) for one in found if one]

    def keep(self, child):
        """Ends it before the program that it came from, whose stderr it has."""
        self.children.append(child)
        self.addCleanup(self.end_children)

    def ended(self, program):
        """Its exit status; its stderr lives on in the process that has taken over."""
        return poll(lambda: program.process.poll() is not None and (program.process.returncode,), f"{program} ends")[0]

    def end_children(self):
        for child in self.children:
            try:
                os.kill(child, signal.SIGTERM)
                os.kill(child, signal.SIGTERM)
            except ProcessLookupError:
                continue

    def alive(self, process):
        try:
            with open(f"/proc/{process}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False
