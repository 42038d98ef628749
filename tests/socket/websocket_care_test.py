"""socket/balancer/websocket-care: pings by the balancer, limits on frames, and a drain that closes one after the other."""

import signal
import struct
import time
import unittest

from programs import Closed, ProgramsTest, WebSocket, keys, poll, servers, websocket_accept
from servers import Listener


class Server(Listener):
    """A WebSocket server that echoes, and keeps what it heard as (opcode, payload)."""

    def __init__(self, test):
        self.frames = []
        self.ended = []
        super().__init__(test, self.serve)

    def serve(self, peer):
        asked = peer.request()
        if asked is None:
            return
        peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
            + websocket_accept(asked.get("sec-websocket-key")).encode()
            + b"\r\n\r\n"
        )
        while True:
            try:
                first, second = peer.exactly(2)
                size = second & 0x7F
                if size == 126:
                    size = struct.unpack(">H", peer.exactly(2))[0]
                mask = peer.exactly(4)
                payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(peer.exactly(size)))
            except Closed:
                self.ended.append("end")
                return
            self.frames.append((first & 15, payload))
            if first & 15 == 8:
                peer.send(b"\x88" + bytes([len(payload)]) + payload)
                continue
            if first & 15 in (1, 2):
                peer.send(bytes([first, len(payload)]) + payload)


class Care(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.server = Server(self)

    def rejoin(self, websocket=None, head="", **listener):
        return self.http_balancer(servers(self.server.address), listener={"websocket": websocket, **listener}, head=head)

    def test_a_living_client_is_asked_and_its_server_hears_nothing_of_it(self):
        ours = self.rejoin({"ping": "200ms", "pong_timeout": "5s"})
        client = WebSocket(ours.address())
        for _ in range(4):
            opcode, payload = client.hear()
            self.assertEqual((opcode, len(payload)), (9, 8))
            client.say(payload, opcode=10)
        self.assertTrue(client.echoes("still here"))
        self.assertEqual(self.server.frames, [(1, b"still here")])

    def test_a_dead_client_is_noticed_and_its_server_told(self):
        ours = self.rejoin({"ping": "200ms", "pong_timeout": "300ms"})
        client = WebSocket(ours.address())
        self.assertTrue(client.echoes("hello"))
        poll(lambda: self.server.ended, "the server's side has ended")
        self.assertEqual(self.server.frames[-1], (8, struct.pack(">H", 1001)))
        ours.wait_for(r"ended: dead \(client\)")
        client.close()

    def test_limits_on_frames(self):
        ours = self.rejoin({"message_max": "100B", "messages": 20})
        client = WebSocket(ours.address())
        self.assertTrue(client.echoes("x" * 100))
        client.say("x" * 101)
        self.assertEqual(client.hear(), (8, struct.pack(">H", 1009)))
        self.assertEqual(client.rest(), b"")
        poll(lambda: self.server.ended, "the server's side has ended")
        self.assertEqual([opcode for opcode, _ in self.server.frames], [1, 8], "nothing of the large one has begun")
        flood = WebSocket(ours.address())
        try:
            for _ in range(200):
                flood.say("x")
        except OSError:
            pass
        while True:
            opcode, payload = flood.hear()
            if opcode == 8:
                break
        self.assertEqual(payload, struct.pack(">H", 1008))

    def test_a_drain_closes_one_after_the_other_and_each_in_order(self):
        count, rate = 20, 20
        head = "[balancer]\n" + keys(drain_timeout="30s", drain={"per_second": rate, "code": 1012})
        ours = self.rejoin(head=head)
        clients = [WebSocket(ours.address()) for _ in range(count)]
        for number, client in enumerate(clients):
            self.assertTrue(client.echoes(f"client {number}"))
        begun = time.monotonic()
        ours.signal(signal.SIGTERM)
        ends = []
        for client in clients:
            self.assertEqual(client.hear(), (8, struct.pack(">H", 1012)))
            self.assertEqual(client.rest(), b"", "and then a FIN")
            ends.append(time.monotonic() - begun)
            client.close()
        self.assertGreater(ends[-1], (count - 2) / rate, "no faster than that")
        self.assertEqual(ours.wait(), 0, "and with the last of them it has ended, long before its deadline")
        poll(lambda: len(self.server.ended) == count, "every server's side has ended")
        self.assertEqual(sum(frame == (8, struct.pack(">H", 1001)) for frame in self.server.frames), count)


if __name__ == "__main__":
    unittest.main(verbosity=2)
