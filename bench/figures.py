"""The catalogue: what each figure is, and what the design wants of ours. A sample names a figure, a subject, a round, and in
the growth group an x. Values are CPU nanoseconds of the subject per unit, or bytes."""
import dataclasses

OURS = ("rejoin", "rejoin-uring", "rejoin-epoll", "rejoin resume", "rejoin plain", "rejoin tcp", "rejoin game")
FLOORS = ("bare", "bare-designed", "bare-echo")


@dataclasses.dataclass(frozen=True)
class Figure:
    title: str
    short: str
    unit: str = "us"  # of CPU time of the subject's processes; or "bytes"
    digits: int = 1
    x: str = ""  # what grows, in the growth group

    def shown(self, value):
        return value / 1000 if self.unit == "us" else value


CPU = "CPU us of the subject per "
FIGURES = {
    # ---- relay: a balancer between clients and servers
    "relay/echo-1": Figure(CPU + "relayed round trip of 64 bytes, 1 connection", "echo, 1 connection", digits=2),
    "relay/echo-50": Figure(CPU + "relayed round trip of 64 bytes, 50 connections", "echo, 50 connections", digits=2),
    "relay/tcp-echo-50": Figure(CPU + "relayed round trip of 64 bytes, layer 4 (TCP), 50 connections", "TCP echo, 50", digits=2),
    "relay/rate": Figure(CPU + "relayed round trip at 4,000 a second over 50 connections (open loop)", "4,000/s", digits=2),
    "relay/fan": Figure(CPU + "message delivered: one in, 100 out, all through the balancer", "fan-out 1 to 100", digits=2),
    "relay/handshake-new": Figure(CPU + "WebSocket handshake of a new client (connect, upgrade, close)", "handshake, new"),
    "relay/handshake-returning": Figure(CPU + "WebSocket handshake of a client that brings its cookie", "handshake, cookie"),
    "relay/churn": Figure(CPU + "visit of a returning client: connect, upgrade, 3 echoes, close", "visit with 3 messages"),
    "relay/idle": Figure("User-space bytes per idle relayed WebSocket", "idle WebSocket", "bytes", 0),
    "relay/rest": Figure("User-space bytes of a process that has served 64 handshakes at once and holds nothing", "process at rest", "bytes", 0),
    # ---- http
    "http/returning-1": Figure(CPU + "HTTP request, cookie brought, 1 kept connection", "request, 1 connection"),
    "http/returning-50": Figure(CPU + "HTTP request, cookie brought, 50 kept connections", "request, 50 connections"),
    "http/new-1": Figure(CPU + "HTTP request, cookie given, 1 kept connection", "cookie given, 1"),
    "http/new-50": Figure(CPU + "HTTP request, cookie given, 50 kept connections", "cookie given, 50"),
    "http/post-50": Figure(CPU + "POST of 200 bytes, cookie brought, 50 kept connections", "POST, 50 connections"),
    "http/connections-50": Figure(CPU + "new connection with one request, cookie brought, 50 at once", "connection + request"),
    # ---- tls
    "tls/full": Figure(CPU + "wss handshake: TCP, full TLS 1.3 (ECDSA P-256), upgrade, close", "wss, full", digits=0),
    "tls/resumed": Figure(CPU + "wss handshake, TLS session resumed", "wss, resumed", digits=0),
    "tls/echo-50": Figure(CPU + "relayed wss round trip of 64 bytes, 50 connections", "wss echo, 50", digits=2),
    "tls/idle": Figure("User-space bytes per idle relayed wss connection", "idle wss", "bytes", 0),
    # ---- gateway: who ends the clients' connections
    "gateway/echo-1": Figure(CPU + "echoed message of 64 bytes, 1 connection", "echo, 1 connection", digits=2),
    "gateway/echo-50": Figure(CPU + "echoed message of 64 bytes, 50 connections", "echo, 50 connections", digits=2),
    "gateway/rate": Figure(CPU + "echoed message at 4,000 a second over 50 connections (open loop)", "4,000/s", digits=2),
    "gateway/game-50": Figure(CPU + "message to a game server and back, 50 sessions", "through a game server", digits=2),
    "gateway/fan": Figure(CPU + "message delivered: one in, 100 out", "fan-out 1 to 100", digits=2),
    "gateway/churn": Figure(CPU + "visit: connect, upgrade, session, 3 echoes, close", "visit with 3 messages"),
    "gateway/idle": Figure("User-space bytes per idle connection, with its session", "idle connection", "bytes", 0),
    "gateway/detached": Figure("User-space bytes per session without a link", "session without link", "bytes", 0),
    "gateway/rest": Figure("User-space bytes of a process that has served 64 handshakes at once and holds nothing", "process at rest", "bytes", 0),
    # ---- storm
    "storm/handshake": Figure(CPU + "bare WebSocket handshake (connect, upgrade, close)", "handshake"),
    "storm/gateway": Figure(CPU + "client that comes back in a storm, the end of its old link included", "storm, gateways"),
    "storm/balancer": Figure(CPU + "relayed client that comes back by its cookie in a storm", "storm, balancers"),
    # ---- growth
    "growth/balancer-echo": Figure(CPU + "relayed round trip, 10 under way", "balancer, echo", digits=2, x="connections"),
    "growth/balancer-handshake": Figure(CPU + "handshake beside so many connections", "balancer, handshake", x="connections"),
    "growth/balancer-bytes": Figure("User-space bytes per relayed connection, from one number to the next", "balancer, idle connection", "bytes", 0, x="connections"),
    "growth/gateway-echo": Figure(CPU + "echoed message, 10 under way", "gateway, echo", digits=2, x="connections"),
    "growth/gateway-handshake": Figure(CPU + "handshake beside so many connections", "gateway, handshake", x="connections"),
    "growth/gateway-bytes": Figure("User-space bytes per connection, from one number to the next", "gateway, idle connection", "bytes", 0, x="connections"),
    "growth/servers-echo": Figure(CPU + "relayed round trip, 50 connections", "balancer, echo", digits=2, x="servers"),
    "growth/servers-handshake": Figure(CPU + "handshake of a client that brings its cookie", "balancer, handshake with cookie", x="servers"),
    "growth/servers-new": Figure(CPU + "handshake of a new client", "balancer, handshake of a new client", x="servers"),
    "growth/workers-echo": Figure(CPU + "relayed round trip, 50 connections, both cores", "balancer, echo", digits=2, x="workers"),
    "growth/gateway-workers-echo": Figure(CPU + "echoed message, 50 sessions, both cores", "gateway, echo", digits=2, x="workers"),
    "growth/workers-handshake": Figure(CPU + "handshake of a new client, both cores", "balancer, handshake", x="workers"),
}


@dataclasses.dataclass(frozen=True)
class Aim:
    """`ours` takes at most `most` times what `against` takes (a name, "peers": the best of them, or "compiled": the best in C
    or C++); without `against`: at most `most` bytes. `figure_of_theirs`: when theirs is another figure."""
    figure: str
    ours: str
    most: float
    against: str = ""
    figure_of_theirs: str = ""


AIMS = (
    Aim("relay/echo-1", "rejoin", 1.10, "bare"),
    Aim("relay/echo-50", "rejoin", 1.10, "bare"),
    Aim("relay/echo-1", "rejoin", 1.00, "peers"),
    Aim("relay/echo-50", "rejoin", 1.00, "peers"),
    Aim("relay/echo-50", "rejoin-uring", 0.90, "peers"),
    Aim("relay/fan", "rejoin-uring", 0.90, "peers"),
    Aim("relay/tcp-echo-50", "rejoin", 1.00, "peers"),
    Aim("relay/fan", "rejoin", 1.00, "peers"),
    Aim("relay/handshake-new", "rejoin", 1 / 1.2, "peers"),
    Aim("relay/handshake-returning", "rejoin", 1 / 1.2, "peers"),
    Aim("relay/churn", "rejoin", 1.00, "peers"),
    Aim("relay/idle", "rejoin", 600),
    Aim("http/returning-1", "rejoin", 1.00, "peers"),
    Aim("http/returning-50", "rejoin", 1.00, "peers"),
    Aim("http/new-1", "rejoin", 1.00, "peers"),
    Aim("http/new-50", "rejoin", 1.00, "peers"),
    Aim("http/post-50", "rejoin", 1.00, "peers"),
    Aim("http/connections-50", "rejoin", 1.00, "peers"),
    Aim("tls/full", "rejoin", 1.00, "peers"),
    Aim("tls/resumed", "rejoin", 1.00, "peers"),
    Aim("tls/echo-50", "rejoin", 1.00, "peers"),
    Aim("tls/idle", "rejoin", 14_600),
    Aim("gateway/echo-1", "rejoin resume", 1.10, "compiled"),
    Aim("gateway/echo-50", "rejoin resume", 1.10, "compiled"),
    Aim("gateway/echo-1", "rejoin resume", 0.10, "socket.io"),
    Aim("gateway/echo-50", "rejoin resume", 0.10, "socket.io"),
    Aim("gateway/idle", "rejoin resume", 1024),
    Aim("gateway/detached", "rejoin resume", 512),
    Aim("storm/gateway", "rejoin resume", 1.50, "compiled", "storm/handshake"),
    Aim("storm/gateway", "rejoin resume", 1.50, "rejoin plain", "storm/handshake"),
    Aim("storm/balancer", "rejoin", 1.00, "peers"),
)
