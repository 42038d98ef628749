"""socket/netns/wifi-to-4g: a client whose address changes comes back to its server with a cookie, and not without."""

import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "socket"))

import hosts  # noqa: E402
from programs import ProgramsTest, keys, poll  # noqa: E402

COOKIE_PORT, ADDRESS_PORT, TURNS_PORT = 8080, 8081, 8082  # cookie; source-ip; neither
PORT = 8000  # of both gateways


def setUpModule():
    hosts.set_up()


class WifiTo4g(ProgramsTest):
    def setUp(self):
        super().setUp()
        for name, address in hosts.GATEWAYS.items():
            self.gateway(name, websocket=f"{address}:{PORT}", tcp="", wrap=hosts.on(name))
        servers = [{"name": name, "address": f"{address}:{PORT}"} for name, address in hosts.GATEWAYS.items()]
        config = '[log]\nlevel = "debug"\n'
        for port, mode, name, affinity in (
            (COOKIE_PORT, "http", "cookie", [{"kind": "cookie-insert"}]),
            (ADDRESS_PORT, "tcp", "address", [{"kind": "source-ip"}]),
            (TURNS_PORT, "http", "turns", []),
        ):
            config += "[[listener]]\n" + keys(name=name, listen=f"{hosts.SERVICE}:{port}", mode=mode, pool=name)
            config += "[[pool]]\n" + keys(name=name, affinity=affinity, server=servers)
        self.proxy = self.balancer(config, wrap=hosts.on("lb"))
        self.jar = self.folder / "jar"

    def tearDown(self):
        hosts.wifi_on()

    def dial(self, port, *options, **popen):
        """One connection of the client, wherever the kernel sends it: (server, address it left by, account)."""
        account = self.connect(f"ws://{hosts.SERVICE}:{port}/play", *options, wrap=hosts.on("client"), **popen)[0]
        left_by = account["local"].rsplit(":", 1)[0]
        # The balancer's own word for it; X-Forwarded-For and leases are made of the same.
        self.proxy.wait_for(rf" {account['local'].replace('.', '[.]')}: tunnel to [a-z]+/{account['server']} ended")
        return account["server"], left_by, account

    def play(self):
        return self.dial(COOKIE_PORT, "--cookie-jar", self.jar)

    def test_both_gateways_use_the_same_port(self):
        """And without affinity, clients take turns between them: what holds below is the affinity's doing."""
        turns = [self.dial(TURNS_PORT)[0] for _ in range(4)]
        self.assertEqual(turns[0:2] * 2, turns)
        self.assertEqual(set(turns), {"g1", "g2"})

    def test_a_cookie_holds(self):
        home, left_by, first = self.play()
        self.assertEqual(left_by, hosts.WIFI)
        self.assertEqual(first["cookies_sent"], [])
        self.assertEqual([cookie["name"] for cookie in first["cookies_received"]], ["REJOIN"])
        said = first["cookies_received"][0]["value"]
        for switch, wanted in (
            (None, hosts.WIFI),
            (hosts.wifi_off, hosts.MOBILE),
            (None, hosts.MOBILE),
            (hosts.wifi_on, hosts.WIFI),
            (hosts.prefer_mobile, hosts.MOBILE),
            (hosts.prefer_wifi, hosts.WIFI),
            (hosts.wifi_off, hosts.MOBILE),
        ):
            if switch:
                switch()
            # Others come in between, so that taking turns would not hit the same server by chance.
            self.dial(COOKIE_PORT)
            server, left_by, account = self.play()
            step = switch.__name__ if switch else "again"
            self.assertEqual(left_by, wanted, step)
            self.assertEqual(server, home, step)
            self.assertEqual([cookie["value"] for cookie in account["cookies_sent"]], [said], step)
            self.assertEqual(account["cookies_received"], [], "and it is not planted again")

    def test_a_players_next_dial_while_the_old_connection_hangs(self):
        """The break as it is: the old connection is silent and nobody has been told. The new one reaches the same server."""
        home, _, _ = self.play()
        url = f"ws://{hosts.SERVICE}:{COOKIE_PORT}/play"
        options = ["--cookie-jar", str(self.jar), "--receive", "1000", "--timeout", "1h", "--message", "hello"]
        old = self.start("connect", url, *options, wrap=hosts.on("client"), stdout=subprocess.PIPE)
        lines = []
        poll(lambda: lines.append(old.process.stdout.readline()) or "hello" in lines[-1], "the old connection plays")
        self.assertIn(f" {hosts.WIFI}:", lines[0])
        hosts.wifi_off()
        server, left_by, _ = self.play()
        self.assertEqual((server, left_by), (home, hosts.MOBILE))
        self.assertTrue(old.running(), "it has not been told")
        old.kill()
        old.process.stdout.close()

    def test_source_ip_does_not_hold(self):
        """The same address, the same server, whoever takes turns in between; with the other address another server, by the same
        rule; and the first address's lease is still there when the client is back."""
        home, left_by, _ = self.dial(ADDRESS_PORT)
        self.assertEqual(left_by, hosts.WIFI)
        for _ in range(3):
            self.assertEqual(self.dial(ADDRESS_PORT)[:2], (home, hosts.WIFI))
        hosts.wifi_off()
        lost, left_by, _ = self.dial(ADDRESS_PORT)
        self.assertEqual(left_by, hosts.MOBILE)
        self.assertNotEqual(lost, home, "a new address is given the next server in turn")
        for _ in range(3):
            self.assertEqual(self.dial(ADDRESS_PORT)[:2], (lost, hosts.MOBILE))
        hosts.wifi_on()
        self.assertEqual(self.dial(ADDRESS_PORT)[:2], (home, hosts.WIFI))


if __name__ == "__main__":
    hosts.enter()
    unittest.main()
