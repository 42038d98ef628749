"""socket/connect/resume: `rejoin connect --resume` and the example client against a real gateway, which is killed, too."""

import os
import re
import signal
import subprocess
import unittest
from pathlib import Path

from programs import DEADLINE_S, ProgramsTest, keys, poll

EXAMPLES = Path(os.environ["EXAMPLES"])  # where game_server and game_client are
KEY = {"REJOIN_TEST_KEY": "5f" * 32}


class ResumeTest(ProgramsTest):
    def session_gateway(self, upstream, websocket="127.0.0.1:0"):
        config = '[keys]\nseal = ["env:REJOIN_TEST_KEY"]\n[gateway]\n' + keys(
            name="g1",
            listener=[{"listen": websocket}, {"listen": "127.0.0.1:0", "kind": "tcp", "protocol": "rejoin"}],
            upstream=upstream,
            session={"spread": "50ms"},
        )
        return self.start("gateway", "-c", self.file(config), env={**os.environ, **KEY}).wait_ready()

    def url(self, gateway, kind="websocket"):
        scheme = {"websocket": "ws", "tcp": "tcp"}[kind]
        return "{}://{}:{}".format(scheme, *gateway.address(kind))


class Connect(ResumeTest):
    def test_the_next_run_goes_on_by_another_address_and_another_transport(self):
        gateway = self.session_gateway({"kind": "echo"})
        saved = self.folder / "me.session"
        first, second = self.connect(
            self.url(gateway) + "/play", "--resume", saved, "--times", 2, "--bind", "127.0.0.5", "--bind", "127.0.0.6", "--message", "a"
        )
        self.assertEqual([link["kind"] for link in first["links"] + second["links"]], ["open", "resumed"])
        self.assertEqual(first["server"], "g1")
        self.assertEqual(first["messages"][1:], ["a"])
        self.assertEqual(second["messages"], ["a"])
        link = second["links"][0]
        self.assertEqual((link["epoch"], link["round_trips"], link["dials"], link["whole"]), (2, 1, 1, True))
        self.assertTrue(link["local"].startswith("127.0.0.6:"), link)
        self.assertEqual(saved.stat().st_mode & 0o777, 0o600)
        (third,) = self.connect(self.url(gateway, "tcp"), "--resume", saved, "--message", "b", "--message", "c")
        self.assertEqual(third["messages"], ["b", "c"])
        self.assertEqual(third["links"][0]["epoch"], 3)
        (last,) = self.connect(self.url(gateway) + "/play", "--resume", saved, "--message", "d", "--end")
        self.assertEqual(last["messages"], ["d"])
        self.assertEqual(last["end_code"], 1000)
        self.assertFalse(saved.exists())

    def test_a_gateway_that_lost_its_memory_means_a_new_login(self):
        gateway = self.session_gateway({"kind": "echo"})
        saved = self.folder / "me.session"
        url = self.url(gateway) + "/play"
        self.connect(url, "--resume", saved, "--message", "a")
        port = gateway.address("websocket")[1]
        gateway.kill()
        self.programs.remove(gateway)
        self.session_gateway({"kind": "echo"}, websocket=f"127.0.0.1:{port}")
        (again,) = self.connect(url, "--resume", saved, "--message", "b")
        self.assertEqual([link["kind"] for link in again["links"]], ["open"])
        self.assertEqual(again["messages"][1:], ["b"])

    def test_lines_go_out_and_the_text_tells_the_story(self):
        gateway = self.session_gateway({"kind": "echo"})
        saved = self.folder / "me.session"
        command = ["connect", self.url(gateway) + "/play", "--resume", str(saved)]
        for expected in ("new, epoch 1", "resumed, epoch 2, nothing lost"):
            program = self.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            out, _ = program.process.communicate("one\ntwo\n", timeout=DEADLINE_S)
            self.assertEqual(program.process.returncode, 0, out)
            self.assertIn(expected, out)
            self.assertIn("   < one\n   < two\n", out)

    def test_what_cannot_work_says_why(self):
        saved = self.folder / "me.session"
        saved.write_text("something else")
        table = (
            (("ws://127.0.0.1:1/", "--resume", saved), 2, "a saved session: these bytes are something else"),
            (("ws://127.0.0.1:1/", "--end"), 2, "--resume"),
            (("http://127.0.0.1:1/", "--resume", self.folder / "none"), 2, "ws, wss, tcp or tls"),
            (("ws://127.0.0.1:1/", "--resume", self.folder / "none", "--timeout", "300ms", "--message", "x"), 1, ""),
        )
        for arguments, status, words in table:
            program = self.start("connect", *arguments, stdout=subprocess.PIPE)
            program.process.stdout.read()
            program.process.stdout.close()
            self.assertEqual(program.wait(), status, arguments)
            self.assertIn(words, program.log())


class Game(ResumeTest):
    """The example game server and client, with the gateway between them."""

    def setUp(self):
        super().setUp()
        self.server = subprocess.Popen([EXAMPLES / "game_server", "127.0.0.1", "0"], stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end_server)
        address = re.search(r"listening on (\S+)", self.server.stderr.readline())[1]
        self.gateway = self.session_gateway({"kind": "tcp", "address": address})
        self.saved = self.folder / "player"

    def end_server(self):
        self.server.terminate()
        self.server.wait(DEADLINE_S)
        self.server.stderr.close()

    def play(self, *arguments, kind="websocket"):
        return subprocess.Popen(
            [EXAMPLES / "game_client", self.url(self.gateway, kind), "--save", self.saved, "--steps", "50", *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
        )

    def account(self, client):
        out, _ = client.communicate(timeout=DEADLINE_S)
        self.assertEqual(client.returncode, 0, out)
        words = r"scene (\d+), (\d+) ticks, (\d+) lost, (\d+) twice; (\d+) steps, at x (\d+), (\d+) faults; (\d+) resumes"
        return [int(number) for number in re.search(words, out).groups()]

    def test_a_killed_client_goes_on_in_the_same_scene_and_nothing_is_lost(self):
        for round_ in range(4):
            client = self.play("--seconds", 60, kind=("websocket", "tcp")[round_ % 2])
            poll(self.saved.exists, "a session is saved")
            before = self.saved.stat().st_mtime_ns
            changes = {before}

            def played():
                changes.add(self.saved.stat().st_mtime_ns)
                return len(changes) > 40

            poll(played, "it plays")
            client.send_signal(signal.SIGKILL)
            client.wait(DEADLINE_S)
            client.stdout.close()
        scene, ticks, lost, twice, steps, x, faults, resumes = self.account(self.play("--seconds", 1, "--bind", "127.0.0.7"))
        self.assertEqual((scene, lost, twice, faults, resumes), (1, 0, 0, 0, 1))
        self.assertEqual(steps, x)
        self.assertGreater(x, 40)
        self.assertGreater(ticks, 5)
        self.assertFalse(self.saved.exists(), "the session was ended")


if __name__ == "__main__":
    unittest.main()
