"""Rejoin and Debian's HAProxy before the same three servers, asked the same questions; their answers in one language.

An answer is an Outcome: values that only one balancer would give are replaced by what they mean, so that two outcomes can be
compared with ==. What a sealed value means is found out as a client would: by sending it back.
"""

import dataclasses
import json
import re
import shutil
import signal
import socket
import subprocess

from programs import Connection, WebSocket, keys, poll, request
from servers import Listener, told_by_requests

NAME = "SRV"
MODES = ("insert", "rewrite", "prefix")
NAMES = "abc"  # of the servers; c is down
ASKED = 4  # times each: round-robin over two servers gives both, a pin one


@dataclasses.dataclass
class Outcome:
    """`reached`: a server's name if each time the same one, or `scheduled`. `set_cookie`: what the client is given, in order, our
    value as {reached} or {a}. `attributes`: of a cookie that the balancer made. `private`: it has told caches to keep off.
    `saw`: the Cookie lines that the server saw."""

    status: int = 0
    reached: str = ""
    set_cookie: tuple = ()
    attributes: tuple = ()
    private: bool = False
    saw: tuple = ()


KEYS = [field.name for field in dataclasses.fields(Outcome)]


@dataclasses.dataclass
class Scenario:
    """`cookies`: the Cookie lines of the request, in which {a} {b} {c} stand for the value that a client got with that server,
    {A} {B} {C} for the same as it came (in prefix with ~inner behind it), {tampered} for one that somebody has changed."""

    name: str
    cookies: tuple = ()
    sets: tuple = ()
    kind: str = "GET"
    status: int = 200
    more: tuple = ()  # further fields of the response

    def fields(self, values):
        said = [("Cookie", fill(line, values)) for line in self.cookies]
        return [*said, ("X-Say", json.dumps({"set": self.sets, "status": self.status, "fields": self.more}))]

    def brings(self, token):
        return any("{" + token + "}" in line for line in self.cookies)


def fill(line, values):
    for token, value in values.items():
        line = line.replace("{" + token + "}", value)
    return line


def ask(address, kind, fields, connection=None):
    one = connection or Connection(address)
    try:
        if kind == "WebSocket":
            one.send(request(fields=[*WebSocket.upgrade_fields(), *fields]))
            return one.response()
        return one.ask(kind, fields=fields, body=b"body" if kind == "POST" else None)
    finally:
        if connection is None:
            one.close()


class Subject:
    """A balancer with an address for each mode. `values[mode]` are its valid ones, by server."""

    def __init__(self):
        self.addresses = {}
        self.values = {}

    def learn(self):
        """Asks for a cookie of each server, while all of them are up."""
        for mode in MODES:
            found = {}

            def next_value():
                scenario = Scenario("learn", sets=() if mode == "insert" else (NAME + "=inner",))
                response = ask(self.addresses[mode], "GET", scenario.fields({}))
                value = response.get("set-cookie").split(";")[0].removeprefix(NAME + "=")
                found[response.get("x-server")] = value
                return len(found) == len(NAMES)

            poll(next_value, f"{mode}: each of the servers has its turn")
            self.values[mode] = {
                **{name: value.removesuffix("~inner") for name, value in found.items()},
                **{name.upper(): value for name, value in found.items()},
                "tampered": self.tamper(found["a"].removesuffix("~inner")),
            }

    def tamper(self, value):
        middle = len(value) // 2
        return value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]

    def meaning(self, mode, value):
        """The server that a client with this value reaches, or None."""
        raise NotImplementedError

    def outcome(self, mode, scenario, connection=None, times=ASKED):
        answers = []
        for _ in range(times):
            fields = scenario.fields(self.values[mode])
            answers.append(ask(self.addresses[mode], scenario.kind, fields, connection))
        outcomes = [self.translate(mode, scenario, answer) for answer in answers]
        reached = {outcome.reached for outcome in outcomes}
        for outcome in outcomes:
            outcome.reached = reached.copy().pop() if len(reached) == 1 else "scheduled"
        if any(outcome != outcomes[0] for outcome in outcomes):
            raise AssertionError(f"{type(self).__name__}, {mode}, {scenario.name}: not the same each time: {outcomes}")
        return outcomes[0]

    def translate(self, mode, scenario, answer):
        server = answer.get("x-server")
        set_cookie, attributes = [], ()
        for line in answer.all("set-cookie"):
            pair, *rest = [part.strip() for part in line.split(";")]
            name, equals, value = pair.partition("=")
            if name == NAME and equals and line not in scenario.sets:
                value, tilde, inner = value.partition("~")
                means = self.meaning(mode, value)
                pair = f"{NAME}={'{reached}' if means == server else means}{tilde}{inner}"
                if mode == "insert":
                    attributes, rest = tuple(rest), []
            set_cookie.append("; ".join([pair, *rest]))
        private = "private" in ", ".join(answer.all("cache-control"))
        saw = [self.translate_cookies(mode, scenario, line) for line in json.loads(answer.get("x-saw") or "[]")]
        return Outcome(answer.status, server, tuple(set_cookie), attributes, private, tuple(saw))


    def translate_cookies(self, mode, scenario, line):
        """Values that the scenario brought by their tokens. Space behind a ';' means nothing, and one balancer writes it anew."""
        for token in ("tampered", *NAMES):
            if scenario.brings(token) or scenario.brings(token.upper()):
                for before in ("=", '="'):
                    line = line.replace(before + self.values[mode][token], before + "{" + token + "}")
        return re.sub(r";\s*", "; ", line)


class Rejoin(Subject):
    def __init__(self, test, servers):
        super().__init__()
        listed = [{"name": name, "address": "%s:%d" % server.address} for name, server in zip(NAMES, servers)]
        health = {"kind": "tcp", "every": "100ms", "timeout": "2s", "fall": 1, "rise": 1}
        config = ""
        for mode in MODES:
            affinity = [{"kind": "cookie-" + mode, "name": NAME}]
            config += "[[listener]]\n" + keys(name=mode, listen="127.0.0.1:0", pool=mode)
            config += "[[pool]]\n" + keys(name=mode, affinity=affinity, health=health, server=listed)
        self.program = test.balancer(config)
        self.addresses = self.program.addresses()

    def meaning(self, mode, value):
        sent = value + ("~probe" if mode == "prefix" else "")
        reached = {ask(self.addresses[mode], "GET", [("Cookie", f"{NAME}={sent}")]).get("x-server") for _ in range(2)}
        return reached.pop() if len(reached) == 1 else None

    def wait_until_down(self, name):
        for mode in MODES:
            self.program.wait_for(f"server {mode}/{name} is down")


class Haproxy(Subject):
    def __init__(self, test, servers):
        super().__init__()
        binary = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
        if binary is None:
            raise AssertionError("haproxy is not installed, and this test compares with it: apt-get install haproxy")
        self.folder = test.folder
        config = "global\n  maxconn 500\n  stats socket %s\n" % (self.folder / "haproxy.sock")
        config += "defaults\n  mode http\n  retries 3\n  option redispatch 1\n"
        config += "  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n  timeout check 2s\n"
        listening = []
        for mode in MODES:
            inherited = socket.create_server(("127.0.0.1", 0), backlog=128)  # it knows no port 0
            test.addCleanup(inherited.close)
            listening.append(inherited)
            self.addresses[mode] = inherited.getsockname()
            options = " indirect nocache" if mode == "insert" else ""
            config += f"listen {mode}\n  bind fd@{inherited.fileno()}\n  balance roundrobin\n  cookie {NAME} {mode}{options}\n"
            for name, server in zip(NAMES, servers):
                config += "  server %s %s:%d cookie %s check inter 100ms fall 1 rise 1\n" % (name, *server.address, name)
        path = test.file(config, ".cfg")
        self.process = subprocess.Popen(
            [binary, "-db", "-q", "-f", str(path)],
            pass_fds=[one.fileno() for one in listening],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        test.addCleanup(self.end)
        poll(lambda: (self.folder / "haproxy.sock").exists() or self.process.poll() is not None, "haproxy is up")
        test.assertIsNone(self.process.poll(), f"haproxy does not take its configuration: haproxy -c -f {path}\n{config}")

    def end(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def tamper(self, value):
        return value + "x"

    def meaning(self, mode, value):
        return value if value in NAMES else None

    def wait_until_down(self, name):
        def down():
            with socket.socket(socket.AF_UNIX) as stats:
                stats.connect(str(self.folder / "haproxy.sock"))
                stats.sendall(b"show stat\n")
                text = b"".join(iter(lambda: stats.recv(65536), b"")).decode()
            return all(",DOWN" in line for line in text.splitlines() if line.startswith(tuple(f"{m},{name}," for m in MODES)))

        poll(down, f"haproxy has seen that {name} is down")


def make_pair(test):
    """(Rejoin, Haproxy, servers), which know the cookies of all three servers, of which c is down by now."""
    servers = [Listener(test, told_by_requests(name)) for name in NAMES]
    rejoin, haproxy = Rejoin(test, servers), Haproxy(test, servers)
    for subject in (rejoin, haproxy):
        subject.learn()
    servers[NAMES.index("c")].die()
    for subject in (rejoin, haproxy):
        subject.wait_until_down("c")
    return rejoin, haproxy, servers
