"""socket/netns/mptcp: a client that speaks Multipath TCP loses the network that it came by, and no byte of its connection."""

import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "socket"))

import hosts  # noqa: E402
from programs import ProgramsTest, keys  # noqa: E402

# The player: a socket of the protocol that is asked for, which says a number each 20 ms and hears it again.
PLAYER = r"""
import select, socket, sys, time
protocol = 262 if sys.argv[1] == "mptcp" else 0
connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
connection.settimeout(20)
connection.connect((sys.argv[2], int(sys.argv[3])))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
worst = 0
for number in range(int(sys.argv[4])):
    begun = time.monotonic()
    said = b"%08d" % number
    connection.sendall(said)
    heard = b""
    while len(heard) < 8:
        more = connection.recv(8 - len(heard))
        if not more: sys.exit("the connection ended")
        heard += more
    if heard != said: sys.exit(f"said {said}, heard {heard}")
    worst = max(worst, time.monotonic() - begun)
    print(number, flush=True)
    select.select([], [], [], 0.02)
print(f"worst {worst * 1000:.0f} ms", flush=True)
"""
ECHO = r"""
import socket, threading
listening = socket.create_server(("127.0.0.1", 7000))
print("up", flush=True)
def serve(one):
    while data := one.recv(4096): one.sendall(data)
while True: threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
"""


def in_host(host, *command):
    return subprocess.run([*hosts.on(host), *command], capture_output=True, text=True)


def setUpModule():
    for host in ("cl", "sv"):
        hosts.ip("netns add", host)
        hosts.ip("link set lo up", host=host)
        for path in ("ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter"):
            in_host(host, "sh", "-c", f"echo 0 > /proc/sys/net/{path}")
        in_host(host, "sh", "-c", "echo 1 > /proc/sys/net/mptcp/enabled")
        hosts.ip("mptcp limits set subflows 2 add_addr_accepted 2", host=host)
    for number in (1, 2):
        hosts.ip(f"link add c{number} netns cl type veth peer name s{number} netns sv")
        for host, device, address in (("cl", f"c{number}", f"10.0.{number}.1"), ("sv", f"s{number}", f"10.0.{number}.2")):
            hosts.ip(f"addr add {address}/24 dev {device}", host=host)
            hosts.ip(f"link set {device} up", host=host)
    hosts.ip("mptcp endpoint add 10.0.2.1 dev c2 subflow", host="cl")
    hosts.ip("route add 10.0.1.0/24 dev c2 src 10.0.2.1 metric 100", host="cl")


class Mptcp(ProgramsTest):
    def setUp(self):
        super().setUp()
        echo = subprocess.Popen([*hosts.on("sv"), sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True)
        self.addCleanup(echo.stdout.close)
        self.addCleanup(echo.wait)
        self.addCleanup(echo.kill)
        self.assertEqual(echo.stdout.readline(), "up\n")
        config = "[[listener]]\n" + keys(name="play", listen="0.0.0.0:9000", mode="tcp", mptcp=True)
        config += "[[pool]]\n" + keys(name="pool", server=[{"name": "a", "address": "127.0.0.1:7000"}])
        self.rejoin = self.balancer(config, wrap=hosts.on("sv"))
        self.addCleanup(hosts.ip, "link set c1 up", host="cl")

    def play(self, protocol, count):
        command = [*hosts.on("cl"), sys.executable, "-c", PLAYER, protocol, "10.0.1.2", "9000", str(count)]
        player = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(player.stdout.close)
        self.addCleanup(player.stderr.close)
        self.addCleanup(player.wait)
        self.addCleanup(player.kill)
        return player

    def test_a_phone_changes_networks_without_a_reconnect(self):
        player = self.play("mptcp", 150)
        for number in range(50):
            self.assertEqual(player.stdout.readline(), f"{number}\n")
        subflows = in_host("sv", "ss", "-Hnti", "sport = :9000").stdout
        self.assertIn("10.0.2.1", subflows, "there is a second path")
        hosts.ip("link set c1 down", host="cl")
        for number in range(50, 150):
            line = player.stdout.readline()
            if not line:
                self.fail(f"after {number}: {player.stderr.read()}")
            self.assertEqual(line, f"{number}\n")
        print(f"the path it came by went down: {player.stdout.readline().strip()} for one round trip, nothing lost")

    def test_a_client_of_plain_tcp_is_served_as_ever(self):
        player = self.play("tcp", 20)
        for number in range(20):
            self.assertEqual(player.stdout.readline(), f"{number}\n")


if __name__ == "__main__":
    hosts.enter()
    unittest.main(verbosity=2)
