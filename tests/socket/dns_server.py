"""A DNS server that says what a test tells it: A, AAAA, SRV, CNAME, over UDP and TCP, truncated where it is told to be."""

import ipaddress
import socket
import struct
import threading

A, CNAME, AAAA, SRV = 1, 5, 28, 33
NXDOMAIN, SERVFAIL = 3, 2


def labels(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


def address(ip):
    return ipaddress.ip_address(ip).packed


def srv(priority, weight, port, target):
    return struct.pack(">HHH", priority, weight, port) + labels(target)


class DnsServer:
    """`zone`: (name, type) to (TTL in s, [data, ...]), or to a code such as NXDOMAIN; unknown names are NXDOMAIN, and names that
    have no records of a type an empty answer. `silent`: no answers at all. `truncate`: over UDP only the sign that there is more."""

    def __init__(self, test):
        self.zone = {}
        self.silent = self.truncate = False
        self.asked = []  # (name, type, "udp" or "tcp")
        while True:  # the same port for both
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.tcp = socket.socket()
            try:
                self.tcp.bind(self.udp.getsockname())
                break
            except OSError:
                self.udp.close()
        self.tcp.listen(16)
        self.address = "{}:{}".format(*self.udp.getsockname())
        self.ended = False
        for run in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=run, daemon=True).start()
        test.addCleanup(self.end)

    def end(self):
        self.ended = True
        self.tcp.close()
        self.udp.close()

    def count(self, name):
        return sum(1 for asked in self.asked if asked[0] == name)

    def _serve_udp(self):
        while True:
            try:
                question, client = self.udp.recvfrom(4096)
                answer = self._answer(question, "udp")
                if answer:
                    self.udp.sendto(answer, client)
            except OSError:
                return

    def _serve_tcp(self):
        while True:
            try:
                client, _ = self.tcp.accept()
            except OSError:
                return
            with client:
                client.settimeout(10)
                size = client.recv(2)
                question = client.recv(struct.unpack(">H", size)[0])
                answer = self._answer(question, "tcp")
                if answer:
                    client.sendall(struct.pack(">H", len(answer)) + answer)

    def _answer(self, question, way):
        name, at = [], 12
        while question[at]:
            name.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind = struct.unpack(">H", question[at + 1 : at + 3])[0]
        name = ".".join(name).lower()
        self.asked.append((name, kind, way))
        if self.silent:
            return None
        asked = question[12 : at + 5]
        if self.truncate and way == "udp":
            return question[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + asked
        known = any(name == there for there, _ in self.zone)
        found = self.zone.get((name, kind), (0, []) if known else NXDOMAIN)
        if isinstance(found, int):
            return question[:2] + struct.pack(">HHHHH", 0x8180 | found, 1, 0, 0, 0) + asked
        ttl, records = found
        answer = question[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0) + asked
        for data in records:
            answer += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data
        return answer
