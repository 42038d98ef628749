"""socket/balancer/upgrade-state: a new process knows what operators said, how the servers are, and the keys of the old one."""

import http.client
import json
import os
import re
import signal
import ssl
import sys
import threading
import unittest

from certificates import Authority
from dns_server import A, DnsServer, address
from programs import Connection, ask, keys, poll, rejoin_binary, run
from servers import Listener
from tls_test import TlsConnection
from upgrades import WAITS, UpgradesTest

HEAD = '[balancer]\nworkers = 2\n[admin]\nlisten = "127.0.0.1:0"\n'


class Web(Listener):
    """Says its name; `ill` to probes from when it is told so. Counts what it was asked besides."""

    def __init__(self, test, name):
        self.is_ill = threading.Event()
        self.asked = 0
        super().__init__(test, self.serve, name=name)

    def serve(self, peer):
        while (request := peer.request()) is not None:
            peer.body_of(request)
            if request.target == "/health":
                peer.answer(503 if self.is_ill.is_set() else 200)
                return
            self.asked += 1
            peer.answer(200, [("X-Server", self.name)])


def writable_memory(process):
    """All that it has written, as bytes. None: that is not allowed."""
    parts = []
    try:
        memory = open(f"/proc/{process}/mem", "rb", 0)
    except PermissionError:
        return None
    with memory, open(f"/proc/{process}/maps") as maps:
        for line in maps:
            place, rights = line.split()[:2]
            if "w" not in rights or "[v" in line:
                continue
            begin, end = (int(one, 16) for one in place.split("-"))
            if end - begin > 1 << 28:  # a sanitizer's shadow
                continue
            try:
                memory.seek(begin)
                parts.append(memory.read(end - begin))
            except OSError:  # a guard page, or gone
                continue
    return b"".join(parts)


class UpgradeState(UpgradesTest):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "balancer.toml"
        self.web = {name: Web(self, name) for name in "abcdex"}
        self.names = "abcde"

    def write(self, more="", listener=None, pool=None, **entries):
        """`entries`: what a server's entry says besides."""
        listed = [
            {"name": name, "address": "{}:{}".format(*self.web[name].address), **entries.get(name, {})} for name in self.names
        ]
        pool = {"affinity": [{"kind": "cookie-insert"}], "health": {"kind": "http", "path": "/health", "every": "1s"}, **(pool or {})}
        self.path.write_text(
            HEAD
            + "[[listener]]\n"
            + keys(name="play", listen="127.0.0.1:0", pool="pool", **(listener or {}))
            + "[[pool]]\n"
            + keys(name="pool", server=listed, **pool)
            + more
        )

    def begin(self, **options):
        self.write(**options)
        return self.follow(self.start("balancer", "-c", self.path).wait_ready())

    def follow(self, program):
        self.play, self.admin = program.address("play"), program.address("admin")
        return program

    def told(self, method, target, status=200):
        answer = ask(self.admin, method, target, host="127.0.0.1")
        self.assertEqual(answer.status, status, f"{method} {target}: {answer}")
        return json.loads(answer.body)

    def say(self, *words, status=0):
        """`rejoin ctl server ...`"""
        done = run(["ctl", "--admin", "{}:{}".format(*self.admin), "server", *words])
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout}{done.stderr}")

    def standing(self):
        """How each server stands, as the admin port says."""
        return {
            one["name"]: (one["address"], one["order"], one["weight"], one["up"]) for one in self.told("GET", "/servers")["servers"]
        }

    def ask_play(self, cookie=None):
        return ask(self.play, fields=[("Cookie", cookie)] if cookie else [])

    def cookie_of(self, name):
        """Of a client that was sent there."""
        while (answer := self.ask_play()).get("x-server") != name:
            self.assertEqual(answer.status, 200)
        return answer.get("set-cookie").split(";")[0]

    def upgrade_last(self, first):
        """Upgrades whoever serves now; waits until the old one has ended or takes nobody any more."""
        served = len(self.have_served(first))
        last = self.children[-1] if self.children else first.pid
        os.kill(last, signal.SIGUSR2)
        child = poll(lambda: len(found := self.have_served(first)) > served and found[-1], "the next process serves")
        self.keep(child)
        poll(lambda: not self.alive(last) or (last == first.pid and not first.running()), "the one before has ended")
        return child

    def test_words_health_and_cookies_over_two_upgrades(self):
        first = self.begin()
        cookie = self.cookie_of("a")
        self.say("drain", "pool/a")
        self.say("maintenance", "pool/b")
        self.say("weight", "pool/c", "5")
        self.say("add", "pool/x", "{}:{}".format(*self.web["x"].address), "--weight", "2")
        self.web["d"].is_ill.set()
        first.wait_for("server pool/d is down")
        before = self.standing()
        self.assertEqual({name: it[1:] for name, it in before.items()}, {
            "a": ("drain", 1, True), "b": ("maintenance", 1, True), "c": ("ready", 5, True),
            "d": ("ready", 1, False), "e": ("ready", 1, True), "x": ("ready", 2, True),
        })  # fmt: skip
        asked_before = {name: self.web[name].asked for name in "bd"}

        over, wrong, served = threading.Event(), [], []

        def clients():
            while not over.is_set():
                try:
                    served.append(self.ask_play().get("x-server"))
                    served.append("own " + self.ask_play(cookie).get("x-server"))
                except Exception as error:  # whatever it is, a client saw it
                    wrong.append(repr(error))
                    return

        threads = [threading.Thread(target=clients) for _ in range(2)]
        for thread in threads:
            thread.start()
        for turn in range(2):
            self.upgrade_last(first)
            known = self.standing()
            self.assertEqual(known, before, f"upgrade {turn + 1}")
            seen = len(served)
            poll(lambda: wrong or len(served) > seen + 40, "clients are served")
        over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(set(served), {"own a", "c", "e", "x"})
        self.assertEqual({name: self.web[name].asked for name in "bd"}, asked_before, "nobody was sent there")

        # What was known goes on from there: d is found to be well, b is taken back, x is taken out.
        self.web["d"].is_ill.clear()
        poll(lambda: self.standing()["d"][3], "d is up")
        self.say("ready", "pool/b")
        self.say("remove", "pool/x")
        self.assertEqual(set(self.standing()), set("abcde"))
        self.upgrade_last(first)
        self.assertEqual(self.standing()["b"][1], "ready")
        self.assertEqual(set(self.standing()), set("abcde"), "and x is not back")

    def test_a_drain_has_its_end_in_the_new_process(self):
        first = self.begin()
        self.say("drain", "pool/a", "--deadline", "3s")
        self.upgrade_last(first)
        first.wait_for("server pool/a: the drain's deadline has come")
        self.assertEqual(self.standing()["a"][1], "maintenance")
        self.assertEqual(len(first.said("deadline has come")), 1)

    def test_the_file_has_the_last_word_where_it_says_something_new(self):
        first = self.begin()
        self.say("drain", "pool/a")
        self.say("weight", "pool/b", "7")
        self.say("maintenance", "pool/c")
        self.say("weight", "pool/d", "3")
        self.say("add", "pool/x", "{}:{}".format(*self.web["x"].address))
        self.say("remove", "pool/e")
        self.names = "abdex"  # c is gone, x is the file's now
        self.write(b={"weight": 2}, x={"weight": 4})
        self.upgrade_last(first)
        found = {name: it[1:3] for name, it in self.standing().items()}
        self.assertEqual(found, {"a": ("drain", 1), "b": ("ready", 2), "d": ("ready", 3), "x": ("ready", 4)})
        for line in (
            'server pool/b: "weight 7" was said at run time and is over',
            'server pool/c: "maintenance" was said at run time and is dropped',
            "server pool/x: what was said at run time is over",
        ):
            self.assertTrue(first.said(line), line)

    def test_a_pool_that_is_gone_takes_its_words_along(self):
        first = self.begin()
        self.say("drain", "pool/a")
        self.say("add", "pool/x", "{}:{}".format(*self.web["x"].address))
        self.path.write_text(self.path.read_text().replace('"pool"', '"other"'))
        self.upgrade_last(first)
        self.assertEqual({it[1] for it in self.standing().values()}, {"ready"})
        self.assertTrue(first.said('server pool/a: "drain" was said at run time and is dropped'))
        self.assertTrue(first.said("server pool/x: what was said at run time is over"))

    def test_keys_that_are_configured_are_not_handed_over(self):
        """With [keys] in the new file cookies of the made-up key open no more, as after a reload."""
        first = self.begin()
        cookie = self.cookie_of("a")
        (self.folder / "seal.key").write_text("ab" * 32)
        (self.folder / "seal.key").chmod(0o600)
        self.write(more='[keys]\nseal = ["file:seal.key"]\n')
        self.upgrade_last(first)
        self.assertIsNotNone(self.ask_play(cookie).get("set-cookie"), "planted anew")

    def test_tls_sessions_are_resumed(self):
        authority = Authority(self.folder)
        identity = authority.issue("play", ["play.example"])
        for configured in (False, True):
            more = ""
            if configured:
                (self.folder / "seal.key").write_text("cd" * 32)
                (self.folder / "seal.key").chmod(0o600)
                more = '[keys]\nseal = ["file:seal.key"]\n'
            self.end_children()  # of the first round
            self.children = []
            first = self.begin(listener={"tls": identity.files()}, more=more)
            sessions = {}
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = ssl.create_default_context(cafile=str(authority.pem))
                context.minimum_version = context.maximum_version = version
                with TlsConnection(self.play, context) as client:
                    client.ask()
                    sessions[version] = (context, client.socket.session)
            for turn in range(2):
                self.upgrade_last(first)
                for version, (context, session) in sessions.items():
                    for _ in range(4):  # whichever worker it is
                        with TlsConnection(self.play, context, session=session) as client:
                            self.assertTrue(client.socket.session_reused, f"{version}, upgrade {turn + 1}, keys {configured}")
                            client.ask()
                            session = client.socket.session
                    sessions[version] = (context, session)

    def test_names_are_known_though_dns_does_not_answer(self):
        dns = DnsServer(self)
        dns.zone["web.test", A] = (60, [address("127.0.0.1")])
        self.names = ""
        entry = {"name": "n", "resolve": "web.test", "port": self.web["a"].address[1]}
        head = "[dns]\n" + keys(server=[dns.address], timeout="500ms", tries=1)
        self.write()
        text = self.path.read_text().replace("server = [  ]", keys(server=[entry]).rstrip())
        self.path.write_text(text + head)
        first = self.follow(self.start("balancer", "-c", self.path).wait_ready())
        self.say("weight", "pool/n-127.0.0.1", "9")
        dns.silent = True
        for _ in range(2):
            self.upgrade_last(first)
            self.assertEqual(self.ask_play().get("x-server"), "a")
            self.assertEqual(self.standing()["n-127.0.0.1"][2], 9)

    def test_what_was_handed_over_is_wiped_in_both(self):
        first = self.begin()
        with Connection(self.play) as player:  # the old process stays for it
            player.ask()
            last = first.pid
            os.kill(last, signal.SIGUSR2)
            self.keep(poll(lambda: self.have_served(first), "the next process serves")[0])
            self.assertEqual(set(self.standing()), set("abcde"))
            # The beginning of a server's record: its name, and the field of its address.
            record = b"\x01\x00\x00\x00\x01a\x02\x00\x00\x00" + bytes([len("{}:{}".format(*self.web["a"].address))])
            for process in (first.pid, self.children[0]):
                memory = writable_memory(process)
                if memory is None:
                    self.skipTest("no process may look into another one's memory here")
                self.assertIn(str(self.path).encode(), memory, "what is not secret is found")
                self.assertEqual(memory.count(record), 0, f"process {process}")

    def test_a_word_that_was_taken_is_not_lost(self):
        """Servers are added all the time, over two upgrades: who was told that it is done finds it there."""
        first = self.begin()
        over, taken, refused, wrong = threading.Event(), [], [], []
        at = "{}:{}".format(*self.web["x"].address)

        def adder(letter):
            number = 0
            while not over.is_set() and number < 500:
                number += 1
                name = f"{letter}{number}"
                try:
                    answer = ask(self.admin, "PUT", f"/pools/pool/servers/{name}?address={at}", host="127.0.0.1")
                except (AssertionError, OSError):  # the old process has ended before it answered
                    refused.append(name)
                    continue
                if answer.status == 201:
                    taken.append(name)
                elif answer.status in (409, 503):
                    refused.append(name)
                else:
                    wrong.append(answer)

        threads = [threading.Thread(target=adder, args=(letter,)) for letter in "yz"]
        for thread in threads:
            thread.start()
        for _ in range(2):
            seen = len(taken)
            poll(lambda: wrong or len(taken) > seen + 5, "servers are added")
            self.upgrade_last(first)
        over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(set(taken) - set(self.standing()), set())
        self.assertGreater(len(refused), 0, "some came meanwhile")

    # --- while the next process starts ---

    def gated(self):
        """A balancer whose next process starts when let_go() is called."""
        self.link, self.gate = self.folder / "rejoin", self.folder / "gate"
        self.link.symlink_to(rejoin_binary())
        self.write()
        wrap = ["sh", "-c", f'shift; exec {self.link} "$@"', "sh"]
        return self.follow(self.start("balancer", "-c", self.path, wrap=wrap).wait_ready())

    def close_gate(self):
        os.mkfifo(self.gate)
        self.link.unlink()
        self.link.write_text(WAITS % (sys.executable, self.gate, self.link, rejoin_binary(), self.link))
        self.link.chmod(0o755)

    def begin_upgrade(self, program):
        started = len(program.said("upgrade: process .* starts"))
        self.told("POST", "/upgrade", 202)
        poll(lambda: len(program.said("upgrade: process .* starts")) > started, "a new process starts")
        child = int(re.search(r"process (\d+) starts", program.said("upgrade: process .* starts")[-1])[1])
        self.addCleanup(self.end_waiting, child)
        return child

    def end_waiting(self, child):
        """Of a test that has failed, it may wait at the gate for ever."""
        try:
            os.kill(child, signal.SIGTERM)
        except ProcessLookupError:
            pass  # as it should be

    def test_words_are_refused_meanwhile_and_nothing_secret_is_to_be_seen(self):
        first = self.gated()
        self.say("weight", "pool/c", "5")
        self.close_gate()
        child = self.begin_upgrade(first)
        for method, target in (
            ("POST", "/pools/pool/servers/a/drain"),
            ("POST", "/pools/pool/servers/a/maintenance"),
            ("POST", "/pools/pool/servers/a/ready"),
            ("PUT", "/pools/pool/servers/a?weight=3"),
            ("PUT", "/pools/pool/servers/x?address={}:{}".format(*self.web["x"].address)),
            ("DELETE", "/pools/pool/servers/a"),
        ):
            self.assertIn("an upgrade is under way", self.told(method, target, 409)["error"])
        self.assertEqual(self.standing()["a"][1:], ("ready", 1, True))
        # A reload is done here, and by the new process when it serves: which may have read its file before.
        reloads = len(first.said("reload: "))
        self.told("POST", "/reload")
        with open(f"/proc/{child}/environ", "rb") as file:
            ours = [one for one in file.read().split(b"\0") if one.startswith(b"REJOIN_") and not one.startswith(b"REJOIN=")]
        ours = dict(one.split(b"=", 1) for one in ours)
        for asked_of_the_test in (b"REJOIN_IO", b"REJOIN_DESCRIPTORS"):
            ours.pop(asked_of_the_test, None)
        self.assertEqual(set(ours), {b"REJOIN_SOCKETS", b"REJOIN_READY", b"REJOIN_LEGACY"})
        for value in ours.values():  # numbers of descriptors, and addresses
            self.assertRegex(value, rb"^[0-9.:,]*$")
        # Who asks on a connection that is still there when the new process serves is told to ask that one.
        kept = http.client.HTTPConnection(*self.admin)
        self.addCleanup(kept.close)
        kept.request("GET", "/healthz", headers={"Host": "127.0.0.1"})
        self.assertEqual(json.loads(kept.getresponse().read()), {"status": "ok"})
        with Connection(self.play) as player:  # a client of the old process, which stays for it
            player.ask()
            self.gate.write_text("go\n")
            poll(lambda: self.have_served(first), "the new process serves")
            self.keep(child)
            poll(lambda: first.said("this one ends with its last client"), "the old one retires")
            for target in ("/pools/pool/servers/a/drain", "/reload"):
                kept.request("POST", target, headers={"Host": "127.0.0.1"})
                answer = kept.getresponse()
                self.assertEqual(answer.status, 409, target)
                self.assertIn(b"on a new connection", answer.read())
        kept.close()  # the old process waits for it
        poll(lambda: len(first.said("reload: ")) == reloads + 2, "the new process reads its file again")
        self.assertEqual(self.standing()["c"][2], 5)
        self.say("drain", "pool/a")
        self.assertEqual(self.ended(first), 0)

    def test_words_are_taken_again_after_an_upgrade_that_failed(self):
        first = self.gated()
        self.close_gate()
        good = self.path.read_text()
        self.path.write_text("[[listener]]\nlisten = 1\n")
        self.begin_upgrade(first)
        self.told("POST", "/pools/pool/servers/a/drain", 409)
        self.gate.write_text("go\n")
        first.wait_for(r"ended with status 2 before it served; this one goes on")
        self.told("POST", "/pools/pool/servers/a/drain")
        self.path.write_text(good)
        self.upgrade_last(first)
        self.assertEqual(self.standing()["a"][1], "drain")


if __name__ == "__main__":
    unittest.main()
