"""The groups http (wrk drives kept connections and new ones) and tls (bench_load over TLS)."""
import contextlib
import functools
import http.client
import os
import re
import subprocess
import time

from driver import START_SECONDS, rotated
from groups import Sizes, balancer, idle, play, warm
from machine import Failure, end, free_port, spawn

BODY = "x" * 200
COOKIE_CHECKS = 5
NAME = "play.example"


# ---- http ------------------------------------------------------------------------------------------------------------


def start_web(bench, stack):
    """One nginx with two listeners: the servers."""
    ports = [free_port(), free_port()]
    folder = bench.folder / f"web-{ports[0]}"
    folder.mkdir()
    temporary = "\n".join(f"  {kind}_temp_path {folder}/{kind};" for kind in
                          ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    servers = "\n".join(f"""  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ add_header X-Server b{i + 1}; default_type text/plain; return 200 "{BODY}"; }}
  }}""" for i, port in enumerate(ports))
    (folder / "nginx.conf").write_text(f"""
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
master_process off;
error_log stderr error;
pid {folder}/nginx.pid;
events {{ worker_connections 4000; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 10m;
{temporary}
{servers}
}}
""")
    log = folder / "log"
    process = spawn({bench.cores.load}, ["nginx", "-p", folder, "-c", folder / "nginx.conf"], log)
    stack.callback(end, process)
    bench.helpers.append(process.pid)
    stack.callback(bench.helpers.remove, process.pid)
    for port in ports:
        wait_for_web(port, process, log)
    return [f"127.0.0.1:{port}" for port in ports]


def wait_for_web(port, process, log):
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as web:
            web.request("GET", "/")
            if web.getresponse().status == 200:
                return
        if time.monotonic() > deadline or process.poll() is not None:
            raise Failure("the nginx behind the balancers did not start: " + log.read_text())
        time.sleep(0.01)


def wrk(bench, subject, connections, fields, body=None):
    """One run of wrk: its requests, its 99th percentile, its own CPU time. It knows whole seconds only."""
    seconds = 1 if bench.quick else 2
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if body is not None:
        script = bench.folder / "post.lua"
        script.write_text(f'wrk.method = "POST"\nwrk.body = "{body}"\n')
        command += ["-s", script]
    for field in fields:
        command += ["-H", field]
    command.append(f"http://127.0.0.1:{subject.port}/game/state?room=7")
    process = spawn({bench.cores.load}, command, bench.folder / "load.log", stdout=subprocess.PIPE, text=True)
    said, _ = process.communicate(timeout=seconds + 30)
    who = f"{subject.name}, wrk -c{connections}"
    if process.returncode != 0:
        raise Failure(f"{who} ended with {process.returncode}: {said}")
    wrong = re.search(r"Non-2xx.*|Socket errors.*", said)
    if wrong:
        raise Failure(f"{who}: {wrong[0]}")
    return int(re.search(r"(\d+) requests in", said)[1]), re.search(r"99%\s+(\S+)", said)[1]


def cookie_of(subject):
    """The cookie that a client is given, as it brings it; whoever brings it must reach the same server each time."""
    connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        server, cookie = answer.getheader("X-Server"), (answer.getheader("Set-Cookie") or "").partition(";")[0]
        for _ in range(COOKIE_CHECKS):
            connection.request("GET", "/", headers={"Cookie": cookie})
            answer = connection.getresponse()
            answer.read()
            if answer.getheader("X-Server") != server:
                raise Failure(f"{subject.name}: {cookie} leads to {answer.getheader('X-Server')}, was given by {server}")
    return cookie


def requests(bench, subject, kind, connections):
    """(CPU ns a request, what is to be kept with it)"""
    fields = [] if kind == "new" else ["Cookie: a=b; " + cookie_of(subject)]
    if kind == "connections":
        fields.append("Connection: close")
    with bench.clocks(subject) as found:
        count, p99 = wrk(bench, subject, connections, fields, BODY if kind == "post" else None)
    if count < connections:
        raise Failure(f"{subject.name}: {count} requests on {connections} connections")
    return found["cpu_ns"] / count, {"units": count, "p99": p99, "shares": found["shares"],
                                     "per_second": round(count / found["wall_s"], 1)}


def http_round(bench, names, number):
    many = 8 if bench.quick else 50
    steps = (("returning", 1, 1), ("returning", 50, many), ("new", 1, 1), ("new", 50, many), ("post", 50, many),
             ("connections", 50, many))
    if bench.quick:  # each takes a second
        steps = steps[1:2] + steps[5:]
    with contextlib.ExitStack() as stack:
        servers = start_web(bench, stack)
        subjects = [stack.enter_context(balancer(bench, name, servers=servers)) for name in names]
        for subject in subjects:
            wrk(bench, subject, 8, [])  # warm
        for shift, (kind, label, connections) in enumerate(steps):
            # One connection sleeps between requests, and swings most. (wrk knows whole seconds.)
            slices = 3 if connections == 1 and not bench.quick else 1
            bench.in_turn(f"http/{kind}-{label}", rotated(subjects, number + shift), slices,
                          functools.partial(requests, bench, kind=kind, connections=connections))


# ---- tls -------------------------------------------------------------------------------------------------------------


def certificate(bench):
    """A file of certificate and key, ECDSA P-256, the same for everybody; made once a run."""
    pem, key = bench.folder / "play.pem", bench.folder / "key.pem"
    if not pem.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
             f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", key, "-out", pem],
            check=True, capture_output=True)  # fmt: skip
        pem.write_text(pem.read_text() + key.read_text())
    return pem


def wss(bench, name, servers):
    """A subject with TLS, whose load comes over it."""
    pem = certificate(bench)
    return balancer(bench, name, servers=servers, tls=pem, load_options=("--tls", pem, "--tls-name", NAME))


def tls_steps(sizes):
    """As groups.relay_steps. Who comes again brings a session ticket and a cookie: bench_load fails if either is not taken."""
    first = f"visit count={sizes.visitors} players={sizes.visitors} concurrent=32"
    visits = sizes.visits_slice // 2
    again = f"visit count={visits} players={sizes.visitors} concurrent=32"
    return (
        ("tls/full", [], f"visit count={visits} concurrent=32", visits),
        ("tls/resumed", [first], again, visits),
        ("tls/echo-50", [f"hold count={sizes.many}"], f"echo seconds={sizes.slice}", None),
    )


def tls_round(bench, names, number):
    sizes = Sizes(bench.quick)
    with contextlib.ExitStack() as stack:
        servers = bench.serve(stack, "--servers", "127.0.0.1:0=2")
        subjects = [stack.enter_context(wss(bench, name, servers)) for name in names]
        for subject in subjects:
            warm(bench, subject)
        play(bench, subjects, tls_steps(sizes), sizes, number)
    for name in rotated(names, number):
        with contextlib.ExitStack() as stack:
            servers = bench.serve(stack, "--servers", "127.0.0.1:0=2")
            idle(bench, stack.enter_context(wss(bench, name, servers)), "tls/idle", sizes)
