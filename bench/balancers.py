"""The balancers: each function writes a configuration into a folder and returns the command that starts the balancer in the
foreground. All do the same work, each as its manual says it: round-robin over the servers, a cookie that brings a client back,
X-Forwarded-For, time-outs as people set them, and TCP keep-alive on both sides, without which a tunnel of hours never learns that its
client's phone has gone (Caddy and rejoin do that by themselves); no access logs, no health checks, one thread unless more are asked for."""
import os
import pathlib
import subprocess
import tempfile
import types

STREAM_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")  # of libnginx-mod-stream
FILES_MAX = 19_900
# Of TLS 1.3, for those who leave it to OpenSSL, which begins with AES-256 and SHA-384: what the others have by default (rejoin, Caddy)
# or in the configuration that Debian installs (HAProxy), so that the same cryptography is compared.
SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
PAIRS_MAX = 9_700  # relayed connections: each takes two of 20,000 descriptors


def rejoin_command(setup):
    servers = ", ".join(f'{{ name = "b{i + 1}", address = "{a}" }}' for i, a in enumerate(setup.servers))
    tls = f'tls = {{ certificate = "{setup.tls}", key = "{setup.tls}" }}' if setup.tls else ""
    secure = ", secure = true" if setup.tls else ""
    affinity = f'affinity = [ {{ kind = "cookie-insert", name = "REJOIN"{secure} }} ]' if setup.mode == "http" else ""
    (setup.folder / "rejoin.toml").write_text(f"""
[log]
level = "warn"
[balancer]
workers = {setup.workers}
[[listener]]
name = "play"
listen = "127.0.0.1:{setup.port}"
mode = "{setup.mode}"
pool = "gateways"
{tls}
[[pool]]
name = "gateways"
scheduler = "round-robin"
{affinity}
health = {{ kind = "off" }}
server = [ {servers} ]
""")
    return [setup.rejoin, "balancer", "-c", setup.folder / "rejoin.toml"]


def on_loop(loop):
    """rejoin on the loop of this name, whatever is its default."""
    return lambda setup: ["env", f"REJOIN_IO={loop}", *rejoin_command(setup)]


def no_io_uring(rejoin):
    """Why rejoin cannot have io_uring here; empty: it can. Asked of rejoin itself, which tries it when it starts."""
    with tempfile.TemporaryDirectory(prefix="rejoin-bench-") as folder:
        setup = types.SimpleNamespace(rejoin=rejoin, folder=pathlib.Path(folder), servers=["127.0.0.1:9"], workers=1, port=0,
                                      mode="http", tls=None)
        command = on_loop("io_uring")(setup)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            said = []
            for line in process.stderr:  # until it is ready, or has ended
                said.append(line.strip())
                if line.split()[-1:] == ["ready"]:
                    process.terminate()
                    return ""
            return said[-1] if said else "it says nothing"


def haproxy_command(setup):
    tls = f" ssl crt {setup.tls} ssl-min-ver TLSv1.2 ciphersuites {SUITES}" if setup.tls else ""
    http = setup.mode == "http"
    cookies = "cookie SRV insert indirect nocache" if http else ""
    servers = "\n".join(f"    server b{i + 1} {a}" + (f" cookie b{i + 1}" if http else "")
                        for i, a in enumerate(setup.servers))
    (setup.folder / "haproxy.cfg").write_text(f"""
global
    nbthread {setup.workers}
    maxconn {PAIRS_MAX}
defaults
    mode {setup.mode}
    {"option forwardfor" if http else ""}
    timeout connect 3s
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout client {"60s" if http else "1h"}
    timeout server {"60s" if http else "1h"}
    timeout tunnel 1h
    option clitcpka
    option srvtcpka
frontend play
    bind 127.0.0.1:{setup.port} backlog 4096{tls}
    default_backend gateways
backend gateways
    balance roundrobin
    {cookies}
{servers}
""")
    return ["haproxy", "-db", "-f", setup.folder / "haproxy.cfg"]


def nginx_main(setup, modules=""):
    return f"""
{"user root;" if os.geteuid() == 0 else ""}
{modules}
daemon off;
worker_processes {setup.workers};
worker_rlimit_nofile {FILES_MAX};
error_log stderr error;
pid {setup.folder}/nginx.pid;
events {{ worker_connections {FILES_MAX - 100}; }}
"""


def nginx_command(setup):
    """nginx of Debian has no cookie affinity of its own: a map and a Set-Cookie with the server's id do the same work."""
    if setup.mode == "tcp":
        return nginx_stream_command(setup)
    folder, count = setup.folder, len(setup.servers)
    each = "\n".join(f"  upstream only_b{i + 1} {{ server {a}; keepalive 64; }}" for i, a in enumerate(setup.servers))
    every = " ".join(f"server {a};" for a in setup.servers)
    known = " ".join(f"b{i + 1} only_b{i + 1};" for i in range(count))
    temporary = "\n".join(f"  {kind}_temp_path {folder}/{kind};" for kind in
                          ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    ssl = " ssl" if setup.tls else ""
    tls = f"""ssl_certificate {setup.tls}; ssl_certificate_key {setup.tls}; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on; ssl_conf_command Ciphersuites {SUITES};""" if setup.tls else ""
    (folder / "nginx.conf").write_text(nginx_main(setup) + f"""
http {{
  access_log off;
  tcp_nodelay on;
{temporary}
  map_hash_max_size {max(2048, 4 * count)};
  map_hash_bucket_size 64;
  upstream every {{ {every} keepalive 64; }}
{each}
  map $cookie_SRV $gateways {{ default every; {known} }}
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{
    listen 127.0.0.1:{setup.port}{ssl} backlog=4096 so_keepalive=on{" reuseport" if setup.workers > 1 else ""};
    {tls}
    location / {{
      proxy_pass http://$gateways;
      proxy_http_version 1.1;
      proxy_socket_keepalive on;
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


def nginx_stream_command(setup):
    servers = " ".join(f"server {a};" for a in setup.servers)
    (setup.folder / "nginx.conf").write_text(nginx_main(setup, f"load_module {STREAM_MODULE};") + f"""
stream {{
  upstream every {{ {servers} }}
  server {{
    listen 127.0.0.1:{setup.port} backlog=4096 so_keepalive=on;
    proxy_pass every;
    proxy_socket_keepalive on;
    proxy_timeout 1h;
  }}
}}
""")
    return ["nginx", "-p", setup.folder, "-c", setup.folder / "nginx.conf"]


def caddy_command(setup):
    """Caddy sets X-Forwarded-For by itself. Its cookie is an HMAC of the server's address, as lb_policy cookie has it."""
    scheme = "https" if setup.tls else "http"
    tls = f"tls {setup.tls} {setup.tls}" if setup.tls else ""
    (setup.folder / "Caddyfile").write_text(f"""
{{
    admin off
    auto_https off
    default_sni play.example
    servers {{
        protocols h1
    }}
}}
{scheme}://:{setup.port} {{
    bind 127.0.0.1
    {tls}
    reverse_proxy {" ".join(setup.servers)} {{
        lb_policy cookie SRV a-secret-of-the-benchmark
        transport http {{
            keepalive_idle_conns_per_host 64
        }}
    }}
}}
""")
    setup.environment = {"HOME": str(setup.folder), "XDG_DATA_HOME": str(setup.folder), "XDG_CONFIG_HOME": str(setup.folder),
                         "GOMAXPROCS": str(setup.workers)}
    return ["caddy", "run", "--config", setup.folder / "Caddyfile", "--adapter", "caddyfile"]


def bare_command(setup):
    targets = [part for address in setup.servers for part in ("--to", address)]
    return [setup.tools / "bench_bare_relay", "--listen", f"127.0.0.1:{setup.port}", *targets, "--workers", str(setup.workers)]


def designed_command(setup):
    return [*bare_command(setup), "--as-designed"]


BALANCERS = {"rejoin": rejoin_command, "rejoin-epoll": on_loop("epoll"), "rejoin-uring": on_loop("io_uring"),
             "haproxy": haproxy_command, "nginx": nginx_command, "caddy": caddy_command,
             "bare": bare_command, "bare-designed": designed_command}
LAYER_4 = ("rejoin", "haproxy", *(["nginx"] if STREAM_MODULE.exists() else []), "bare")
COOKIE_BALANCERS = ("rejoin", "haproxy", "nginx", "caddy")
