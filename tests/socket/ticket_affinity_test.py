"""socket/balancer/ticket-affinity: who brings a resume ticket reaches its owner, or is told to come again while it is away."""

import os
import struct
import unittest

import resume
from programs import Connection, ProgramsTest, WebSocket, ask, poll, servers
from servers import Listener, told_by_requests

CONFIG = """
[keys]
seal = ["env:REJOIN_TEST_KEY"]
[balancer]
workers = 2
"""
WAIT_MS = 250
GONE_S = 3
TICKET = {"kind": "ticket", "owner_gone": f"{GONE_S}s", "come_again": f"{WAIT_MS}ms"}
AGAIN = (4404, resume.AGAIN, WAIT_MS, 0, "")


def says_its_name(name):
    """A server on TCP: its name once something has come, then nothing."""

    def handle(peer):
        if peer.more():
            peer.send(name.encode())
            peer.rest()

    return handle


def hangs_up(peer):
    """A server that hears a request and dies of it."""
    peer.more()


class TicketTest(ProgramsTest):
    def setUp(self):
        super().setUp()
        self.key = os.urandom(32)

    def before(self, handler, **listener):
        """A balancer of two workers before servers a, b and c; its address."""
        self.servers = [Listener(self, handler(name)) for name in "abc"]
        balancer = self.http_balancer(
            servers(*(server.address for server in self.servers)),
            listener=listener,
            pool={"affinity": [TICKET, {"kind": "cookie-insert"}] if not listener else [TICKET]},
            head=CONFIG,
            env={**os.environ, "REJOIN_TEST_KEY": self.key.hex()},
        )
        return balancer.address()

    def ticket(self, owner, **options):
        return resume.ticket(self.key, owner, **options)


class Layer7(TicketTest):
    def test_a_ticket_finds_its_owner_from_any_address_in_any_of_its_places(self):
        address = self.before(told_by_requests)
        for number in range(4):
            for owner in "abc":
                sealed = self.ticket(owner)
                for field in (
                    ("Rejoin-Ticket", sealed),
                    ("Cookie", f"x=y; REJOIN-TICKET={sealed}"),
                    resume.offer(sealed),
                ):
                    answer = ask(address, fields=[field], bind=f"127.0.0.{number + 2}")
                    self.assertEqual(answer.get("x-server"), owner, field)
                one = WebSocket(address, fields=[resume.offer(sealed)], bind=f"127.0.0.{number + 2}")
                self.assertEqual(one.handshake.get("x-server"), owner)
                one.close()

    def test_a_ticket_goes_before_a_cookie_and_a_bad_one_is_as_if_absent(self):
        address = self.before(told_by_requests)
        first = ask(address)
        home, cookie = first.get("x-server"), first.get("set-cookie").split(";")[0]
        other = "b" if home != "b" else "c"
        answer = ask(address, fields=[("Cookie", cookie), ("Rejoin-Ticket", self.ticket(other))])
        self.assertEqual(answer.get("x-server"), other)
        good = self.ticket(other)
        for bad in (
            self.ticket("nobody"),
            self.ticket(other, expires_in=-400),
            resume.ticket(os.urandom(32), other),
            good[:40] + ("A" if good[40] != "A" else "B") + good[41:],
            "let-me-in",
        ):
            answer = ask(address, fields=[("Cookie", cookie), ("Rejoin-Ticket", bad)])
            self.assertEqual((answer.get("x-server"), answer.get("set-cookie")), (home, None), bad)

    def test_while_the_owner_is_away_its_clients_come_again_and_then_go_to_another(self):
        address = self.before(told_by_requests)
        sealed = self.ticket("b")
        self.servers[1].die()
        heard = len(self.servers[0].heard() + self.servers[2].heard())

        one = WebSocket(address, fields=[resume.offer(sealed)])
        self.assertEqual(one.handshake.get("sec-websocket-protocol"), "rejoin.v1")
        opcode, payload = one.hear()
        self.assertEqual((opcode, resume.detach(payload)), (2, AGAIN))
        opcode, payload = one.hear()
        self.assertEqual((opcode, struct.unpack(">H", payload[:2])[0]), (8, 4404))
        one.say(payload[:2], opcode=8)
        self.assertEqual(one.rest(), b"", "FIN, and no RST that would throw away what was said")
        one.close()
        for fields in ([("Rejoin-Ticket", sealed)], [*WebSocket.upgrade_fields(), ("Cookie", f"REJOIN-TICKET={sealed}")]):
            answer = ask(address, fields=fields)
            self.assertEqual((answer.status, answer.get("retry-after")), (503, "1"))
            self.assertIsNone(answer.get("set-cookie"))
        self.assertEqual(len(self.servers[0].heard() + self.servers[2].heard()), heard, "nobody was sent elsewhere")

        self.servers[1].open()
        self.assertEqual(ask(address, fields=[("Rejoin-Ticket", sealed)]).get("x-server"), "b")

        self.servers[1].die()
        tries = []

        def is_served():
            answer = ask(address, fields=[("Rejoin-Ticket", sealed)])
            tries.append(answer.status)
            return answer if answer.status == 200 else None

        answer = poll(is_served, "the owner is gone")
        self.assertIn(answer.get("x-server"), "ac")
        self.assertIsNotNone(answer.get("set-cookie"), "from now on the cookie keeps them")
        self.assertIn(503, tries, "not at once")


    def test_an_owner_that_breaks_before_it_answers_is_an_owner_that_is_away(self):
        address = self.before(lambda name: hangs_up if name == "b" else told_by_requests(name))
        sealed = self.ticket("b")
        one = WebSocket(address, fields=[resume.offer(sealed)])
        self.assertEqual((one.handshake.status, resume.detach(one.hear()[1])), (101, AGAIN))
        self.assertEqual(struct.unpack(">H", one.hear()[1][:2])[0], 4404)
        one.close()
        plain = ask(address, fields=[*WebSocket.upgrade_fields(), ("Cookie", f"REJOIN-TICKET={sealed}")])
        self.assertEqual((plain.status, plain.get("retry-after")), (503, "1"))
        # What may have been done already is not told to come again.
        self.assertEqual(ask(address, "POST", "/", [("Rejoin-Ticket", sealed), ("Content-Length", "0")]).status, 502)


class Layer4(TicketTest):
    def before(self, handler=says_its_name, **listener):
        return super().before(handler, mode="tcp", **listener)

    def server(self, address, *pieces):
        """Who answers to these bytes, which are sent one after the other."""
        with Connection(address) as client:
            for piece in pieces:
                client.send(piece)
            return client.exactly(1).decode()

    def test_a_resume_finds_its_owner_and_the_owner_sees_every_byte(self):
        address = self.before()
        more = resume.on_tcp(b"more")
        for owner in "abc" * 4:
            first = resume.on_tcp(resume.resume(self.ticket(owner)))
            self.assertEqual(self.server(address, first + more), owner)
            cut = os.urandom(1)[0] % len(first)
            self.assertEqual(self.server(address, first[:cut], first[cut:], more), owner)
            peers = self.servers["abc".index(owner)].peers
            for peer in peers:
                peer.done.wait(30)
            self.assertEqual(bytes(peers[-1].heard), first + more)

    def test_what_is_no_resume_is_served_by_anybody_at_its_fifth_byte(self):
        address = self.before()
        for first in (resume.on_tcp(resume.frame(resume.HELLO))[:5], b"GET /", resume.on_tcp(resume.resume("x" * 40))):
            self.assertIn(self.server(address, first), "abc")

    def test_who_does_not_come_to_the_point_is_ended(self):
        address = self.before()
        first = resume.on_tcp(resume.resume(self.ticket("b")))
        clients = [Connection(address).send(first[:count]) for count in (0, 4, 5, len(first) - 1)]
        for client in clients:
            self.assertEqual(client.rest(), b"")
        self.assertEqual(b"".join(server.heard() for server in self.servers), b"")
        self.assertEqual(self.server(address, first), "b")

    def test_while_the_owner_is_away_its_clients_come_again(self):
        address = self.before()
        first = resume.on_tcp(resume.resume(self.ticket("b")))
        self.servers[1].die()
        for said in (first, first + first):
            with Connection(address) as client:
                told = client.send(said).rest()
            self.assertEqual(struct.unpack(">I", told[:4])[0], len(told) - 4)
            self.assertEqual(resume.detach(told[4:]), AGAIN)
        self.servers[1].open()
        self.assertEqual(self.server(address, first), "b")
        self.servers[1].die()

        def is_served():
            with Connection(address) as client:
                return client.send(first).exactly(1) in (b"a", b"c")

        poll(is_served, "the owner is gone")


if __name__ == "__main__":
    unittest.main()
