"""The gateways and the echo servers beside them: each function returns the command that starts one, configured as its manual
says it. With `game`, messages go through to a game server; without, the subject itself sends them back."""
from machine import HERE


def gateway_command(setup, kind="websocket"):
    upstream = f'kind = "tcp", address = "{setup.game}"' if setup.game else 'kind = "echo"'
    # Heartbeats and the end of sessions are put off, so that nothing but what is measured happens: the others have none.
    (setup.folder / "gateway.toml").write_text(f"""
[log]
level = "error"
[gateway]
name = "g1"
workers = {setup.workers}
listener = [ {{ listen = "127.0.0.1:{setup.port}", kind = "{kind}" }} ]
upstream = {{ {upstream} }}
origins = [ "*" ]
session = {{ grace = "1h", sessions_max = 1000000 }}
heartbeat = {{ ping = "1h", dead = "2h" }}
""")
    return [setup.rejoin, "gateway", "-c", setup.folder / "gateway.toml"]


def gateway_tcp_command(setup):
    return gateway_command(setup, "tcp")


def bare_echo_command(setup):
    return [setup.tools / "bench_bare_echo", f"127.0.0.1:{setup.port}", "--workers", str(setup.workers)]


def lws_command(setup):
    return [setup.tools / "bench_lws_echo", str(setup.port)]


def beast_command(setup):
    return [setup.tools / "bench_beast_echo", str(setup.port)]


def node_command(setup, script):
    setup.environment = {"NODE_ENV": "production"}
    return ["node", HERE / "peers" / script, str(setup.port), HERE / "peers"]


def ws_command(setup):
    return node_command(setup, "ws_echo.mjs")


def socketio_command(setup):
    return node_command(setup, "socketio_echo.mjs")


# name: (how it is started, how its clients speak)
GATEWAYS = {
    "rejoin resume": (gateway_command, ("--speak", "rejoin")),
    "rejoin plain": (gateway_command, ("--speak", "greeted")),
    "rejoin tcp": (gateway_tcp_command, ("--speak", "rejoin", "--transport", "tcp")),
    "libwebsockets": (lws_command, ("--speak", "echo")),
    "beast": (beast_command, ("--speak", "echo")),
    "ws": (ws_command, ("--speak", "echo")),
    "socket.io": (socketio_command, ("--speak", "socketio")),
    # The floor: bytes go back as they came, with no handshake, no frames and no fan-out.
    "bare-echo": (bare_echo_command, ("--speak", "echo", "--transport", "tcp")),
}
NO_FAN = ("bare-echo",)
NO_STORM = ("rejoin tcp", "bare-echo")
COMPILED_PEERS = ("libwebsockets", "beast")
NODE_PEERS = {"ws": "ws", "socket.io": "socket.io"}
