"""What a socket test stands on: real `rejoin` processes on ports of the kernel's choice, and raw clients.

The environment names the program: REJOIN=build/dev/apps/rejoin. A test is a subclass of ProgramsTest; everything that it
starts through it is ended when it ends, and has to end well: SIGTERM gives 0, which a sanitizer's report does not. Nothing
here sleeps: what is waited for is asked again until a deadline (DEADLINE_S, long, since machines are shared).
"""

import base64
import hashlib
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

DEADLINE_S = 30
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def rejoin_binary():
    """The program under test; a test without one is an error, never a pass."""
    path = os.environ.get("REJOIN", "")
    if not path or not Path(path).is_file():
        raise RuntimeError(f"REJOIN={path!r} is no file: set it to the program, such as build/dev/apps/rejoin")
    return str(Path(path).resolve())


def poll(condition, what, seconds=DEADLINE_S):
    """Asks `condition` until it says something true, which is returned. Fails, saying `what` was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        select.select([], [], [], 0.01)


class Program:
    """One child process. Its stderr is read line by line into `lines`; stdout, if asked for, is `process.stdout`."""

    def __init__(self, arguments, wrap=(), **popen):
        self.arguments = list(arguments)
        self.lines = []
        self.process = subprocess.Popen(
            [*wrap, rejoin_binary(), *arguments],
            stdin=popen.pop("stdin", subprocess.DEVNULL),
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            **popen,
        )
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def log(self):
        return "\n".join(self.lines)

    def said(self, pattern):
        """The lines of stderr that have it."""
        return [line for line in self.lines if re.search(pattern, line)]

    def wait_for(self, pattern, what=None):
        """The first line that matches, as soon as it is there."""

        def line_or_end():
            # Its end is the end of stderr: it may be gone, and its last lines unread. (One that has taken over has its stderr.)
            ended = not self.reader.is_alive()
            found = self.said(pattern)
            if not found and ended and self.said("io_uring cannot be had"):  # REJOIN_IO asks for it
                raise unittest.SkipTest(self.said("io_uring cannot be had")[0])
            if not found and ended:
                raise AssertionError(f"{self} ended with {self.process.wait()} before it said {pattern!r}:\n{self.log()}")
            return found

        try:
            return poll(line_or_end, what or f"{self} says {pattern!r}")[0]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def wait_ready(self):
        self.wait_for(r"(^|\s)ready$")
        return self

    def addresses(self):
        """Listener's name to (ip, port), after ready."""
        found = {}
        for line in self.lines:
            match = re.search(r"listener (\S+): listening on (\S+):(\d+)$", line)
            if match:
                found[match[1]] = (match[2].strip("[]"), int(match[3]))
        return found

    def address(self, name=None):
        found = self.addresses()
        return found[name] if name else next(iter(found.values()))

    def signal(self, number):
        self.process.send_signal(number)

    def running(self):
        return self.process.poll() is None

    def wait(self, seconds=DEADLINE_S):
        """The exit status, once it has ended and its last line was read."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} has not ended within {seconds} s:\n{self.log()}") from None
        self.reader.join(DEADLINE_S)
        if not self.reader.is_alive():  # else close() would wait for it, and it for whoever has inherited stderr
            self.process.stderr.close()
        return status

    def stop(self):
        """SIGTERM, and a second one for those whose clients are still there. Returns the exit status, which should be 0."""
        if self.running():
            self.signal(signal.SIGTERM)
            poll(lambda: not self.running() or self.said("SIGTERM: draining"), f"{self} hears SIGTERM")
            if self.running():
                self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        """The death that nobody is told of."""
        self.process.kill()
        return self.wait()

    def cpu_seconds(self):
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kib(self):
        """Resident memory now (VmRSS)."""
        return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def __str__(self):
        return f"rejoin {' '.join(self.arguments)} (pid {self.pid})"


def run(arguments, seconds=DEADLINE_S, wrap=(), **popen):
    """A `rejoin` that ends by itself: its CompletedProcess, texts."""
    return subprocess.run(
        [*wrap, rejoin_binary(), *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
        **popen,
    )


def toml(value):
    """A Python value as a TOML value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return "[ " + ", ".join(toml(item) for item in value) + " ]"


def keys(**pairs):
    """TOML lines of those that are not None."""
    return "".join(f"{key} = {toml(value)}\n" for key, value in pairs.items() if value is not None)


def servers(*addresses, **weights):
    """The `server` list of a pool: named a, b, c in the order of (ip, port) pairs."""
    return [{"name": name, "address": f"{ip}:{port}"} for name, (ip, port) in zip("abcdefgh", addresses)]


class ProgramsTest(unittest.TestCase):
    """Keeps a folder and the programs of one test."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="rejoin-socket-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.programs = []
        self.files = 0

    def run(self, result=None):
        """On failure the programs' last words are worth more than the traceback."""
        before = len(result.failures) + len(result.errors) if result else 0
        outcome = super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            for program in getattr(self, "programs", []):
                print(f"--- {program}: {program.process.returncode}\n" + "\n".join(program.lines[-40:]), flush=True)
        return outcome

    def file(self, text, suffix=".toml"):
        self.files += 1
        path = self.folder / f"{self.files}{suffix}"
        path.write_text(text)
        return path

    def start(self, *arguments, **popen):
        program = Program([str(argument) for argument in arguments], **popen)
        self.programs.append(program)
        self.addCleanup(self.end, program)
        return program

    def end(self, program):
        if not program.running():
            return
        status = program.stop()
        self.assertEqual(status, 0, f"{program} ended badly:\n{program.log()}")

    def balancer(self, config, **popen):
        """`config`: TOML text. Returns it ready."""
        return self.start("balancer", "-c", self.file(config), **popen).wait_ready()

    def http_balancer(self, pool_servers, listener=None, pool=None, head="", **popen):
        """A balancer with one HTTP listener `play` before one pool, debug log; dicts are further keys of the two."""
        return self.balancer(
            head
            + '[log]\nlevel = "debug"\n[[listener]]\n'
            + keys(**{"name": "play", "listen": "127.0.0.1:0", **(listener or {})})
            + "[[pool]]\n"
            + keys(**{"name": "pool", "server": pool_servers, **(pool or {})}),
            **popen,
        )

    def gateway(self, name, websocket="127.0.0.1:0", tcp="127.0.0.1:0", extra="", **popen):
        """A gateway with the listeners `websocket` and `tcp`."""
        listeners = [{"listen": websocket, "kind": "websocket"}]
        if tcp:
            listeners.append({"listen": tcp, "kind": "tcp", "protocol": "plain"})
        config = "[gateway]\n" + keys(name=name, listener=listeners) + extra
        return self.start("gateway", "-c", self.file(config), **popen).wait_ready()

    def connect(self, url, *options, status=0, **popen):
        """`rejoin connect --json`: the list of its accounts."""
        done = run(["connect", url, "--json", *map(str, options)], **popen)
        self.assertEqual(done.returncode, status, f"connect {url} {options}:\n{done.stdout}\n{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]


class Closed(AssertionError):
    """The other side ended the connection where more was wanted."""


class Response:
    """A response as it came: `fields` are (name, value) in order, `body` without chunk framing."""

    def __init__(self, version, status, reason, fields):
        self.version, self.status, self.reason, self.fields = version, status, reason, fields
        self.body = b""
        self.trailers = []
        self.interim = []

    def all(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def get(self, name, default=None):
        found = self.all(name)
        return found[0] if found else default

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:200]!r}>"


def parse_fields(lines):
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or name != name.strip() or not name:
            raise AssertionError(f"a field line that nobody may send: {line!r}")
        fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
    return fields


class Connection:
    """A TCP connection on which a test says bytes and reads them back; every wait has a deadline."""

    def __init__(self, address, bind=None, receive_buffer=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE_S)
        if bind:
            self.socket.bind((bind, 0))
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.arrived = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def more(self):
        """Reads once; False at the end of the stream, however it ended."""
        try:
            data = self.socket.recv(256 * 1024)
        except ConnectionResetError:
            return False
        except TimeoutError:
            raise AssertionError(f"nothing came within {DEADLINE_S} s, after {self.arrived[:300]!r}") from None
        self.arrived += data
        return bool(data)

    def until(self, mark):
        """What comes up to `mark`, which is taken too."""
        searched = 0
        while (at := self.arrived.find(mark, searched)) < 0:
            searched = max(0, len(self.arrived) - len(mark))
            if not self.more():
                raise Closed(f"closed before {mark!r}, after {self.arrived[:300]!r}")
        taken, self.arrived = self.arrived[: at + len(mark)], self.arrived[at + len(mark) :]
        return taken

    def exactly(self, count):
        parts, have = [self.arrived], len(self.arrived)
        self.arrived = b""
        while have < count:
            if not self.more():
                raise Closed(f"closed after {have} of {count} bytes")
            parts.append(self.arrived)
            have += len(self.arrived)
            self.arrived = b""
        whole = b"".join(parts)
        self.arrived = whole[count:]
        return whole[:count]

    def rest(self):
        """Everything up to the end of the connection."""
        parts = [self.arrived]
        self.arrived = b""
        while self.more():
            parts.append(self.arrived)
            self.arrived = b""
        return b"".join(parts)

    def head(self):
        lines = self.until(b"\r\n\r\n")[:-4].split(b"\r\n")
        version, status, reason = (lines[0] + b" ").split(b" ", 2)
        return Response(version.decode(), int(status), reason.strip().decode("latin-1"), parse_fields(lines[1:]))

    def chunked(self, response):
        parts = []
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            parts.append(self.exactly(size))
            assert self.exactly(2) == b"\r\n", "chunk data is not followed by CRLF"
        while (line := self.until(b"\r\n")) != b"\r\n":
            response.trailers += parse_fields([line[:-2]])
        return b"".join(parts)

    def response(self, method="GET"):
        """One whole response, with the interim ones before it."""
        interim = []
        response = self.head()
        while 100 <= response.status < 200 and response.status != 101:
            interim.append(response)
            response = self.head()
        response.interim = interim
        if method == "HEAD" or response.status in (101, 204, 304):
            return response
        if (response.get("transfer-encoding") or "").lower() == "chunked":
            response.body = self.chunked(response)
        elif response.get("content-length") is not None:
            response.body = self.exactly(int(response.get("content-length")))
        else:
            response.body = self.rest()
        return response

    def ask(self, method="GET", target="/", fields=(), body=None, host="test"):
        """Sends a request with a Host, and reads its response. `fields`: (name, value) pairs."""
        self.send(request(method, target, fields, body, host))
        return self.response(method)


def request(method="GET", target="/", fields=(), body=None, host="test"):
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields)
    if body is not None:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode("latin-1") + b"\r\n" + (body or b"")


def ask(address, *arguments, bind=None, **options):
    """One request on a connection of its own."""
    with Connection(address, bind=bind) as connection:
        return connection.ask(*arguments, **options)


def websocket_accept(key):
    return base64.b64encode(hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest()).decode()


def websocket_frame(opcode, payload, mask=None):
    """A whole message of one frame; with `mask` as a client sends it."""
    bit = 0x80 if mask else 0
    head = bytes([0x80 | opcode])
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
    if not mask:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class WebSocket(Connection):
    """A client of RFC 6455 after its handshake, whose answer is `handshake`."""

    KEY = "dGhlIHNhbXBsZSBub25jZQ=="

    def __init__(self, address, path="/play", fields=(), bind=None):
        super().__init__(address, bind=bind)
        self.handshake = self.ask("GET", path, [*self.upgrade_fields(), *fields])
        if self.handshake.status != 101:
            raise AssertionError(f"no WebSocket: {self.handshake}")
        if self.handshake.get("sec-websocket-accept") != websocket_accept(self.KEY):
            raise AssertionError(f"wrong Sec-WebSocket-Accept: {self.handshake}")

    @classmethod
    def upgrade_fields(cls):
        return [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", cls.KEY),
        ]

    def say(self, payload, opcode=1):
        data = payload.encode() if isinstance(payload, str) else payload
        self.send(websocket_frame(opcode, data, mask=b"\x37\xfa\x21\x3d"))

    def hear(self):
        """The next frame: (opcode, payload)."""
        first, second = self.exactly(2)
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", self.exactly(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.exactly(8))[0]
        return first & 0x0F, self.exactly(size)

    def greeting(self):
        """The first message of a gateway, read as JSON."""
        return json.loads(self.hear()[1])

    def echoes(self, text):
        """Says it and hears it again."""
        self.say(text)
        return self.hear()[1] == text.encode()
