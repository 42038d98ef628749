"""What stands on the stage of under_load_test.py: game servers that can be killed, a balancer whose binary is replaced, certificates
that are renewed; and the public: players, wrk and bench_load, who count what they see.
"""

import ctypes
import itertools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

from certificates import Authority
from programs import Closed, Connection, WebSocket, ask, keys, poll
from tls_test import TlsConnection, TlsWebSocket

NAMES = "abc"
HOST = "play.example"
MOMENT_S = 0.01
VISIT_ECHOES = 40  # then a player leaves, and comes back with the cookie
PR_SET_CHILD_SUBREAPER = 36


def bench_tool(name):
    tool = Path(os.environ.get("BENCH_TOOLS", "")) / name
    if not tool.is_file():
        raise RuntimeError(f"{tool} is no file: set BENCH_TOOLS to the folder of the built bench programs")
    return tool


class GameServer:
    """A real process (bench_ws_server): answers GET /healthz, echoes WebSockets, tells its name in X-Server."""

    def __init__(self, test, name):
        self.name = name
        self.tool = bench_tool("bench_ws_server")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = test.folder / f"server-{name}.log"
        self.start()
        test.addCleanup(self.kill)

    def start(self):
        self.log.write_text("")
        with self.log.open("ab") as log:
            command = [self.tool, "--listen", f"127.0.0.1:{self.port}={self.name}"]
            self.process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
        poll(lambda: "ready" in self.log.read_text() or self.process.poll() is not None, f"server {self.name} is ready")
        if self.process.poll() is not None:
            raise AssertionError(f"server {self.name} does not start: {self.log.read_text()}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def listed(self):
        return {"name": self.name, "address": f"127.0.0.1:{self.port}"}


class Player(threading.Thread):
    """Says something every moment and hears it again; leaves now and then, and comes back with the cookie, to the same server. What
    goes wrong is judged here: `lost` are connections of servers that were killed meanwhile, `errors` is everything else."""

    def __init__(self, scene, secure):
        super().__init__(daemon=True)
        self.scene, self.secure = scene, secure
        self.echoes, self.visits, self.returns, self.lost = 0, 0, 0, 0
        self.outlived = {"upgrade": 0, "certificates": 0, "reload": 0}  # visits during which that happened
        self.errors = []
        self.cookie, self.home, self.home_kills = None, None, None
        self.start()

    def open(self):
        fields = [("Cookie", self.cookie)] if self.cookie else []
        if not self.secure:
            return WebSocket(self.scene.address("play"), fields=fields)
        begun = self.scene.serials[-1]
        known = len(self.scene.serials)
        link = TlsWebSocket(self.scene.address("secure"), self.scene.trust, HOST, fields=fields)
        shown = int(link.socket.getpeercert()["serialNumber"], 16)
        if shown != begun and shown not in self.scene.written[known - 1 :]:
            self.errors.append("an old certificate, after the new one was served")
        return link

    def run(self):
        while not self.scene.over.is_set():
            server, dead, done = None, self.scene.dead.copy(), self.scene.done.copy()
            try:
                with self.open() as link:
                    server = link.handshake.get("x-server")
                    self.judge_server(server)
                    self.keep(link, server)
                    for _ in range(VISIT_ECHOES):
                        if self.scene.over.wait(MOMENT_S):
                            break
                        text = str(self.echoes)
                        if not link.echoes(text):
                            raise AssertionError("another echo than was said")
                        self.echoes += 1
                    self.visits += 1
            except (AssertionError, OSError) as error:
                if server and self.scene.shot[server] > dead[server]:
                    self.lost += 1
                else:
                    self.errors.append(f"{'wss' if self.secure else 'ws'}, on server {server}: {error!r}")
                    self.scene.over.wait(MOMENT_S)
            for what in self.outlived:
                self.outlived[what] += self.scene.done[what] > done[what]

    def keep(self, link, server):
        if link.handshake.get("set-cookie"):
            self.cookie = link.handshake.get("set-cookie").partition(";")[0]
        self.home, self.home_kills = server, self.scene.settled.copy()

    def judge_server(self, server):
        """Who comes back is on the same server, unless it was killed since."""
        if self.home is None or self.scene.shot[self.home] > self.home_kills[self.home]:
            return
        self.returns += 1
        if server != self.home:
            self.errors.append(f"came back to {server}, was on {self.home}")


class Wrk:
    """One wrk until it is told to end. `fresh`: a connection for each request."""

    def __init__(self, test, name, url, connections, fresh):
        if shutil.which("wrk") is None:
            raise AssertionError("wrk is not installed: apt-get install wrk")
        self.name = name
        command = ["wrk", "-t1", f"-c{connections}", "-d7200s", "--timeout", "30s"]
        if fresh:
            script = test.file("function delay() return 5 end\n", ".lua")
            command += ["-s", str(script), "-H", "Connection: close"]
        self.process = subprocess.Popen([*command, url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        test.addCleanup(self.process.wait)
        test.addCleanup(self.process.kill)

    def end(self):
        """(requests, errors by kind)."""
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=60)[0]
        counted = re.search(r"(\d+) requests in", said)
        if not counted:
            raise AssertionError(f"{self.name} said {said!r}")
        errors = {}
        for kind, pattern in (("connect", r"connect (\d+)"), ("read", r"read (\d+)"), ("write", r"write (\d+)"),
                              ("timeout", r"timeout (\d+)"), ("status", r"Non-2xx or 3xx responses: (\d+)")):
            found = re.search(pattern, said)
            if found and int(found[1]):
                errors[kind] = int(found[1])
        return int(counted[1]), errors


class Steady(threading.Thread):
    """bench_load, again and again, before a server that is never killed: nothing at all may happen to its WebSockets."""

    def __init__(self, scene, connections, seconds):
        super().__init__(daemon=True)
        self.scene, self.connections, self.seconds = scene, connections, seconds
        self.round_trips, self.runs, self.errors = 0, 0, []
        self.start()

    def run(self):
        command = [bench_tool("bench_load"), "--to", "%s:%d" % self.scene.address("steady")]
        orders = f"hold count={self.connections}\necho seconds={self.seconds}\n"
        while not self.scene.over.is_set():
            done = subprocess.run(command, input=orders, capture_output=True, text=True, timeout=self.seconds + 120, check=False)
            said = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {"units": 0, "first_error": done.stderr}
            self.round_trips += said["units"]
            self.runs += 1
            if done.returncode != 0:
                self.errors.append(f"bench_load: {said['first_error']}")


class Scene:
    """The balancer with all that can happen to it, and what has happened.

    Of kills three moments are counted, since each excuses something else: `shot` before a server is killed, `dead` once it is,
    `settled` once it is back and known to be up. Of certificates: `written` are the serial numbers of all that were put in place,
    `serials` of those that were seen to be served.
    """

    def __init__(self, test):
        self.test = test
        self.over = threading.Event()
        self.shot, self.dead, self.settled = (dict.fromkeys(NAMES, 0) for _ in range(3))
        self.done = {"upgrade": 0, "certificates": 0, "reload": 0, "kill": 0}
        self.failed_upgrades = 0
        self.servers = {name: GameServer(test, name) for name in NAMES}
        self.steady_server = GameServer(test, "s")
        self.upgrading, self.configuring = threading.Lock(), threading.Lock()
        self.authority = Authority(test.folder)
        self.trust = ssl.create_default_context(cafile=str(self.authority.pem))
        self.written, self.live = [], test.folder / "live"
        self.serials = [self.put_certificate()]
        # Processes that outlive those who started them become children of this one, and their exit status can be read.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.path = test.folder / "balancer.toml"
        self.weights = itertools.cycle((2, 1))
        self.configure()
        self.balancer = test.start("balancer", "-c", self.path).wait_ready()
        self.addresses = self.balancer.addresses()
        self.processes = [self.balancer.pid]
        test.addCleanup(self.kill_processes)

    def configure(self):
        """Puts a configuration in place that differs from the one before."""
        with self.configuring:
            new = self.test.folder / "balancer.new"
            new.write_text(self.configuration(self.test, next(self.weights)))
            new.rename(self.path)

    def configuration(self, test, weight):
        health = {"kind": "http", "path": "/healthz", "every": "100ms", "timeout": "100ms", "fall": 5, "rise": 1}
        tls = {"certificate": str(self.live / "play.pem"), "key": str(self.live / "play.key")}
        config = '[keys]\nseal = [ "file:%s" ]\n[balancer]\nworkers = 2\n' % (test.folder / "seal.key")
        config += '[log]\nlevel = "info"\n[admin]\nlisten = "127.0.0.1:0"\n'
        for listener in ({"name": "play", "pool": "pool"}, {"name": "secure", "pool": "pool", "tls": tls},
                         {"name": "steady", "pool": "steady"}):
            config += "[[listener]]\n" + keys(listen="127.0.0.1:0", **listener)
        config += "[[pool]]\n" + keys(name="pool", affinity=[{"kind": "cookie-insert"}], health=health,
                                      server=[{**one.listed(), "weight": weight} for one in self.servers.values()])
        return config + "[[pool]]\n" + keys(name="steady", server=[self.steady_server.listed()])

    def address(self, name):
        return self.addresses[name]

    @property
    def current(self):
        """The process that takes new clients."""
        return self.processes[-1]

    # --- certificates ---

    def put_certificate(self):
        """A new one in the place where the configuration looks, both files at once, as certbot does it: by a link."""
        folder = self.test.folder / f"v{len(self.written)}"
        folder.mkdir()
        self.authority.folder = folder
        identity = self.authority.issue("play", [HOST])
        self.written.append(identity.serial)
        link = self.test.folder / "live.new"
        link.symlink_to(folder)
        link.rename(self.live)
        return identity.serial

    def shown(self):
        with TlsConnection(self.address("secure"), self.trust, HOST) as connection:
            return int(connection.socket.getpeercert()["serialNumber"], 16)

    # --- the processes ---

    def signal(self, number):
        os.kill(self.current, number)

    def is_up(self, name):
        """As the process says that has the admin port now."""
        try:
            text = ask(self.address("admin"), "GET", "/metrics", host="127.0.0.1").body.decode()
        except (Closed, OSError):  # a process that goes has it for a moment still
            return None
        found = re.search(r'rejoin_balancer_server_up\{pool="pool",server="%s"\} (\d)' % name, text)
        return found and found[1] == "1"

    def takers(self):
        return [int(line.split("process ")[1].split()[0]) for line in self.balancer.said(r"upgrade: process \d+ serves")]

    def ended(self, process):
        """Whether it has gone; a zombie, whose parent lives on without looking, has."""
        try:
            return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    def end_processes(self):
        """All of them, the last one by SIGTERM: their exit statuses. Those before it have to end by themselves."""
        for process in self.processes[:-1]:
            poll(lambda: self.ended(process), f"process {process} ends with its last client")
        self.signal(signal.SIGTERM)
        poll(lambda: self.ended(self.current), "the last process drains, with nobody there")
        statuses = []
        for process in self.processes:
            if process == self.balancer.pid:
                statuses.append(poll(lambda: self.balancer.process.poll() is not None and (self.balancer.process.returncode,),
                                     "the first process has ended")[0])
            else:
                statuses.append(self.status(process))
        return statuses

    def status(self, process):
        """Of a later one: its parent has read it, and has told the log, or was gone before, and it is ours to read."""
        try:
            return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        except ChildProcessError:
            return int(self.balancer.wait_for(rf"upgrade: process {process} ended with status \d+").split()[-1])

    def kill_processes(self):
        """What a failed test has left; the first one last, whose stderr the others have."""
        for process in [*self.takers(), self.balancer.pid]:
            if not self.ended(process):
                os.kill(process, signal.SIGKILL)
        if self.balancer.process.returncode is None:
            self.balancer.wait()
