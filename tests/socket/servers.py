"""Servers to stand behind a balancer: threads of the test that record every byte they were sent, and say what they are told.

A server is a Listener with a handler: a function of one accepted Peer, which is a Connection seen from the other side.
"""

import json
import socket
import threading

from programs import DEADLINE_S, Connection, parse_fields, poll, websocket_accept


class Peer(Connection):
    """One accepted connection. `heard` is all that it ever received."""

    def __init__(self, accepted):
        self.socket = accepted
        self.socket.settimeout(DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.arrived = b""
        self.heard = bytearray()
        self.done = threading.Event()  # the handler has returned

    def more(self):
        before = len(self.arrived)
        try:
            alive = super().more()
        except OSError:  # the test closed it from its side
            return False
        self.heard += self.arrived[before:]
        return alive

    def request(self):
        """The next request, whole; None when the client ends instead."""
        while b"\r\n\r\n" not in self.arrived:
            if not self.more():
                return None
        lines = self.until(b"\r\n\r\n")[:-4].split(b"\r\n")
        method, target, version = lines[0].decode("latin-1").split(" ")
        found = Request(method, target, version, parse_fields(lines[1:]))
        return found

    def body_of(self, request):
        """Reads the body that the head announced."""
        if (request.get("transfer-encoding") or "").lower() == "chunked":
            return self.chunked(request)
        return self.exactly(int(request.get("content-length") or 0))

    def answer(self, status=200, fields=(), body=b"", reason="OK"):
        """A response with Content-Length."""
        self.send(response_bytes(status, [*fields, ("Content-Length", str(len(body)))], body, reason))


class Request:
    def __init__(self, method, target, version, fields):
        self.method, self.target, self.version, self.fields = method, target, version, fields
        self.body = b""
        self.trailers = []

    def all(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def get(self, name, default=None):
        found = self.all(name)
        return found[0] if found else default

    def __repr__(self):
        return f"<{self.method} {self.target} {self.fields}>"


def response_bytes(status, fields=(), body=b"", reason="OK"):
    head = f"HTTP/1.1 {status} {reason}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
    return head.encode("latin-1") + b"\r\n" + body


class Listener:
    """Accepts on a port of the kernel's choice, each connection in a thread that runs `handler(peer)` and closes it.

    What a handler raises is kept in `errors`, and ends its connection; a test that cares looks.
    """

    def __init__(self, test, handler, ip="127.0.0.1", name=""):
        self.handler = handler
        self.name = name
        self.peers = []
        self.errors = []
        self.address = None
        self.socket = None
        self.open((ip, 0))
        test.addCleanup(self.end)

    def open(self, address=None):
        """Listens, again where it did before if it was shut."""
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address or self.address)
        self.socket.listen(512)
        self.address = self.socket.getsockname()
        threading.Thread(target=self._accept, args=(self.socket,), daemon=True).start()

    def shut(self):
        """Connects are refused from now on; connections that are open stay. Done when it returns."""
        listening, self.socket = self.socket, None
        if listening is None:
            return
        listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        listening.close()
        poll(self._refuses, "the closed port refuses")

    def _refuses(self):
        probe = socket.socket()
        try:
            return probe.connect_ex(self.address) != 0
        finally:
            probe.close()

    def die(self):
        """As if its process had ended: connects are refused, and open connections end."""
        self.shut()
        for peer in self.peers:
            try:
                peer.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was closed

    def end(self):
        self.die()
        for peer in self.peers:
            peer.done.wait(DEADLINE_S)

    def _accept(self, listening):
        while True:
            try:
                accepted, _ = listening.accept()
            except OSError:
                return
            peer = Peer(accepted)
            self.peers.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            self.handler(peer)
        except Exception as error:  # told to the test, which is another thread
            self.errors.append(error)
        finally:
            peer.close()
            peer.done.set()

    def heard(self):
        """All bytes of all connections."""
        return b"".join(peer.heard for peer in self.peers)


def told_by_requests(name):
    """A handler that does as the request says, for tests that ask the same through different balancers.

    The response tells in X-Server who answered, and in X-Saw what was seen: JSON of the Cookie lines and other fields. The
    request tells in X-Say, JSON: `set` a list of Set-Cookie values, `status`, `fields` a list of further fields.
    A WebSocket handshake is answered with 101, and one text frame.
    """

    def handle(peer):
        while (request := peer.request()) is not None:
            request.body = peer.body_of(request)
            say = json.loads(request.get("x-say") or "{}")
            fields = [("X-Server", name), ("X-Saw", json.dumps(request.all("cookie")))]
            fields += [("X-Body", str(len(request.body)))]
            fields += [("Set-Cookie", value) for value in say.get("set", [])]
            fields += [tuple(pair) for pair in say.get("fields", [])]
            if (request.get("upgrade") or "").lower() == "websocket":
                accept = websocket_accept(request.get("sec-websocket-key"))
                fields += [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", accept)]
                peer.send(response_bytes(101, fields, reason="Switching Protocols") + b"\x81\x02hi")
                peer.rest()
                return
            status = say.get("status", 200)
            if status in (204, 304):
                peer.send(response_bytes(status, fields, reason="None"))
            elif request.method == "HEAD":
                peer.send(response_bytes(status, [*fields, ("Content-Length", "2")]))
            else:
                peer.answer(status, fields, b"ok")

    return handle
