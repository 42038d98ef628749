#!/usr/bin/env python3
"""testssl.sh (Debian) against a listener of the balancer with the default configuration: no finding above LOW.

    ./dev testssl              some minutes; prints every finding of LOW and above
    ./dev testssl --json FILE  keeps all findings

Not among the tests that run by themselves: it takes minutes, and measures OpenSSL more than ours. The server behind says what
applications have to say for themselves (HSTS, X-Frame-Options, ...), and the certificate names a list of revoked ones.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "socket"))

from certificates import Authority  # noqa: E402
from programs import Program  # noqa: E402

NAME = "play.example"
BAD = ("MEDIUM", "HIGH", "CRITICAL")
MINUTES_MAX = 20


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.send_header("Strict-Transport-Security", "max-age=31536000")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'")
        self.end_headers()
        self.wfile.write(b"hello\n")

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    testssl = shutil.which("testssl") or shutil.which("testssl.sh")
    if not testssl:
        print("testssl.sh is not installed: apt-get install testssl.sh", file=sys.stderr)
        return 2
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="rejoin-testssl-") as name:
        folder = pathlib.Path(name)
        authority = Authority(folder)
        play = authority.issue("play", [NAME], crl="http://play.example/revoked.crl")
        (folder / "b.toml").write_text(
            '[[listener]]\nname = "play"\nlisten = "127.0.0.1:0"\n'
            f'tls = {{ certificate = "{play.certificate}", key = "{play.key}" }}\n'
            f'[[pool]]\nname = "p"\nserver = [ {{ name = "a", address = "127.0.0.1:{server.server_port}" }} ]\n'
        )
        balancer = Program(["balancer", "-c", str(folder / "b.toml")])
        try:
            port = balancer.wait_ready().address()[1]
            said = subprocess.run(
                [testssl, "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--add-ca", str(authority.pem),
                 "--jsonfile", str(folder / "out.json"), f"{NAME}:{port}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=MINUTES_MAX * 60)  # fmt: skip
        finally:
            balancer.stop()
        try:
            findings = json.loads((folder / "out.json").read_text())
        except (OSError, ValueError):
            print(said.stdout, "\ntestssl.sh left no findings", file=sys.stderr)
            return 2
        if arguments.json:
            shutil.copy(folder / "out.json", arguments.json)
    shown = [f for f in findings if f["severity"] not in ("OK", "INFO", "DEBUG")]
    counts = [f for f in shown if f["severity"] in BAD]
    for finding in shown:
        print(f"{finding['severity']:<9}{finding['id']}: {finding['finding']}")
    print(f"{len(findings)} findings, {len(counts)} above LOW")
    return 1 if counts or len(findings) < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
