"""bench/load/goes-round: the load generator says its messages on the links it holds in turn, and goes on with the next one from one
command to the next. Else a slice of a growth figure would find the first links warm, and leave the last ones out.

    load_test.py BENCH_LOAD
"""

import asyncio
import collections
import json
import subprocess
import sys
import unittest

DEADLINE_S = 20


class Server:
    """Framed TCP: what comes goes back. Counts messages of each link, in the order in which they connected."""

    def __init__(self):
        self.links, self.heard = [], collections.Counter()

    async def on_link(self, reader, writer):
        number = len(self.links)
        self.links.append(writer)
        try:
            while True:
                head = await reader.readexactly(4)
                body = await reader.readexactly(int.from_bytes(head, "big"))
                self.heard[number] += 1
                writer.write(head + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def heard_after(*commands):
    """What each link has said after each command, least first, as the server counts it."""
    server, found = Server(), []
    async with await asyncio.start_server(server.on_link, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        load = await asyncio.create_subprocess_exec(PROGRAM, "--to", f"127.0.0.1:{port}", "--transport", "tcp",
                                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            for command in commands:
                load.stdin.write(command.encode() + b"\n")
                answer = json.loads(await load.stdout.readline())
                if answer["errors"]:
                    raise AssertionError(answer)
                found.append(sorted(server.heard.values()))
        finally:
            load.stdin.close()
            await load.wait()
            for link in server.links:
                link.close()
    return found


class GoesRound(unittest.TestCase):
    def check(self, expected):
        found = asyncio.run(asyncio.wait_for(heard_after(*expected), DEADLINE_S))
        self.assertEqual(dict(zip(expected, found)), expected)

    def test_the_next_command_goes_on_where_the_last_one_stopped(self):
        self.check({"hold count=5": [1, 1, 1, 1, 1], "echo count=3 window=1": [1, 1, 2, 2, 2], "echo count=2 window=2": [2, 2, 2, 2, 2],
                    "rate per_second=1000 seconds=0.004": [2, 3, 3, 3, 3], "echo count=1 window=1": [3, 3, 3, 3, 3]})  # fmt: skip

    def test_a_loop_over_all_has_a_message_of_each_under_way(self):
        self.check({"hold count=3": [1, 1, 1], "echo count=1 window=1": [1, 1, 2], "echo count=3": [2, 2, 3]})

    def test_fewer_links_than_before_begin_anew(self):
        self.check({"hold count=3": [1, 1, 1], "echo count=2 window=1": [1, 2, 2], "echo count=2 links=2 window=1": [1, 3, 3]})


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
