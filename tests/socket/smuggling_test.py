"""socket/http/smuggling: whatever is sent to rejoin, its servers cut it into the same requests as rejoin did, or see nothing.

Each row of smuggling_cases.py goes to nginx (Debian's) and to a strict recorder, through rejoin: in one piece, the head before
the rest, and byte by byte. Connections to the servers stay open from row to row, so that what one row leaves behind is found
as the beginning of the next one's request.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import unittest
from pathlib import Path

from programs import Connection, ProgramsTest, keys, poll, request
from recorder import Recorder
from smuggling_cases import SMUGGLED
from smuggling_cases_more import CASES

BYTE_BY_BYTE_MAX = 400
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


class Nginx:
    """Debian's nginx, which reads each request whole, passes it to itself, and writes down what it has seen."""

    def __init__(self, test):
        binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if binary is None:
            raise AssertionError("nginx is not installed, and this test compares with it: apt-get install nginx")
        self.folder = test.folder / "nginx"
        self.folder.mkdir()
        self.log = self.folder / "seen.json"
        inherited = socket.create_server(("127.0.0.1", 0), backlog=128)
        test.addCleanup(inherited.close)
        self.address = inherited.getsockname()
        temporary = "".join(f"  {kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(f"""
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
worker_processes 1;
error_log {self.folder}/error.log info;
pid {self.folder}/nginx.pid;
events {{ worker_connections 512; }}
http {{
{temporary}
  log_format seen escape=json '{{"method":"$request_method","target":"$request_uri","body":"$request_body","status":$status}}';
  client_max_body_size 0;
  client_body_buffer_size 1m;
  keepalive_requests 100000;
  server {{
    listen 127.0.0.1:{self.address[1]};
    access_log {self.log} seen;
    add_header X-Party nginx always;
    location / {{ proxy_pass http://unix:{self.folder}/inner.sock; proxy_http_version 1.1; }}
  }}
  server {{ listen unix:{self.folder}/inner.sock; access_log off; location / {{ return 200; }} }}
}}
""")
        self.process = subprocess.Popen(
            [binary, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")],
            pass_fds=[inherited.fileno()],
            env={**os.environ, "NGINX": f"{inherited.fileno()};"},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        test.addCleanup(self.end)
        poll(lambda: self.log.exists() or self.process.poll() is not None, "nginx is up")
        test.assertIsNone(self.process.poll(), "nginx does not start: " + self.words())
        self.at = 0

    def words(self):
        path = self.folder / "error.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def end(self):
        self.process.send_signal(signal.SIGTERM)  # to the master, which ends its worker
        self.process.wait()

    def seen_until(self, mark):
        """[(method, target, body, status)] since the last call, up to the request for `mark`."""
        def lines():
            with self.log.open("rb") as log:
                log.seek(self.at)
                data = log.read()
            return data if f'"target":"{mark}"'.encode() in data and data.endswith(b"\n") else None

        data = poll(lines, f"nginx sees {mark}; its last words: {self.words()[-500:]}")
        self.at += len(data)
        found = [json.loads(line) for line in data.decode("latin-1").splitlines()]
        return [(one["method"], one["target"], one["body"].encode("latin-1"), one["status"]) for one in found if one["target"] != mark]


def pieces_of(data, cut):
    if cut == "whole":
        return [data]
    if cut == "head first":
        at = data.find(b"\r\n\r\n") + 4
        return [data[:at], data[at:]] if 4 <= at < len(data) else None
    return [data[i : i + 1] for i in range(len(data))] if len(data) <= BYTE_BY_BYTE_MAX else None


class Smuggling(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.recorder, self.nginx = Recorder(self), Nginx(self)
        config = '[log]\nlevel = "debug"\n'
        for name, server in (("recorder", self.recorder), ("nginx", self.nginx)):
            pool = [{"name": name, "address": "%s:%d" % server.address}]
            config += "[[listener]]\n" + keys(name=name, listen="127.0.0.1:0", pool=name)
            config += "[[pool]]\n" + keys(name=name, server=pool)
        self.addresses = self.balancer(config).addresses()
        self.marks = 0

    def say(self, party, pieces):
        """Sends them, ends its side, and reads to the end: the final statuses, and all bytes."""
        with Connection(self.addresses[party]) as client:
            try:
                for piece in pieces:
                    client.send(piece)
                client.half_close()
            except OSError:
                pass  # it has answered already, and ended
            answer = client.rest()
        return [int(status) for status in STATUS.findall(answer) if status >= b"200"], answer

    def mark(self, party):
        """A good request on a connection of its own: it must come through whole, whatever came before."""
        self.marks += 1
        mark = f"/mark-{self.marks}"
        with Connection(self.addresses[party]) as client:
            response = client.ask(target=mark)
        self.assertEqual((response.status, response.get("x-party")), (200, party), "the next client's request is spoilt")
        return mark

    def through_recorder(self, pieces):
        """(statuses, what the recorder saw). Fails when it was sent something broken."""
        before = len(self.recorder.seen)
        statuses, answer = self.say("recorder", pieces)
        mark = self.mark("recorder")
        poll(lambda: not self.recorder.barrier(), "no half of a request stays open at the server")
        self.assertEqual(self.recorder.faults, [])
        return statuses, [one.key() for one in self.recorder.seen[before:] if one.target != mark], answer

    def through_nginx(self, pieces):
        statuses, answer = self.say("nginx", pieces)
        return statuses, self.nginx.seen_until(self.mark("nginx")), answer

    def judge(self, case, statuses, seen, answer, nginx):
        if case.refused:
            self.assertEqual(seen, [], "a server saw a whole request")
            self.assertEqual(len(statuses), 1, answer[:400])
            self.assertIn(statuses[0], case.refused, answer[:400])
        elif nginx and case.nginx_refuses:
            self.assertEqual(statuses, [400])
        else:
            self.assertEqual(seen, list(case.seen))
            self.assertEqual([status for status in statuses if status == 200], [200] * len(case.seen), "as many answers as requests")

    def test_one_piece_and_cut(self):
        self.assertGreaterEqual(len(CASES), 400)
        for case in CASES:
            data = case.data + (SMUGGLED if case.refused else b"")
            for cut in ("whole", "head first", "byte by byte"):
                pieces = pieces_of(data, cut)
                if pieces is None:
                    continue
                with self.subTest(case.name, cut=cut, why=case.why):
                    heard = len(self.recorder.raw)
                    statuses, seen, answer = self.through_recorder(pieces)
                    self.judge(case, statuses, seen, answer, nginx=False)
                    if case.refused and cut == "whole":
                        sent_on = self.recorder.raw[heard:].split(b"GET /mark-")[0]
                        self.assertEqual(sent_on, b"", "a part of what was refused was sent on")
                if cut == "byte by byte":
                    continue
                with self.subTest(case.name, cut=cut, why=case.why, server="nginx"):
                    statuses, seen, answer = self.through_nginx(pieces)
                    whole = [one[:3] for one in seen if one[3] == 200]
                    odd = [one for one in seen if one[3] not in (200, 400, 499)]
                    self.assertEqual(odd, [])
                    self.judge(case, statuses, whole, answer, nginx=True)
                    refused = [one for one in seen if one[3] == 400]
                    half = not case.seen or (case.refused and cut != "whole")  # it was sent half a request, which ended
                    self.assertTrue(not refused or half or case.nginx_refuses, f"nginx does not take it: {refused}")

    def test_the_recorder_is_strict(self):
        """It must be able to find what it is there to find: most rows that we refuse are broken to it, or half a request."""
        found = 0
        for case in (one for one in CASES if one.refused):
            before = len(self.recorder.faults), len(self.recorder.seen)
            with Connection(self.recorder.address) as client:
                client.send(case.data + SMUGGLED)
                client.half_close()
                client.rest()
            self.recorder.barrier()
            found += len(self.recorder.faults) > before[0] or len(self.recorder.seen) - before[1] != 2
        self.assertGreater(found, 200)
        self.recorder.faults.clear()


if __name__ == "__main__":
    unittest.main()
