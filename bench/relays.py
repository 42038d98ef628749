"""The relays that relay.py measures: each function writes a configuration for a port into a folder and returns the
command that starts the relay in the foreground. All do the same work: round-robin over the servers, a cookie that brings
a client back, X-Forwarded-For, time-outs as people set them; no logs, no health checks, one thread."""
import os
import subprocess

FILES_MAX = 19_900


def tls_of(bench):
    """A PEM file of certificate and key where the listeners speak TLS (tls.py), else None."""
    return getattr(bench, "tls", None)


def rejoin_command(bench, folder, port):
    servers = ", ".join(f'{{ name = "b{i + 1}", address = "{a}" }}' for i, a in enumerate(bench.servers))
    pem = tls_of(bench)
    tls = f'tls = {{ certificate = "{pem}", key = "{pem}" }}' if pem else ""
    secure = ", secure = true" if pem else ""
    (folder / "rejoin.toml").write_text(f"""
[log]
level = "warn"
[balancer]
workers = 1
[[listener]]
name = "play"
listen = "127.0.0.1:{port}"
mode = "http"
pool = "gateways"
{tls}
[[pool]]
name = "gateways"
scheduler = "round-robin"
affinity = [ {{ kind = "cookie-insert", name = "REJOIN"{secure} }} ]
health = {{ kind = "off" }}
server = [ {servers} ]
""")
    return [bench.rejoin, "balancer", "-c", folder / "rejoin.toml"]


def on_loop(loop):
    """rejoin on the loop of this name, whatever is its default."""
    return lambda bench, folder, port: ["env", f"REJOIN_IO={loop}", *rejoin_command(bench, folder, port)]


def haproxy_command(bench, folder, port):
    tls = f" ssl crt {tls_of(bench)} ssl-min-ver TLSv1.2" if tls_of(bench) else ""
    servers = "\n".join(f"    server b{i + 1} {a} cookie b{i + 1}" for i, a in enumerate(bench.servers))
    (folder / "haproxy.cfg").write_text(f"""
global
    nbthread 1
    maxconn 9500
defaults
    mode http
    option forwardfor
    timeout connect 3s
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
frontend play
    bind 127.0.0.1:{port} backlog 4096{tls}
    default_backend gateways
backend gateways
    balance roundrobin
    cookie SRV insert indirect nocache
{servers}
""")
    return ["haproxy", "-db", "-f", folder / "haproxy.cfg"]


def nginx_command(bench, folder, port):
    """nginx of Debian has no cookie affinity of its own: a map and a Set-Cookie with the server's id do the same work."""
    each = "\n".join(f"  upstream only_b{i + 1} {{ server {a}; keepalive 64; }}" for i, a in enumerate(bench.servers))
    every = " ".join(f"server {a};" for a in bench.servers)
    known = " ".join(f"b{i + 1} only_b{i + 1};" for i in range(len(bench.servers)))
    temporary = "\n".join(f"  {kind}_temp_path {folder}/{kind};" for kind in
                          ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    pem = tls_of(bench)
    ssl = " ssl" if pem else ""
    tls = f"ssl_certificate {pem}; ssl_certificate_key {pem}; ssl_protocols TLSv1.2 TLSv1.3;" if pem else ""
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(f"""
{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile {FILES_MAX};
error_log stderr error;
pid {folder}/nginx.pid;
events {{ worker_connections {FILES_MAX - 100}; }}
http {{
  access_log off;
  tcp_nodelay on;
{temporary}
  upstream every {{ {every} keepalive 64; }}
{each}
  map $cookie_SRV $gateways {{ default every; {known} }}
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{
    listen 127.0.0.1:{port}{ssl} backlog=4096;
    {tls}
    location / {{
      proxy_pass http://$gateways;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 1h;
      proxy_send_timeout 1h;
      add_header Set-Cookie "SRV=$upstream_http_x_server; Path=/; HttpOnly" always;
    }}
  }}
}}
""")
    return ["nginx", "-p", folder, "-c", folder / "nginx.conf"]


def bare_command(bench, _folder, port):
    targets = [part for address in bench.servers for part in ("--to", address)]
    return [bench.tools / "bench_bare_relay", "--listen", f"127.0.0.1:{port}", *targets]


def designed_command(bench, folder, port):
    return [*bare_command(bench, folder, port), "--as-designed"]


RELAYS = {"rejoin": rejoin_command, "haproxy": haproxy_command, "nginx": nginx_command, "bare": bare_command,
          "bare-designed": designed_command, "rejoin-epoll": on_loop("epoll"), "rejoin-uring": on_loop("io_uring")}
DEFAULT_RELAYS = ("rejoin", "haproxy", "nginx", "bare")
COOKIE_RELAYS = ("rejoin", "haproxy", "nginx")
PEERS = ("haproxy", "nginx")


def version_of(name):
    """What the peer says of itself, in one line."""
    said = subprocess.run([name, "-v"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return said.stdout.partition("\n")[0]
