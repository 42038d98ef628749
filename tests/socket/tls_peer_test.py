"""socket/gateway/tls-peer: a player comes to another gateway than their session's, and is passed on to it over TLS."""

import re
import unittest

import resume
from programs import WebSocket, ask, keys, request
from tls_test import TlsConnection, TlsTest

OWNER_UNREACHABLE = 4404


class Peers(TlsTest):
    def setUp(self):
        super().setUp()
        seal = self.folder / "seal.key"
        self.key = b"k" * 32
        seal.write_text(self.key.hex())
        seal.chmod(0o600)
        self.head = f'[log]\nlevel = "debug"\n[keys]\nseal = ["file:{seal}"]\n[admin]\nlisten = "127.0.0.1:0"\n[gateway]\n'
        self.owner = self.start_gateway("g1")

    def start_gateway(self, name, proxy=False, **more):
        listener = {"listen": "127.0.0.1:0", "tls": self.play.files(), **({"proxy_protocol": "accept"} if proxy else {})}
        listeners = [{**listener, "kind": "websocket"}, {**listener, "kind": "tcp"}]
        text = self.head + keys(name=name, listener=listeners, trusted_proxies=["127.0.0.1"], **more)
        return self.start("gateway", "-c", self.file(text)).wait_ready()

    def beside(self, tls, **more):
        """Another gateway, which knows the owner as its peer."""
        at = {kind: "{}:{}".format(*self.owner.address(kind)) for kind in ("websocket", "tcp")}
        return self.start_gateway("g2", peer=[{"name": "g1", **at, "tls": tls, **more}])

    def comes(self, gateway, kind, kept):
        """A player with the session in the file `kept`, as `rejoin connect` tells of them."""
        url = {"websocket": "wss://127.0.0.1:{}/play", "tcp": "tls://127.0.0.1:{}"}[kind].format(gateway.address(kind)[1])
        return self.connect(url, "--ca", self.authority.pem, "--resume", kept, "--message", kind, "--receive", 1)[0]

    def relayed(self, gateway):
        body = ask(gateway.address("admin"), target="/metrics", host="localhost").body.decode()
        return int(re.search(r"^rejoin_gateway_openings_relayed_total (\d+)$", body, re.M)[1])

    def test_their_session_goes_on(self):
        good = {"ca": str(self.authority.pem), "name": "play.example"}
        by_address = {"ca": str(self.authority.pem)}
        for number, (tls, proxy) in enumerate(((good, None), (by_address, None), (good, "v2"))):
            if proxy:
                self.owner = self.start_gateway("g1", proxy=True)
            beside = self.beside(tls, proxy_protocol=proxy or "off")
            for kind in ("websocket", "tcp"):
                with self.subTest(kind, tls=tls, proxy=proxy):
                    kept, before = self.folder / f"{kind}-{number}", self.relayed(beside)
                    self.assertFalse(self.comes(self.owner, kind, kept).get("error"))
                    for _ in range(3):
                        there = self.comes(beside, kind, kept)
                        self.assertEqual([link["kind"] for link in there["links"]], ["resumed"], there)
                        self.assertEqual(there["messages"], [kind])
                    self.assertEqual(self.relayed(beside) - before, 3)

    def test_whoever_cannot_prove_to_be_the_owner_hears_nothing_of_the_session(self):
        wrong = {"ca": str(self.authority.pem), "name": "other.example"}
        beside = self.beside(wrong)
        sealed = resume.ticket(self.key, "g1")
        with TlsConnection(beside.address("tcp"), self.context) as player:
            player.send(resume.on_tcp(resume.resume(sealed)))
            told = resume.detach(player.exactly(int.from_bytes(player.exactly(4), "big")))
        self.assertEqual(told[0], OWNER_UNREACHABLE)
        beside.wait_for(r"no way to its owner g1: .*hostname mismatch \(it is for play.example")
        upgrade = [*WebSocket.upgrade_fields()[:3], ("Sec-WebSocket-Key", WebSocket.KEY), resume.offer(sealed)]
        with TlsConnection(beside.address("websocket"), self.context) as player:
            player.send(request("GET", "/play", upgrade))
            player.head()
        beside.wait_for(r"gateway g1 cannot be reached: .*hostname mismatch")
        self.assertEqual(self.relayed(beside), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
