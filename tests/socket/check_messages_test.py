"""socket/check/messages: what the program says of bad files and bad command lines, and that nothing was opened for them."""

import re
import socket
import unittest

from programs import ProgramsTest, run

GOOD = """
[[listener]]
name = "play"
listen = "127.0.0.1:0"
pool = "gateways"
[[pool]]
name = "gateways"
affinity = [ { kind = "cookie-insert" } ]
server = [ { name = "g1", address = "127.0.0.1:8000" } ]
"""
GOOD_GATEWAY = '[gateway]\nname = "g1"\nlistener = [ { listen = "127.0.0.1:0" } ]\n'

# What is changed in GOOD, and what must be said: line, column, key, and a word of what would be right.
BAD_FILES = [
    ('kind = "cookie-insert"', 'kind = "cookie-inserts"', 8, 23, "pool.affinity[0].kind", 'did you mean "cookie-insert"'),
    ('listen = "127.0.0.1:0"', 'lisen = "127.0.0.1:0"', 4, 1, "listener.lisen", "listen"),
    ('listen = "127.0.0.1:0"', 'listen = "localhost:80"', 4, 10, "listener.listen", 'did you mean "127.0.0.1:80"'),
    ('listen = "127.0.0.1:0"', 'bind = "127.0.0.1:0"', 4, 1, "listener.bind", "listen"),
    ('pool = "gateways"', 'pool = "gatways"', 5, 8, "listener.pool", 'did you mean "gateways"'),
    ('pool = "gateways"', 'pool = "gateways"\nhead_timeout = "10"', 6, 16, "listener.head_timeout", '"10s"'),
    ('pool = "gateways"', 'pool = "gateways"\nmode = "udp"', 6, 8, "listener.mode", '"http"'),
    ('name = "gateways"', 'name = "gateways"\nretries = 99', 8, 11, "pool.retries", "0 to 7"),
    ('name = "gateways"', 'name = "gateways"\nscheduler = 5', 8, 13, "pool.scheduler", "least-connections"),
    ('"127.0.0.1:8000"', '"127.0.0.1:0"', 9, 37, "pool.server[0].address", "1 to 65535"),
    ('"127.0.0.1:8000" }', '"127.0.0.1:8000", wieght = 2 }', 9, 55, "pool.server[0].wieght", "weight"),
    ('[[pool]]', '[[pool]', 6, None, None, "]"),
    ("", "", None, None, None, "nothing to run"),
]

USAGE_ERRORS = [
    [],
    ["serve"],
    ["balancer"],
    ["balancer", "-c"],
    ["balancer", "--colour"],
    ["gateway", "-c", "FILE", "--workers", "2"],
    ["connect"],
    ["connect", "ws://127.0.0.1:1/", "--times", "0"],
    ["connect", "ws://127.0.0.1:1/", "--times", "many"],
    ["connect", "ws://127.0.0.1:1/", "--timeout", "5"],
    ["connect", "ws://127.0.0.1:1/", "--bind", "home"],
    ["connect", "http://127.0.0.1:1/"],
    ["connect", "ws://127.0.0.1:1/", "ws://127.0.0.1:2/"],
    ["check"],
    ["check", "-c", "FILE", "--reference"],
    ["demo", "--affinity", "sticky"],
]


def place(line, column):
    return r":\d+:\d+: " if line is None else rf":{line}:{column or r'[0-9]+'}: "


class BadFile(ProgramsTest):
    def bad(self, old, new):
        if not old:
            return self.file("# nothing\n")
        self.assertIn(old, GOOD)
        return self.file(GOOD.replace(old, new, 1))

    def says(self, done, path, line, column, key, hint):
        """Its complaint: the file as it was named, the place, the key, and what would be right."""
        self.assertEqual(done.returncode, 2, done)
        complaints = [text for text in done.stderr.splitlines() if text.startswith(str(path))]
        wanted = re.escape(str(path)) + place(line, column) + (re.escape(key) + ": " if key else "")
        self.assertTrue(
            any(re.match(wanted, text) and hint in text for text in complaints),
            f"wanted {wanted} ... {hint!r}, it says:\n{done.stderr}",
        )

    def test_check_says_where_what_and_what_would_be_right(self):
        for old, new, *wanted in BAD_FILES:
            with self.subTest(new=new):
                path = self.bad(old, new)
                done = run(["check", "-c", str(path)])
                self.says(done, path, *wanted)
                self.assertNotIn(": ok", done.stdout)

    def test_programs_refuse_the_same_files(self):
        for old, new, *wanted in BAD_FILES:
            with self.subTest(new=new):
                path = self.bad(old, new)
                done = run(["balancer", "-c", str(path)])
                self.says(done, path, *wanted)
                self.assertNotIn("listening", done.stderr)
                self.assertNotIn("ready", done.stderr)

    def test_several_mistakes_are_told_at_once_in_order(self):
        text = GOOD.replace('"cookie-insert"', '"cookie"').replace('pool = "gateways"', 'pool = "gatways"')
        done = run(["check", "-c", str(self.file(text))])
        lines = [int(found[1]) for found in re.finditer(r"\.toml:(\d+):", done.stderr)]
        self.assertEqual(lines, [5, 8], done.stderr)

    def test_a_good_file(self):
        done = run(["check", "-c", str(self.file(GOOD + GOOD_GATEWAY))])
        self.assertEqual(done.returncode, 0, done)
        self.assertRegex(done.stdout, r"\.toml: ok \(1 listener, 1 pool, 1 server; gateway g1 with 1 listener\)")
        self.assertEqual(done.stderr, "")

    def test_a_file_that_is_not_there_and_one_that_is_a_folder(self):
        for program in ("check", "balancer", "gateway"):
            for path in (self.folder / "absent.toml", self.folder):
                done = run([program, "-c", str(path)])
                self.assertEqual(done.returncode, 2, done)
                self.assertIn(str(path), done.stderr)

    def test_keys_that_cannot_be_used(self):
        for text in ("too short", "g" * 64, "", "ab" * 33):
            key = self.file(text, ".key")
            config = self.file(f'[keys]\nseal = ["file:{key.name}"]\n' + GOOD)
            for program in ("check", "balancer"):
                done = run([program, "-c", str(config)])
                with self.subTest(key=text, program=program):
                    self.assertEqual(done.returncode, 2, done)
                    self.assertRegex(done.stderr, r"\.toml:2:9: keys\.seal\[0\]: ")
                    if text:
                        self.assertNotIn(text, done.stderr, "a key is a secret")

    def test_a_file_without_the_programs_part(self):
        for program, text, missing in (("gateway", GOOD, "[gateway]"), ("balancer", GOOD_GATEWAY, "[[listener]]")):
            done = run([program, "-c", str(self.file(text))])
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(missing, done.stderr)


class NothingOpened(ProgramsTest):
    def test_a_bad_file_opens_no_listener_and_makes_no_key(self):
        """Its listener's port is taken: had it been tried, that would be what is said, and the status 1."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            text = GOOD.replace("127.0.0.1:0", address, 1).replace('"cookie-insert"', '"cookie"')
            done = run(["balancer", "-c", str(self.file('[keys]\nseal = ["file:new.key"]\n' + text))])
        self.assertEqual(done.returncode, 2, done)
        self.assertNotIn("in use", done.stderr)
        self.assertFalse((self.folder / "new.key").exists())

    def test_a_taken_port_ends_with_1_and_names_the_listener(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            config = self.file(GOOD.replace("127.0.0.1:0", address, 1))
            done = run(["balancer", "-c", str(config)])
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(address, done.stderr)
        self.assertIn("play", done.stderr)
        self.assertNotIn("listening", done.stderr)


class CommandLine(ProgramsTest):
    def test_usage_errors_end_with_2_and_say_why(self):
        file = str(self.file(GOOD + GOOD_GATEWAY))
        for arguments in USAGE_ERRORS:
            with self.subTest(arguments=arguments):
                done = run([file if word == "FILE" else word for word in arguments])
                self.assertEqual(done.returncode, 2, done)
                self.assertTrue(done.stderr.strip(), "it says why")

    def test_an_unknown_option_is_named(self):
        done = run(["balancer", "--colour"])
        self.assertIn("--colour", run(["balancer", "-c", "x", "--colour"]).stderr, done)

    def test_a_mistyped_question_to_a_program_is_named(self):
        for arguments in (["statsu"], ["--admin", "127.0.0.1:1", "statsu"], ["--json", "statsu"]):
            done = run(["ctl", *arguments])
            self.assertEqual(done.returncode, 2)
            self.assertIn('"statsu" is not a command; did you mean "status"?', done.stderr + done.stdout)

    def test_help_ends_with_0(self):
        for arguments in (["--help"], ["--version"], *([name, "--help"] for name in ("balancer", "gateway", "connect", "check", "demo"))):
            with self.subTest(arguments=arguments):
                done = run(arguments)
                self.assertEqual(done.returncode, 0, done)
                self.assertIn("rejoin", done.stdout)

    def test_connect_to_nobody_ends_with_1(self):
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))  # bound, and not listening: refuses
            port = reserved.getsockname()[1]
            account = self.connect(f"ws://127.0.0.1:{port}/", status=1)[0]
        self.assertIsNotNone(account["error"])
        self.assertIsNone(account["status"])


if __name__ == "__main__":
    unittest.main()
