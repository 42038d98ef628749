"""A server that shares no code with any HTTP parser here: it cuts what it hears into requests, as strictly as RFC 9112 allows,
keeps them with their raw bytes, and says what is wrong with the rest. One thread, all connections.
"""

import os
import re
import select
import socket
import threading

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([01])")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[ \t\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})((?:;" + TOKEN + rb"(?:=(?:" + TOKEN + rb'|"(?:[^"\\\x00-\x1f\x7f]|\\[\t\x20-\x7e])*"))?)*)')


class Broken(Exception):
    """What came is no request that a strict server takes."""


class Seen:
    """One whole request. `fields` are (name in small letters, value)."""

    def __init__(self, method, target, minor, fields):
        self.method, self.target, self.minor, self.fields = method.decode(), target.decode(), int(minor), fields
        self.body, self.trailers = b"", []

    def all(self, name):
        return [value for field, value in self.fields if field == name]

    def key(self):
        return self.method, self.target, self.body

    def __repr__(self):
        return f"<{self.method} {self.target} {self.body[:60]!r}>"


def take_line(data, at):
    """The line that begins at `at` and the place behind it; None while it is not whole."""
    end = data.find(b"\r\n", at)
    whole = data[at:] if end < 0 else data[at:end]
    wrong = re.search(rb"\n|\r(?!$)" if end < 0 else rb"[\r\n]", whole)
    if wrong:
        raise Broken(f"a bare CR or LF in {whole[:80]!r}")
    return None if end < 0 else (whole, end + 2)


def take_fields(data, at):
    fields = []
    while True:
        line = take_line(data, at)
        if line is None:
            return None
        text, at = line
        if not text:
            return fields, at
        match = FIELD.fullmatch(text)
        if not match:
            raise Broken(f"no field line: {text[:80]!r}")
        fields.append((match[1].lower().decode(), match[2]))


def take_request(data):
    """(Seen, bytes used), or None while it is not whole."""
    line = take_line(data, 0)
    if line is None:
        return None
    match = REQUEST_LINE.fullmatch(line[0])
    if not match:
        raise Broken(f"no request line: {line[0][:80]!r}")
    found = take_fields(data, line[1])
    if found is None:
        return None
    seen = Seen(match[1], match[2], match[3], found[0])
    at = found[1]
    lengths, codings = seen.all("content-length"), seen.all("transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Broken(f"framed twice: {lengths} {codings}")
    if seen.minor == 1 and len(seen.all("host")) != 1:
        raise Broken(f"{len(seen.all('host'))} Hosts")
    if codings:
        return take_chunks(data, at, seen, codings[0])
    if lengths:
        if not re.fullmatch(rb"0|[1-9][0-9]{0,17}", lengths[0]):
            raise Broken(f"length {lengths[0]!r}")
        end = at + int(lengths[0])
        seen.body = data[at:end]
        return (seen, end) if len(data) >= end else None
    return seen, at


def take_chunks(data, at, seen, coding):
    if seen.minor == 0 or coding.lower() != b"chunked":
        raise Broken(f"coding {coding!r} in HTTP/1.{seen.minor}")
    while True:
        line = take_line(data, at)
        if line is None:
            return None
        match = CHUNK.fullmatch(line[0])
        if not match:
            raise Broken(f"no chunk: {line[0][:80]!r}")
        size, at = int(match[1], 16), line[1]
        if size == 0:
            break
        if len(data) < at + size + 2:
            if data[at + size : at + size + 1] not in (b"", b"\r"):
                raise Broken("no CRLF behind a chunk")
            return None
        if data[at + size : at + size + 2] != b"\r\n":
            raise Broken("no CRLF behind a chunk")
        seen.body += data[at : at + size]
        at += size + 2
    found = take_fields(data, at)
    if found is None:
        return None
    seen.trailers, at = found
    return seen, at


class Recorder:
    """`seen`: whole requests in the order in which they came. `faults`: what was broken. Answers each with an empty 200."""

    def __init__(self, test, name="recorder"):
        self.name = name
        self.seen, self.faults, self.raw = [], [], b""
        self.open = {}  # socket -> bytes that are no whole request yet
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.listening.setblocking(False)
        self.address = self.listening.getsockname()
        self.bell, self.rope = os.pipe()
        self.asked, self.quiet = threading.Event(), threading.Event()
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        test.addCleanup(self.end)

    def end(self):
        self.ended = True
        os.write(self.rope, b"!")
        self.thread.join(30)

    def barrier(self):
        """Returns once everything that was sent before the call has been heard. The bytes of requests that are not whole."""
        self.quiet.clear()
        self.asked.set()
        os.write(self.rope, b"!")
        if not self.quiet.wait(30):
            raise AssertionError("the recorder does not come to rest")
        return self.partial

    def run(self):
        while not self.ended:
            ready, _, _ = select.select([self.listening, self.bell, *self.open], [], [])
            if ready == [self.bell]:
                os.read(self.bell, 100)
                if self.asked.is_set():
                    self.asked.clear()
                    self.partial = [bytes(rest) for rest in self.open.values() if rest]
                    self.quiet.set()
            for one in ready:
                if one is self.listening:
                    accepted, _ = self.listening.accept()
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.open[accepted] = b""
                elif one is not self.bell:
                    self.hear(one)
        for one in [self.listening, *self.open]:
            one.close()
        os.close(self.bell)
        os.close(self.rope)

    def hear(self, one):
        try:
            data = one.recv(256 * 1024)
        except ConnectionError:
            data = b""
        self.raw += data
        rest = self.open[one] = self.open[one] + data
        alive = bool(data)
        try:
            while rest and (taken := take_request(rest)):
                self.seen.append(taken[0])
                rest = self.open[one] = rest[taken[1] :]
                one.sendall(b"HTTP/1.1 200 OK\r\nX-Party: " + self.name.encode() + b"\r\nContent-Length: 0\r\n\r\n")
        except Broken as broken:
            self.faults.append(str(broken))
            alive = False
        except OSError:
            alive = False
        if not alive:
            del self.open[one]
            one.close()
